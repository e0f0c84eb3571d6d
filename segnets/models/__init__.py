"""Each file here is one architecture: clips in, logits out."""
