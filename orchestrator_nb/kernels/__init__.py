"""Python kernels that are forked from a warm server instead of started from nothing."""
