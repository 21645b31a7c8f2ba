"""A plan as plain text for people: the commands in the order of the run, what each runs, and what it waits for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.plan.edges import Edge
from orchestrator_nb.state.trigger_rules import DEFAULT

_SHOWN = 50
"""Characters of what a command runs that are shown."""


def listing(
    workflow: str,
    *,
    parameters: Mapping[str, Any],
    order: Sequence[str],
    commands: Mapping[str, CommandDefinition],
    upstream: Mapping[str, Sequence[str]],
    edges: Sequence[Edge],
    notes: Sequence[str],
    secrets: Sequence[str] = (),
) -> str:
    """Return the lines of a plan, whose parts are those of `Plan`: a heading, the names of the secrets, a row a command, the inferred edges with
    their reasons, the notes."""
    inferred = [edge for edge in edges if edge.inferred]
    heading = f"{workflow}: {_counted(len(order), 'command')}, {_counted(len(edges), 'edge')}"
    lines = [heading + (f", {len(inferred)} of them inferred" if inferred else "")]
    if parameters:
        lines.append("parameters: " + ", ".join(f"{name} = {_json(value)}" for name, value in parameters.items()))
    if secrets:
        lines.append(f"secrets: {', '.join(secrets)}")
    lines += ["", *_rows(order, commands, upstream)]
    if inferred:
        lines += ["", "inferred, because nobody wrote it:"]
        lines += [f"  {edge.downstream} after {edge.upstream}: {'; '.join(edge.reasons)}" for edge in inferred]
    if notes:
        lines += ["", *(f"note: {note}" for note in notes)]
    return "\n".join(lines)


def what_runs(command: CommandDefinition) -> str:
    """Return in short what a command runs: its notebook, its function, its program with the arguments."""
    shell = " ".join(command.shell or ())
    text = command.notebook or command.call or command.command or command.workflow or shell or str(command.type)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _rows(
    order: Sequence[str], commands: Mapping[str, CommandDefinition], upstream: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    rows = [
        (str(number), name, commands[name].kind, what_runs(commands[name]))
        for number, name in enumerate(order, start=1)
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    for row in rows:
        number, *cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        yield "  ".join((row[0].rjust(len(number)), *cells, _route(commands[row[1]], upstream[row[1]]))).rstrip()


def _route(command: CommandDefinition, upstream: Sequence[str]) -> str:
    """Return what a command waits for, by which rule where that is not the usual one, and its condition."""
    rule = "" if command.trigger_rule == DEFAULT else f" ({command.trigger_rule})"
    after = f"after {', '.join(upstream)}{rule}" if upstream else ""
    again = ", ".join(f"{name} {value}" for name, value in command.retry_resources.items())
    parts = (after, f"when {command.when}" if command.when else "", f"(retries hold {again})" if again else "")
    return " ".join(part for part in parts if part)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
