"""Checkpoints of a project's files in a private git store, and rollbacks that lose nobody's work."""
