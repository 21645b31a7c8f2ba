"""A plan as text for people and as JSON for machines."""

from __future__ import annotations

import dataclasses
import json

from orchestrator_nb.cli.glyphs import counted
from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.plan.plan import Plan


def plan_text(plan: Plan) -> str:
    """Return the commands in the order of the run, each with what it runs and what it waits for, and why."""
    inferred = [edge for edge in plan.edges if edge.inferred]
    lines = [f"{plan.definition.workflow}: {counted(len(plan.order), 'command')}, {counted(len(plan.edges), 'edge')}"]
    lines[0] += f", {len(inferred)} of them inferred" if inferred else ""
    if plan.parameters:
        lines.append("parameters: " + ", ".join(f"{name} = {_json(value)}" for name, value in plan.parameters.items()))
    rows = [
        (str(number), name, plan.commands[name].kind, _what(plan.commands[name]), _after(plan, name))
        for number, name in enumerate(plan.order, start=1)
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    lines.append("")
    for number, name, kind, what, after in rows:
        cells = (number.rjust(widths[0]), name.ljust(widths[1]), kind.ljust(widths[2]), what.ljust(widths[3]), after)
        lines.append("  ".join(cells).rstrip())
    if inferred:
        lines += ["", "inferred, because nobody wrote it:"]
        lines += [f"  {edge.downstream} after {edge.upstream}: {'; '.join(edge.reasons)}" for edge in inferred]
    if plan.notes:
        lines += ["", *(f"note: {note}" for note in plan.notes)]
    return "\n".join(lines)


def plan_json(plan: Plan) -> str:
    """Return the plan as one JSON object."""
    return _json(
        {
            "workflow": plan.definition.workflow,
            "folder": str(plan.folder),
            "parameters": dict(plan.parameters),
            "order": list(plan.order),
            "commands": {
                name: {
                    "kind": plan.commands[name].kind,
                    "runs": _what(plan.commands[name]),
                    "upstream": list(plan.upstream[name]),
                }
                for name in plan.order
            },
            "edges": [dataclasses.asdict(edge) for edge in plan.edges],
            "notes": list(plan.notes),
        }
    )


def _what(command: CommandDefinition) -> str:
    shell = " ".join(command.shell or ())
    text = command.notebook or command.call or command.command or command.workflow or shell or str(command.type)
    return text if len(text) <= 50 else f"{text[:47]}..."


def _after(plan: Plan, name: str) -> str:
    upstream = plan.upstream[name]
    return f"after {', '.join(upstream)}" if upstream else ""


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
