"""Street scenes drawn from a seed, in the Cityscapes layout."""
