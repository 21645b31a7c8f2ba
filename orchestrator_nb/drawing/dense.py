"""A graph of very many commands as a field of small squares: a block for each level, from left to right, no edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

SIDE, STEP, GAP, MARGIN = 11, 15, 14, 12
TALL = 20
"""So many squares stand one above the other; a level of more goes on beside them."""

STYLE = (
    ".onb-graph .dot{fill:var(--onb-sunk);stroke:var(--c,var(--onb-edge))}"
    ".onb-graph [data-state=succeeded] .dot,.onb-graph [data-state=reused] .dot,.onb-graph [data-state=failed] .dot,"
    ".onb-graph [data-state=crashed] .dot{fill:var(--c)}"
    ".onb-graph [data-state=pending] .dot,.onb-graph [data-state=skipped] .dot{stroke:var(--onb-line)}"
    ".onb-graph [data-state=running] .dot{fill:var(--onb-paper);stroke-width:4}"
    ".onb-graph [data-state=upstream_failed] .dot,.onb-graph [data-state=cancelled] .dot{stroke-dasharray:2 2}"
    ".onb-graph .cross{display:none;stroke:var(--onb-paper);stroke-width:2}"
    ".onb-graph [data-state=failed] .cross,.onb-graph [data-state=crashed] .cross{display:inline}"
)


def field(upstream: Mapping[str, Sequence[str]], told: Mapping[str, tuple[str, str]]) -> tuple[float, float, str]:
    """Return how wide and tall the field is, and its squares as SVG; `told` has the state and the words of each."""
    level: dict[str, int] = {}
    for name, before in upstream.items():
        level[name] = 1 + max((level[other] for other in before), default=-1)
    blocks: list[list[str]] = [[] for _ in range(1 + max(level.values(), default=-1))]
    for name, number in level.items():
        blocks[number].append(name)
    left, rows, parts = float(MARGIN), 0, []
    for block in blocks:
        high = -(
            -len(block) // -(-len(block) // TALL)
        )  # the columns of a block are equally tall, as far as they can be
        rows = max(rows, high)
        for place, name in enumerate(block):
            column, row = divmod(place, high)
            parts.append(_square(name, *told[name], left + column * STEP, MARGIN + row * STEP))
        left += STEP * -(-len(block) // high) - STEP + SIDE + GAP
    return left - GAP + MARGIN, 2 * MARGIN + STEP * rows - STEP + SIDE, "".join(parts)


def _square(name: str, state: str, words: str, x: float, y: float) -> str:
    data = f' data-node="{escape(name)}" data-state="{state}"' if state else ""
    cross = f'<path class="cross" d="M{x + 3:g} {y + 3:g}l5 5m0 -5l-5 5"/>'
    return (
        f'<g{data} role="img" aria-label="{escape(words)}"><title>{escape(words)}</title>'
        f'<rect class="dot" x="{x:g}" y="{y:g}" width="{SIDE}" height="{SIDE}" rx="2.5"/>{cross}</g>'
    )
