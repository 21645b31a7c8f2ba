"""The public workflow and run, over all the rooms below."""
