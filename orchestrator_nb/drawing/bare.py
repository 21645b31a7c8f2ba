"""What a card says besides where a page keeps its words alone: GitHub, or a notebook that its reader does not trust.

GitHub drops style sheets, inline styles, classes and pictures. JupyterLab drops style sheets and pictures of a notebook
that is not trusted, keeps inline styles and classes, and shows the words of a picture that it has dropped. So what is to
be read there only is hidden by a style sheet, and a picture by an inline style, which the picture's own style sheet lifts.
"""

from __future__ import annotations

from html import escape

from orchestrator_nb.drawing.glyphs import GLYPHS
from orchestrator_nb.drawing.icons import icon

SIGNS = {"paused": "‖", "warns": "△"}
"""The signs of what no command is: a run that is paused, a gate that only warns."""

APART = '<span class="onb-bare"> · </span>'
"""What stands between words that only a style sheet keeps apart."""

SEEN = ".onb-drawn{display:block!important}.onb-drawn:not(:has(svg)){display:none!important}"
"""What the style sheet of every picture says of the place that it is in (see `drawn`)."""


def bare(text: str) -> str:
    """Return text that is seen only where nothing but words is kept."""
    return f'<span class="onb-bare">{escape(text)}</span>'


def drawn(svg: str) -> str:
    """Return a picture in a place of its own, where its words are not read as text once it was dropped; empty if it is."""
    return f'<div class="onb-drawn" style="display:none">{svg}</div>' if svg else ""


def mark(state: str, words: str, *, pill: bool = False, more: str = "") -> str:
    """Return a state with its shape and colour, as a sign where there are neither; `words` and `more` are HTML."""
    if not state:
        return f'<span class="onb-state" data-state=""><span>{words}</span>{more}</span>'
    sign = bare(f"{GLYPHS[state].sign if state in GLYPHS else SIGNS[state]} ")
    if pill:
        return f'{sign}<span class="onb-pill" data-state="{state}">{icon(state)}{words}</span>'
    return f'{sign}<span class="onb-state" data-state="{state}">{icon(state)}<span>{words}</span>{more}</span>'
