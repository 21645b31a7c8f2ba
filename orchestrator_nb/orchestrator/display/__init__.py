"""What a run has come to, as people and programs read it."""
