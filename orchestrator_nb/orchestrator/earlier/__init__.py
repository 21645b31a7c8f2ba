"""What earlier runs of a workflow took, gave and failed with."""
