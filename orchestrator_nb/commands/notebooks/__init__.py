"""Notebooks as commands: read, checked, and run through papermill in kernels of their own."""
