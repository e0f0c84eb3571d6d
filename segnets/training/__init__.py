"""From batches to sealed checkpoints."""
