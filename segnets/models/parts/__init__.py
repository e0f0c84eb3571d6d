"""Bricks that architectures share."""
