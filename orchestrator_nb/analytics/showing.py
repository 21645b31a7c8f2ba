"""Where front ends say how they show dashboards: light, so that saying it costs no import of what dashboards are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

front_ends: list[Callable[[Any], bool]] = []
"""Each shows a dashboard where somebody is looking and can use it, and returns whether that was so."""
