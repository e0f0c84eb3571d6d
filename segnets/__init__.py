"""Semantic segmentation of driving video as a batch job that survives anything."""
