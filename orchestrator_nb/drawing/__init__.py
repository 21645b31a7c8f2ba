"""Pictures of plans and runs: SVG as text, the same live and static."""
