"""Figures as plotly draws them, each with a sentence that says what it shows."""
