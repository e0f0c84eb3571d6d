"""The results app: the Panel edge; no torch."""
