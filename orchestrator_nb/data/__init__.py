"""What passes between commands: stored forms, artifacts, live results, logs."""
