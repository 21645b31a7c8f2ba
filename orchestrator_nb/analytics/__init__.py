"""What the runs of a store tell: frames, figures, patterns, reports and dashboards."""
