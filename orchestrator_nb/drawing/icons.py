"""A shape for each state of a command, so that colour is never needed alone: paths in a square of 16 by 16."""

from __future__ import annotations

RING = "M8 2a6 6 0 1 1 0 12a6 6 0 1 1 0-12zm0 1.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9z"
DISC = "M8 1.5a6.5 6.5 0 1 1 0 13a6.5 6.5 0 1 1 0-13z"

ICONS = {
    "pending": RING,
    "ready": f"{RING}M8 5.6a2.4 2.4 0 1 1 0 4.8a2.4 2.4 0 1 1 0-4.8z",
    "running": f"{DISC}M6.3 4.9v6.2l5-3.1z",
    "waiting": f"{RING}M7.3 4.6h1.4v3.1l2.3 1.4-.7 1.1-3-1.8z",
    "succeeded": f"{DISC}M4.5 8.2l1-1 1.8 1.8 3.3-3.9 1.1.9-4.3 5.1z",
    "reused": f"{DISC}M4.8 5.7h6.4v1.5H4.8zm0 3.1h6.4v1.5H4.8z",
    "failed": f"{DISC}M5.6 4.6L8 7l2.4-2.4 1 1L9 8l2.4 2.4-1 1L8 9l-2.4 2.4-1-1L7 8 4.6 5.6z",
    "crashed": "M8 1l7.2 13.4H.8zM7.2 5.6l.2 4.2h1.2l.2-4.2zM7.2 11h1.6v1.6H7.2z",
    "skipped": "M3 3.2l5 4.1V3.2L14 8l-6 4.8V8.7l-5 4.1z",
    "upstream_failed": f"{RING}M4.3 5l.9-.9 6.6 6.7-.9.9z",
    "cancelled": "M3 3h10v10H3z",
    "warns": "M8 1l7.2 13.4H.8zM8 3.2L2.5 13.4h11zM7.4 6.6l.2 3.4h.8l.2-3.4zM7.3 11h1.4v1.4H7.3z",
    "paused": "M4 3h3v10H4zM9 3h3v10H9z",
}
"""Drawn with the rule `evenodd`, so that what lies inside of a disc is a hole in it."""


def icon(state: str, *, size: int = 14) -> str:
    """Return a state's shape as a small SVG of the colour of the text around it; nothing is said to a screen reader."""
    return (
        f'<svg class="onb-icon" width="{size}" height="{size}" viewBox="0 0 16 16" aria-hidden="true" focusable="false">'
        f'<path fill="currentColor" fill-rule="evenodd" d="{ICONS[state]}"/></svg>'
    )
