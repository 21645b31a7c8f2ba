"""Axes: where values lie on them, and the ticks that are written at them."""

from __future__ import annotations

import pytest

from orchestrator_nb.drawing.scale import Scale, scale_of


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.0, 10.0, ["0", "2", "4", "6", "8", "10"]),
        (0.0, 0.013, ["0", "0.005", "0.01"]),
        (-3.0, 3.0, ["-2", "0", "2"]),
        (0.0, 42_000.0, ["0", "10,000", "20,000", "30,000", "40,000"]),
    ],
)
def test_ticks_are_round_numbers(low, high, words):
    """They are 1, 2 or 5 times a power of ten apart, and none lies outside."""
    ticks = Scale("linear", low, high).ticks
    assert [told for _, told in ticks] == words
    assert all(0 <= place <= 1 for place, _ in ticks)


@pytest.mark.parametrize(
    ("ends", "first"),
    [
        (["2026-01-01 10:00:00", "2026-01-01 10:00:20"], "10:00:00"),
        (["2026-01-01 10:00:00", "2026-01-01 18:00:00"], "10:00"),
        (["2026-01-01 00:00:00", "2026-03-01 00:00:00"], "2026-01-08"),
    ],
)
def test_moments_are_told_as_their_distance_needs(ends, first):
    """Seconds, minutes or days; a moment lies where it lies in time."""
    scale = scale_of(ends, {})
    assert scale is not None
    assert scale.kind == "date"
    words = [told for _, told in scale.ticks]
    assert len(words) < 10
    assert len(words[0]) == len(first)
    assert scale.place(ends[0]) < 0.1
    assert scale.place(ends[1]) > 0.9


def test_names_stand_one_beside_the_other():
    """In the order that is asked for; what is no name of the axis has no place."""
    scale = scale_of(["b", "a", "b"], {"categoryarray": ["a", "b"]})
    assert scale is not None
    assert scale.ticks == [(0.25, "a"), (0.75, "b")]
    assert scale.place("c") is None


def test_an_axis_may_begin_at_zero_or_run_backwards():
    """With `tozero` nothing hangs above the ground; backwards the largest value comes first; without values none is."""
    ground = scale_of([5.0, 10.0], {"rangemode": "tozero"})
    assert ground is not None
    assert ground.place(0.0) == 0.0
    turned = scale_of([0.0, 1.0, float("nan"), None], {"autorange": "reversed"})
    assert turned is not None
    assert turned.place(1.0) < 0.1
    assert turned.place(0.0) > 0.9
    assert turned.place(float("nan")) is None
    assert scale_of([None], {}) is None
