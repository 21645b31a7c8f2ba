"""Durations: seconds written as a number or as text such as ``90s``, ``5m`` or ``1h30m``."""

from __future__ import annotations

import re
from typing import Any

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d)\s*"
_WHOLE = rf"(?:{_PART})+"


def seconds(value: Any) -> Any:
    """Return the seconds that a text with units stands for; anything else is given back as it is."""
    if isinstance(value, str) and len(value) <= 40 and re.fullmatch(_WHOLE, value.strip()):
        return sum(float(number) * _UNITS[unit] for number, unit in re.findall(_PART, value))
    return value
