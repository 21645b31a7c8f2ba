"""Results that need not be made again: which are up to date, and how they get into a run."""
