"""What the facts of a run add up to: pure folds, and the rules that they keep."""
