"""Counts that add up, and the scores made of them."""
