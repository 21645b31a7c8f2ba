"""Jupyter: the magic, the live panel, and what IPython is told about this package."""
