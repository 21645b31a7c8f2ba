"""How kernels come to be: the words for it, as the user says it and as it is recorded."""

from __future__ import annotations

SWITCH = "ORCHESTRATOR_NB_KERNELS"
"""The environment variable that says how kernels are started, before all else: FORK, POOL or PLAIN."""

FORK, POOL, PLAIN = "fork", "pool", "plain"
"""What can be asked for."""

FORKED, POOLED = "forked", "pooled"
"""What comes of the first two; a kernel that was started when it was needed is PLAIN."""
