"""The context of a run at both levels, as it stands: the workflow's and that of each command; readable at any time."""

from __future__ import annotations

from typing import Any

import msgspec

from orchestrator_nb.data.redaction import REDACTOR
from orchestrator_nb.data.transfer import limited
from orchestrator_nb.state import RunState


def context_of(state: RunState, *, size: int | None = None) -> dict[str, Any]:
    """Return what is known of a run, as plain JSON with the secrets taken out.

    At the level of the workflow its metadata, parameters, the shared state and every version of it with its author;
    at the level of the commands their state, results in stored form, records and metrics. Values in files are named by
    the artifact that has them; with `size`, shared values of more bytes are left out and named in ``left_out``.
    """
    run = state.run
    shared, left_out = limited(state.shared, size)
    document = {
        "workflow": {
            "run": run.run,
            "workflow": run.workflow,
            "state": run.state,
            "parameters": dict(run.parameters),
            "started": run.started,
            "ended": run.ended,
        },
        "shared": shared,
        "left_out": left_out,
        "versions": [
            {
                **msgspec.to_builtins(each),
                "changes": limited(each.changes, size)[0],
                "contested": list(each.contested),
            }
            for each in state.versions
        ],
        "commands": {
            name: {
                "state": state.command_state(name),
                "attempt": record.attempt,
                "seconds": record.seconds,
                "result": msgspec.to_builtins(record.output()),
                "recorded": msgspec.to_builtins(record.recorded),
                "metrics": dict(record.metrics),
                "shared": dict(record.shared or {}),
            }
            for name, record in state.commands.items()
        },
    }
    plain: dict[str, Any] = REDACTOR.value(document) if REDACTOR.active else document
    return plain
