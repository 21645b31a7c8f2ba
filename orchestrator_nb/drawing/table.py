"""Rows as a table of HTML in the look of cards: what statuses, results, checkpoints and histories show of themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from orchestrator_nb.drawing.bare import mark
from orchestrator_nb.drawing.card import RUN_LOOKS, style
from orchestrator_nb.drawing.glyphs import GLYPHS
from orchestrator_nb.drawing.icons import ICONS

STATES = ("state", "verdict")
"""The columns whose words have a shape and a colour."""


def table_card(lead: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, below: str = "") -> str:
    """Return a card with a line above and a table below it, every text of them escaped, and HTML `below` that."""
    body = "".join(f"<tr>{''.join(_cell(name, row[name]) for name in columns)}</tr>" for row in rows)
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    table = f'<table class="onb-rows onb-free"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>'
    return panel(f'<p class="onb-lead">{escape(lead)}</p>{table if body else ""}{below}', label=lead)


def panel(body: str, *, label: str) -> str:
    """Return HTML in the frame of a card, with the style sheet that it needs."""
    return f'<style>{style()}</style><section class="onb-panel" aria-label="{escape(label)}">{body}</section>'


def marked(words: str, *, looks: str | None = None) -> str:
    """Return a state or a verdict with its shape and colour, those of the state `looks` where that is given."""
    return mark(looks_of(words) if looks is None else looks, escape(words))


def looks_of(words: str) -> str:
    """Return the state of a command that what these words say looks like, empty where they say none."""
    name = words.split(",", maxsplit=1)[0].split(" (", maxsplit=1)[0].replace(" ", "_")
    found = {
        "passed": "succeeded",
        "error": "failed",
        "not_checked": "pending",
        "executing": "running",
        **RUN_LOOKS,
    }.get(name, name)
    return found if found in ICONS else ""


def _cell(name: str, value: Any) -> str:
    text = str(value)
    if name in STATES and text:
        return f"<td>{marked(GLYPHS[text].words if text in GLYPHS else text)}</td>"
    return f'<td title="{escape(text)}">{escape(text)}</td>' if len(text) > 40 else f"<td>{escape(text)}</td>"
