"""The context of a run at both levels, as it stands: the workflow's and that of each command; readable at any time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.data.in_place import in_place
from orchestrator_nb.data.redaction import REDACTOR
from orchestrator_nb.data.transfer import limited
from orchestrator_nb.events import Stored
from orchestrator_nb.orchestrator.display.result import ARTIFACTS
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.sharing import referred


def context_of(state: RunState, *, size: int | None = None, folder: Path | None = None) -> dict[str, Any]:
    """Return what is known of a run, as plain JSON with the secrets taken out.

    At the level of the workflow its metadata, parameters, the shared state and every version of it with its author;
    at the level of the commands their state, results in stored form, records and metrics. Values in files are named by
    the artifact that has them, or put in their place where the run's `folder` is given, see `data.in_place`. With
    `size`, shared values of more bytes are left out and named in ``left_out``.
    """
    run = state.run
    artifacts = None if folder is None else Artifacts(folder / ARTIFACTS)

    def values(shared: Mapping[str, Any]) -> dict[str, Any]:
        return {name: _value(value, artifacts) for name, value in shared.items()}

    def stored(value: Stored | None) -> Any:
        return msgspec.to_builtins(value) if value is None or artifacts is None else in_place(value, artifacts)

    shared, left_out = limited(values(state.shared), size)
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
                "changes": limited(values(each.changes), size)[0],
                "contested": list(each.contested),
                "made": limited(values(each.made), size)[0],
            }
            for each in state.versions
        ],
        "commands": {
            name: {
                "state": state.command_state(name),
                "attempt": record.attempt,
                "seconds": record.seconds,
                "result": stored(record.output()),
                "recorded": {key: stored(value) for key, value in record.recorded.items()},
                "metrics": dict(record.metrics),
                "shared": values(record.shared or {}),
            }
            for name, record in state.commands.items()
        },
    }
    plain: dict[str, Any] = REDACTOR.value(document) if REDACTOR.active else document
    return plain


def _value(value: Any, artifacts: Artifacts | None) -> Any:
    stored = None if artifacts is None else referred(value)
    return value if stored is None or artifacts is None else in_place(stored, artifacts)
