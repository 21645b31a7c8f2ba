"""A workflow as a card of HTML: its parameters and its commands, as they are written."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from orchestrator_nb.definition.models import CommandDefinition, WorkflowDefinition
from orchestrator_nb.drawing.bare import APART
from orchestrator_nb.drawing.card import style

MOST = 100
"""So many commands are listed at the most."""


def workflow_card(definition: WorkflowDefinition) -> str:
    """Return the card of a definition; every text is escaped."""
    commands = definition.commands
    rows = "".join(f"<tr>{''.join(_cells(command))}</tr>" for command in commands[:MOST])
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("Command", "Type", "After", "Runs"))
    more = f'<p class="onb-none">and {len(commands) - MOST:,} more commands</p>' if len(commands) > MOST else ""
    parameters = ", ".join(
        f"{name}: {item.type}" + ("" if item.required else f" = {item.default!r}")
        for name, item in definition.parameters.items()
    )
    count = f"{len(commands):,} command{'s' * (len(commands) != 1)}"
    return (
        f'<style>{style()}</style><section class="onb-panel" aria-label="workflow {escape(definition.workflow)}">'
        f'<div class="onb-head"><b class="onb-name">{escape(definition.workflow)}</b>'
        f'{APART}<span class="onb-run">{count}</span></div>'
        f'<p class="onb-sum"><span>{escape(parameters or "no parameters")}</span></p>'
        + (f'<p class="onb-sum"><span>{escape(definition.description)}</span></p>' if definition.description else "")
        + f'<table class="onb-rows"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>{more}</section>'
    )


def _cells(command: CommandDefinition) -> Iterator[str]:
    runs = command.notebook or command.call or (" ".join(command.shell) if command.shell else "") or command.id
    yield f'<td><span class="onb-id">{escape(command.id)}</span></td>'
    yield f"<td>{escape(command.kind)}</td>"
    yield f"<td>{escape(', '.join(command.after))}</td>"
    yield f'<td class="onb-last" title="{escape(runs)}">{escape(runs)}</td>'
