"""Run the work of notebooks, callables and shell commands as workflows."""
