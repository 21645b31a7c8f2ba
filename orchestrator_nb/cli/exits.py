"""What the exit code of `orchestrator-nb` means; those of a run's end are `RunResult.exit_code`."""

from __future__ import annotations

COMPLETED = 0
UNWRITTEN = 1
"""What was to be shown could not be written to stdout; a run has its own exit code all the same."""
BUG = 70
SIGNALLED = 128
"""Added to the number of the signal that paused the run: 130 interrupt, 143 SIGTERM, 129 SIGHUP."""

MEANINGS = """\
Exit codes: 0 completed, 1 failed, 2 bad definition or usage, 3 completed with deviations, 4 parked, 5 stopped,
6 refused (another process owns the run, or the store cannot be used), 70 a bug of orchestrator-nb,
130, 143, 129 paused by an interrupt, SIGTERM, SIGHUP."""
