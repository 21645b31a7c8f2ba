"""The run: scheduler, loop and resume."""
