"""Asking a run for something, with and without a process that drives it."""
