"""What the user writes, read from every spelling and form into one model, and written back."""
