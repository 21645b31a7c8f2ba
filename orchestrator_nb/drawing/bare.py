"""What a card says besides where a page keeps its words alone: GitHub, or a notebook that its reader does not trust.

Such pages drop style sheets, inline styles, classes and pictures. What is hidden by an inline style is read there only.
"""

from __future__ import annotations

from html import escape

from orchestrator_nb.drawing.glyphs import GLYPHS
from orchestrator_nb.drawing.icons import icon

SIGNS = {"paused": "‖", "warns": "△"}
"""The signs of what no command is: a run that is paused, a gate that only warns."""

APART = '<span style="display:none"> · </span>'
"""What stands between words that only a style sheet keeps apart."""


def bare(text: str) -> str:
    """Return text that is seen only where nothing but words is kept."""
    return f'<span style="display:none">{escape(text)}</span>'


def mark(state: str, words: str, *, pill: bool = False, more: str = "") -> str:
    """Return a state with its shape and colour, as a sign where there are neither; `words` and `more` are HTML."""
    if not state:
        return f'<span class="onb-state" data-state=""><span>{words}</span>{more}</span>'
    sign = bare(f"{GLYPHS[state].sign if state in GLYPHS else SIGNS[state]} ")
    if pill:
        return f'{sign}<span class="onb-pill" data-state="{state}">{icon(state)}{words}</span>'
    return f'{sign}<span class="onb-state" data-state="{state}">{icon(state)}<span>{words}</span>{more}</span>'
