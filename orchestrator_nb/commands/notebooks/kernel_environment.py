"""What the kernel of an attempt is given: its environment, and a file with what it may read of its run."""

from __future__ import annotations

import json
import os
from pathlib import Path

from orchestrator_nb.commands.arguments import Coming, resolved
from orchestrator_nb.commands.notebooks import kernel_sink
from orchestrator_nb.commands.processes import marks
from orchestrator_nb.context import VARIABLE as SINK
from orchestrator_nb.data.secret_values import environment_with
from orchestrator_nb.definition.references import ROOTS, references_in, secrets_in
from orchestrator_nb.events import Stored
from orchestrator_nb.events.json_form import stored_to_plain
from orchestrator_nb.ports import Attempt, Work

ARTIFACTS = "artifacts"
"""Where a run keeps its artifacts, relative to its folder."""

DATA = "context.json"
"""The file with what a kernel may read of its run, in the private folder of the kernel."""

TOLD = "told.jsonl"
"""The file to which a kernel appends what it tells, in the private folder of the kernel."""


def is_known_ahead(work: Work) -> bool:
    """Tell whether the environment depends on nothing that other commands are still to give."""
    found = references_in(dict(work.definition.environment))
    return all(reference.root in ROOTS for reference in found)


def _result(work: Work, command: str) -> Stored:
    """Return what an upstream command returned, or else all that it recorded, as other commands are given it."""
    result = work.inputs.get(command, Stored(form="json"))
    recorded = work.recorded.get(command)
    is_none = result.form == "json" and result.value is None and result.artifact is None
    return Stored(form="mapping", items=recorded) if recorded and is_none else result


def environment(attempt: Attempt | Coming, folder: Path) -> dict[str, str]:
    """Return the whole environment of the kernel: this process's, the command's own, and the marks of the attempt.

    `folder` is the private one of the kernel. Raises UsageError where a reference leads nowhere.
    """
    work = attempt.work
    own = resolved(attempt, dict(work.definition.environment), place="/environment")
    names = [name for name, _ in secrets_in(work.definition)]
    found = {**environment_with(names), **{name: str(value) for name, value in own.items()}}
    paths = [str(work.folder.absolute()), found.get("PYTHONPATH", "")]
    found["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    found.update(marks(work.run_folder, work.command, work.attempt))
    found[SINK] = kernel_sink.NAMED
    found[kernel_sink.VARIABLE] = str(folder / DATA)
    # else each kernel of Python 3.11 and later begins with a warning about its debugger
    found.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    return found


def write_data(folder: Path, work: Work) -> None:
    """Write what the kernel may read of its run into its folder, in a file that only its user can read."""
    data = {
        "workflow_id": work.workflow,
        "run_id": work.run,
        "command": work.command,
        "attempt": work.attempt,
        "execution_phase": "executing",
        "args": work.definition.args,
        "agent": work.definition.agent,
        "scope": work.definition.scope,
        "parameters": dict(work.parameters),
        "shared": dict(work.shared),
        "merge": dict(work.merge),
        "shared_limit": work.shared_limit,
        "shares": work.definition.shares,
        "upstream": {name: stored_to_plain(_result(work, name)) for name in {**work.inputs, **work.recorded}},
        "recorded": {
            command: {name: stored_to_plain(stored) for name, stored in items.items()}
            for command, items in work.recorded.items()
        },
        "metrics": {command: dict(numbers) for command, numbers in work.metrics.items()},
        "changes": {command: dict(changes) for command, changes in work.changes.items()},
        "partial": {name: stored_to_plain(stored) for name, stored in work.partial.items()},
        "artifacts": str((work.run_folder / ARTIFACTS).absolute()),
        "told": str(folder / TOLD),
    }
    descriptor = os.open(folder / DATA, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(json.dumps(data, allow_nan=False))  # at once: piece by piece takes ten times as long
