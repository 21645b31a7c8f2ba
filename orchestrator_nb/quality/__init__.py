"""Gates: what results are held against before anything goes on with them."""
