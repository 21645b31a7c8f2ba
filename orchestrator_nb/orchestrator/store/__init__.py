"""The runs of a store as files: what belongs to them, whether it is intact, what is kept."""
