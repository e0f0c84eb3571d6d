"""From PNG files to batches of clips."""
