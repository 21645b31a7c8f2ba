"""The checkpoints of a run and the ways back to them."""
