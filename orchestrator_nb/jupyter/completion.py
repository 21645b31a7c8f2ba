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
from orchestrator_nb.jupyter.arguments import (
    PARAMETERS,
    PART,
    STARTING,
    STORE,
    TO,
    choices_of,
    options_of,
    positions,
    takes_value,
)
from orchestrator_nb.orchestrator.attaching import attach
from orchestrator_nb.orchestrator.store.history import summaries
from orchestrator_nb.orchestrator.target import workflow_of
from orchestrator_nb.orchestrator.verbs import VERBS
from orchestrator_nb.orchestrator.workflow import Workflow

MOST_RUNS = 30
_MAGIC = re.compile(r"^(?:\s*[\w.]+\s*=\s*)?\s*(%%?)workflow\s+(.*)$")
_CELL = ("--run", *(name for name, _ in (*PARAMETERS, *PART, *STARTING, STORE, TO)))
_FILES = (".yaml", ".yml", ".json", ".ipynb")


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
    """Return what may stand at this place: the value of an option, else what the verb is about, else its options."""
    found: list[str] = []
    with suppress(OrchestratorError, OSError):
        found = list(
            _values(verb, before, last, names)
            if _wants_value(verb, before)
            else _subjects(verb, [word for word in before if not word.startswith("-")], last, names)
        )
    return found or ([] if last or _wants_value(verb, before) else options_of(verb))


def _wants_value(verb: str, before: list[str]) -> bool:
    return bool(before) and takes_value(verb, before[-1])


def _values(verb: str, before: list[str], last: str, names: Mapping[str, Any]) -> Iterable[str]:
    """Return what the option may be given that stands before this place."""
    option = before[-1]
    if option in ("-p", "-r"):
        return _parameters(before[0], names) if verb in ("run", "plan") else []
    if option in ("-f", "--store", "--out"):
        return _files(last, any_suffix=True)
    if option == "--workflow":
        return sorted({row["workflow"] for row in summaries(find_store(), limit=MOST_RUNS)})
    if verb == "rollback" and option in ("--to", "--undo"):
        state = attach("latest" if before[0].startswith("-") else before[0]).state
        return [*state.commands, *(item.id for item in state.checkpoints)]
    if verb in ("run", "plan") and option in ("--only", "--from", "--until"):
        return [command.id for command in _workflow(before[0], names).definition.commands]
    if verb == "resume" and option == "--from":
        return attach("latest" if before[0].startswith("-") else before[0]).state.commands
    return choices_of(verb, option)


def _subjects(verb: str, before: list[str], last: str, names: Mapping[str, Any]) -> Iterable[str]:
    """Return what the verb may be about; `before` are the words in front of this place, without options."""
    takes = positions(verb)
    if takes[:1] == ("target",) and not before:
        flows = [name for name, value in names.items() if isinstance(value, Workflow) and not name.startswith("_")]
        return [*flows, *_files(last)]
    if verb in ("save", "restore") and before:
        return _files(last, any_suffix=True)
    if takes[:1] == ("run",):
        about = _of_run(takes[1:], before)
        return about if before else [*about, "latest", *(folder.name for folder in list_runs(find_store())[:MOST_RUNS])]
    if verb == "dashboard" and not before:
        return choices_of(verb, "name")
    if verb == "trends" and not before:
        from orchestrator_nb.analytics.history import History

        return ["seconds", "busy", "efficiency", "overhead", *History(find_store()).metric_names()]
    return []


def _of_run(takes: tuple[str, ...], before: list[str]) -> list[str]:
    """Return what of a run may be named here: the run itself may be left out, it is the latest then."""
    named = bool(before) and not before[0].isdigit()
    if not takes or len(before) - named >= len(takes):
        return []
    run = attach(before[0] if named else "latest")
    if takes == ("command",):
        return list(run.state.commands)
    if len(before) == named:
        return [str(decision.number) for decision in run.decisions() if decision.is_open]
    return [option for decision in run.decisions() if str(decision.number) == before[-1] for option in decision.options]


def _parameters(target: str, names: Mapping[str, Any]) -> Iterable[str]:
    return _workflow(target, names).definition.parameters


def _workflow(target: str, names: Mapping[str, Any]) -> Workflow:
    flow = names.get(target)
    return flow if isinstance(flow, Workflow) else workflow_of(target)


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
