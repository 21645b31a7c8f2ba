"""What is done about failures: policies that answer facts with facts."""
