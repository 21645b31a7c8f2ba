"""From values to places on an axis: numbers, moments and names, and the ticks that are written at them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

TICKS = 5
"""So many ticks an axis has, roughly."""
LONGEST = 22
"""Letters of a name that are shown at an axis."""

_STEPS = (60, 300, 900, 1800, 3600, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 2_592_000, 31_536_000)
"""Seconds between two ticks of an axis of time, above those of numbers."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Where a value lies between 0 and 1, and the ticks as ``(place, words)``.

    `names` are those of an axis of categories, the first one at 0; one that is drawn `backwards` has the highest there.
    """

    kind: str
    low: float
    high: float
    names: tuple[str, ...] = ()
    backwards: bool = False

    def place(self, value: Any) -> float | None:
        """Return where a value lies, None for one that is none."""
        place = self._place(value)
        return 1.0 - place if self.backwards and place is not None else place

    def _place(self, value: Any) -> float | None:
        if self.kind == "category":
            name = str(value)
            return (self.names.index(name) + 0.5) / len(self.names) if name in self.names else None
        number = as_number(value, self.kind)
        return None if number is None else (number - self.low) / (self.high - self.low)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """The ticks that an axis shows."""
        if self.kind == "category":
            return [(self.place(name) or 0.0, _shortened(name)) for name in self.names]
        span = self.high - self.low
        step = _time_step(span) if self.kind == "date" else _step(span)
        first = math.ceil(self.low / step - 1e-9) * step
        count = math.floor((self.high - first) / step + 1e-9) + 1
        values = [first + number * step for number in range(count)]
        places = [(value - self.low) / span for value in values]
        return [
            (1.0 - place if self.backwards else place, self._words(value, step))
            for place, value in zip(places, values, strict=True)
        ]

    def _words(self, value: float, step: float) -> str:
        if self.kind != "date":
            return f"{round(value / step) * step:,.10g}"
        moment = datetime.fromtimestamp(value, tz=timezone.utc)
        return moment.strftime("%H:%M:%S" if step < 60 else "%H:%M" if step < 43_200 else "%Y-%m-%d")


def scale_of(values: Sequence[Any], axis: dict[str, Any]) -> Scale | None:
    """Return the scale of an axis with these values, as plotly's layout describes it; None where there are none."""
    there = [value for value in values if value is not None]
    if not there:
        return None
    kind = axis.get("type") or ("linear" if _are_numbers(there) else "date" if _are_moments(there) else "category")
    if kind == "category":
        names = dict.fromkeys(map(str, there))
        ordered = [name for name in axis.get("categoryarray", ()) if name in names]
        return Scale("category", 0.0, 1.0, (*ordered, *(name for name in names if name not in ordered)))
    numbers = [number for value in there if (number := as_number(value, kind)) is not None]
    if not numbers:
        return None
    low, high, backwards = min(numbers), max(numbers), axis.get("autorange") == "reversed"
    if axis.get("range") is not None:
        low, high = (as_number(value, kind) or 0.0 for value in axis["range"])
        return Scale(kind, low, high)
    if kind == "linear" and axis.get("rangemode") == "tozero":
        low, high = min(low, 0.0), max(high, 0.0)
    room = 0.05 * (high - low) or (1.0 if kind == "date" else abs(high) * 0.1 or 1.0)
    at_zero = kind == "linear" and low == 0.0 and axis.get("rangemode") == "tozero"
    return Scale(kind, low if at_zero else low - room, high + room, backwards=backwards)


def as_number(value: Any, kind: str) -> float | None:
    """Return a value of an axis as a number, a moment as seconds since the epoch; None for what is none."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and kind != "category" else None


def _are_numbers(values: Sequence[Any]) -> bool:
    return not any(isinstance(value, str) for value in values)


def _are_moments(values: Sequence[Any]) -> bool:
    return all(as_number(value, "date") is not None for value in values[:20])


def _step(span: float) -> float:
    """Return a step of 1, 2 or 5 times a power of ten."""
    rough = span / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    return float(next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9)))


def _time_step(span: float) -> float:
    rough = span / TICKS
    return max(_step(span), 1.0) if rough <= 30 else next((step for step in _STEPS if step >= rough), _STEPS[-1])


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 9]}…{name[-8:]}"
