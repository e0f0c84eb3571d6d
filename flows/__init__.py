"""What a user starts: one file, one flow, one deployment."""
