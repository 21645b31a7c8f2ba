"""What will run and in which order: the graph of a workflow, checked as a whole before anything starts."""
