"""The bundle with which a command is handed over to a person: the whole story, as Markdown to read and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from orchestrator_nb.data.flush import write_whole
from orchestrator_nb.data.plain import indented
from orchestrator_nb.journal.file import read
from orchestrator_nb.journal.store import JOURNAL
from orchestrator_nb.orchestrator.display.advice import advice
from orchestrator_nb.orchestrator.display.shown import as_text
from orchestrator_nb.orchestrator.display.why import why
from orchestrator_nb.state.escalation import HANDOFF, MEANINGS
from orchestrator_nb.state.records import DecisionRecord
from orchestrator_nb.state.run_state import RunState

MARKDOWN, JSON = "handoff.md", "handoff.json"


def handed_over(state: RunState) -> list[DecisionRecord]:
    """Return the decisions that are left to whoever takes the run."""
    return [decision for decision in state.open_decisions() if decision.level >= HANDOFF and decision.command]


def write_handoff(folder: Path, state: RunState) -> None:
    """Write both files into the run's folder, each whole or not at all, where something was handed over.

    Raises StoreError.
    """
    decisions = handed_over(state)
    if not decisions:
        return
    document = {
        "run": state.run.run or folder.name,
        "workflow": state.run.workflow,
        "state": state.run.state,
        "parameters": dict(state.run.parameters),
        "folder": str(folder),
        "commands": {
            name: {"state": record.state, "attempts": record.attempt, "upstream": list(state.planned[name].upstream)}
            for name, record in state.commands.items()
        },
        "handed_over": [_one(decision, folder, state) for decision in decisions],
    }
    write_whole(folder / JSON, indented(document))
    text = as_text("\n".join(_markdown(document)) + "\n")
    write_whole(folder / MARKDOWN, text.encode("utf-8", "backslashreplace"))


def _one(decision: DecisionRecord, folder: Path, state: RunState) -> dict[str, Any]:
    command = str(decision.command)
    record = state.commands[command]
    failure = record.failure
    files = {name: str(folder / path) for name in ("notebook", "log") if (path := getattr(record, name))}
    run = state.run.run or folder.name
    return {
        "decision": decision.number,
        "command": command,
        "question": decision.question,
        "evidence": dict(decision.evidence),
        "error": None if record.error is None else msgspec.to_builtins(record.error),
        "failure": None if failure is None else msgspec.to_builtins(failure),
        "what_was_tried": list(why(command, read(folder / JOURNAL), state).facts),
        "parameters_changed": dict(record.parameters),
        "partial_results": sorted({**record.partial, **record.recorded}),
        "files": files,
        "recommended": list(advice(record)),
        "waits_for_it": [name for name, planned in state.planned.items() if command in planned.upstream],
        "how_to_hand_back": {
            option: f'orchestrator-nb decide {run} {decision.number} "{option}"' for option in decision.options
        },
        "then": f"orchestrator-nb resume {run}",
    }


def _markdown(document: dict[str, Any]) -> Iterator[str]:
    yield f"# {document['workflow']}: handed over"
    yield ""
    yield f"Run `{document['run']}` in `{document['folder']}`."
    if document["parameters"]:
        yield ""
        yield "Parameters: " + ", ".join(f"`{name}` = `{value!r}`" for name, value in document["parameters"].items())
    for item in document["handed_over"]:
        yield from _section(item)
    yield from ("", "## Where the run stands", "", "| command | state | attempts | after |", "|---|---|---|---|")
    for name, record in document["commands"].items():
        yield f"| {name} | {record['state']} | {record['attempts']} | {', '.join(record['upstream'])} |"


def _section(item: dict[str, Any]) -> Iterator[str]:
    yield from ("", f"## {item['command']}", "", item["question"])
    if item["error"] is not None:
        error = item["error"]
        told = ", ".join(error.get("evidence", ()))
        kind = error["kind"].replace("_", " ")
        yield from ("", f"Kind of error: {kind}, {error['severity']}" + (f" (told by {told})" if told else ""))
    yield from ("", "What was tried:", "", *(f"- {fact}" for fact in item["what_was_tried"]))
    if item["failure"] is not None and item["failure"].get("traceback"):
        yield from ("", "```", *item["failure"]["traceback"].rstrip().splitlines(), "```")
    if item["partial_results"]:
        yield from ("", f"There are partial results: {', '.join(item['partial_results'])}")
    yield from (f"- {name}: `{path}`" for name, path in item["files"].items())
    if item["recommended"]:
        yield from ("", "What may help:", "", *(f"- {text}" for text in item["recommended"]))
    if item["waits_for_it"]:
        yield from ("", f"These wait for it: {', '.join(item['waits_for_it'])}")
    yield from ("", "How to hand it back, when it is mended or done:", "")
    for option, command in item["how_to_hand_back"].items():
        yield f"- `{command}`: {MEANINGS.get(option, 'an answer')}"
    yield from ("", f"Then: `{item['then']}`")
