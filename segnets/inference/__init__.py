"""A trained model at work: scores, masks."""
