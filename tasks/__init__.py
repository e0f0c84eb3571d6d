"""The Prefect edge: open the store, call the core, report; no arithmetic."""
