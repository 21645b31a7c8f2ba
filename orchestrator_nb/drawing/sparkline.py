"""A figure over runs as a small line of SVG: its shape, its last value, and between which values it lies."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT, EDGE = 420.0, 56.0, 5.0


def sparkline(values: Sequence[float], *, label: str) -> str:
    """Return the values, the oldest first, as a line with a dot for each and a larger one for the last."""
    lowest, highest = min(values), max(values)
    span = (highest - lowest) or 1.0
    step = (WIDTH - 2 * EDGE) / max(1, len(values) - 1)
    points = [
        (
            EDGE + place * step,
            HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * ((value - lowest) / span if highest > lowest else 0.5),
        )
        for place, value in enumerate(values)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{4 if place == len(points) - 1 else 2}"><title>{value:g}</title></circle>'
        for place, ((x, y), value) in enumerate(zip(points, values, strict=True))
    )
    told = f"{label}: {len(values)} values from {lowest:.4g} to {highest:.4g}, the last {values[-1]:.4g}"
    return (
        f'<svg class="onb-spark" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" '
        f'width="{WIDTH:.0f}" height="{HEIGHT:.0f}" role="img" aria-label="{escape(told)}">'
        f'<polyline points="{line}"/>{dots}</svg>'
    )
