"""What the Tab key offers behind the magic: verbs, options, runs, commands, workflows, parameters and files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestrator_nb.errors import OrchestratorError
from orchestrator_nb.journal.store import find_store, list_runs
from orchestrator_nb.jupyter.verbs import options_of
from orchestrator_nb.orchestrator.attaching import attach
from orchestrator_nb.orchestrator.target import workflow_of
from orchestrator_nb.orchestrator.verbs import VERBS
from orchestrator_nb.orchestrator.workflow import Workflow

MOST_RUNS = 30
_MAGIC = re.compile(r"^(?:\s*[\w.]+\s*=\s*)?\s*(%%?)workflow\s+(.*)$")
_CELL = ("--run", "-p", "-r", "-f", "-y", "--slots", "--reuse", "--only", "--from", "--until", "--failed", "--detach")
_FILES = (".yaml", ".yml", ".json", ".ipynb")
_OF_RUNS = ("status", "resume", "watch", "attach", "why", "logs", "accept", "metrics", "pause", "stop", "save", "restore",
            "checkpoints", "rollback", "decisions", "decide", "escalate")  # fmt: skip
_OF_COMMANDS = ("why", "logs", "accept", "escalate")


def complete(line: str, names: Mapping[str, Any]) -> list[str] | None:
    """Return what may stand at the end of a line, None where the line is not one of the magic.

    `names` are the variables of the session.
    """
    found = _MAGIC.match(line)
    if found is None:
        return None
    words = found.group(2).split(" ")
    before, last = [word for word in words[:-1] if word], words[-1]
    if found.group(1) == "%%":
        return _beginning(_CELL, last) if before else []
    if not before:
        return _beginning(VERBS, last)
    verb = before[0]
    if last.startswith("-"):
        return _beginning(options_of(verb), last)
    return _beginning(_things(verb, before[1:], last, names), last)


def _things(verb: str, before: list[str], last: str, names: Mapping[str, Any]) -> Iterable[str]:
    """Return what may stand at this place, besides options."""
    if before and before[-1] in ("-p", "-r") and verb in ("run", "plan"):
        return _parameters(before[0], names)
    if before and before[-1] in ("-f", "--store"):
        return _files(last, any_suffix=True)
    if verb in ("run", "plan") and not before:
        flows = [name for name, value in names.items() if isinstance(value, Workflow) and not name.startswith("_")]
        return [*flows, *_files(last)]
    if verb in _OF_RUNS and not before:
        with suppress(OrchestratorError, OSError):
            return ["latest", *(folder.name for folder in list_runs(find_store())[:MOST_RUNS])]
    if verb in _OF_COMMANDS and len(before) == 1:
        with suppress(OrchestratorError, OSError):
            return list(attach(before[0]).state.commands)
    if verb == "rollback" and before and before[-1] in ("--to", "--undo"):
        with suppress(OrchestratorError, OSError):
            state = attach("latest" if before[0].startswith("-") else before[0]).state
            return [*state.commands, *(item.id for item in state.checkpoints)]
    if verb in ("save", "restore") and len(before) == 1:
        return _files(last, any_suffix=True)
    return []


def _parameters(target: str, names: Mapping[str, Any]) -> Iterable[str]:
    with suppress(OrchestratorError, OSError):
        flow = names.get(target)
        flow = flow if isinstance(flow, Workflow) else workflow_of(target)
        return list(flow.definition.parameters)
    return []


def _files(begun: str, *, any_suffix: bool = False) -> list[str]:
    folder = os.path.dirname(begun)
    found = []
    with suppress(OSError):
        for entry in sorted(Path(folder or ".").iterdir()):
            if entry.name.startswith(".") and not os.path.basename(begun).startswith("."):
                continue
            path = os.path.join(folder, entry.name)
            if entry.is_dir():
                found.append(f"{path}/")
            elif any_suffix or entry.suffix in _FILES:
                found.append(path)
    return found


def _beginning(words: Iterable[str], begun: str) -> list[str]:
    return [word for word in words if word.startswith(begun)]


def matcher(context: Any) -> Any:
    """Answer IPython's completer: nothing else is offered on a line of the magic."""
    from IPython import get_ipython
    from IPython.core.completer import SimpleCompletion

    line = context.text_until_cursor.rpartition("\n")[2]
    shell = get_ipython()
    found = complete(line, shell.user_ns if shell is not None else {})
    if found is None:
        return {"completions": [], "suppress": False}
    return {
        "completions": [SimpleCompletion(text=word, type="workflow") for word in found],
        "matched_fragment": re.split(r"\s", line)[-1],
        "suppress": True,
    }
