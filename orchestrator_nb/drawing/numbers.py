"""Numbers as people read them: four significant digits, more only where fewer would hide a difference."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

DIGITS = 4
"""Significant digits of a number; what stands before the decimal point is never rounded."""
_EXACT = 17


def number(value: float, *, beside: float | None = None) -> str:
    """Return a number in words; one that differs from the number `beside` it is told so that this can be seen."""
    if not math.isfinite(value) or value == int(value):
        return f"{value:,.0f}" if math.isfinite(value) and abs(value) < 1e15 else f"{value:g}"
    for digits in range(DIGITS, _EXACT + 1):
        near = _near(value, digits)
        if beside is None or value == beside or near != beside:
            break
    whole = len(f"{abs(near):.0f}")
    return f"{near:,.{max(digits, whole)}g}"


def rounded(value: Any) -> Any:
    """Return plain data with its fractions rounded, whole numbers and everything else as it is."""
    if isinstance(value, float):
        return _near(value, DIGITS) if math.isfinite(value) else value
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    return value


def _near(value: float, digits: int) -> float:
    whole = len(f"{abs(value):.0f}")
    return float(f"{value:.{min(_EXACT, max(digits, whole))}g}")
