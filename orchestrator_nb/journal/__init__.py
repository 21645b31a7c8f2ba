"""The truth about runs: journal files, their owners, and the store that holds them."""
