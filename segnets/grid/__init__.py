"""What is missing of a grid, decided from the store alone."""
