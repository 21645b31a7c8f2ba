"""The panel of a run on a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from orchestrator_nb import events as e
from orchestrator_nb.cli.panel import PanelDisplay, panel
from orchestrator_nb.drawing.glyphs import GLYPHS, can_show, duration
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.transitions import COMMAND_STATES


def state_of(count=3):
    """Return the state of a run of `count` commands: one succeeded, one in its third of five cells, the rest pending."""
    names = [f"c{number}" for number in range(count)]
    plan = {name: {"kind": "notebook", "upstream": [] if name in names[:2] else ["c1"]} for name in names}
    state = RunState()
    for event in [
        e.RunStarted(at=100.0, run="r1", workflow="w"),
        e.RunPlanned(at=100.0, commands=plan),
        e.AttemptStarted(at=100.0, command="c0", attempt=1),
        e.AttemptReturned(at=103.0, command="c0", attempt=1, seconds=3.0),
        e.CommandSucceeded(at=103.0, command="c0", attempt=1),
        e.AttemptStarted(at=103.0, command="c1", attempt=1),
        e.CellStarted(at=104.0, command="c1", attempt=1, cell=4, number=3, of=5),
    ]:
        state.apply(event)
    return state


def lines_of(picture):
    """Return what a picture looks like on a terminal of a hundred columns."""
    out = io.StringIO()
    Console(file=out, width=100).print(picture)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_each_command_has_its_line():
    """State, cell and times of every command, in the order of the plan, and a line for the whole."""
    head, *rows, bar = lines_of(panel(state_of(), {"c1": "a note"}, now=115.0, rows=10))
    assert head.split() == ["w", "executing", "run", "r1"]
    assert [row.split() for row in rows] == [
        ["✔", "c0", "succeeded", "3.0", "s"],
        ["▶", "c1", "cell", "3", "of", "5", "12", "s", "a", "note"],
        ["·", "c2", "pending"],
    ]
    assert "1 of 3 done, 1 running, 15 s" in bar


def test_where_room_is_short_the_lively_ones_are_shown():
    """Of many commands those that run stay in sight, and the others are counted."""
    lines = lines_of(panel(state_of(50), {}, now=115.0, rows=2))
    assert [line.split()[1] for line in lines[1:3]] == ["c0", "c1"]
    assert "48 more commands" in lines[3]


def test_a_terminal_without_the_signs_gets_letters():
    """The signs have stand-ins in ASCII, so that the shape never depends on the encoding."""
    lines = lines_of(panel(state_of(), {}, now=115.0, rows=10, signs=False))
    assert [line.split()[0] for line in lines[1:4]] == ["+", ">", "."]
    assert not can_show(io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert can_show(io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))


def test_every_state_has_a_shape_of_its_own():
    """No two states look alike, neither with signs nor with letters."""
    assert set(GLYPHS) == set(COMMAND_STATES)
    assert len({glyph.sign for glyph in GLYPHS.values()}) == len(GLYPHS)
    assert len({glyph.ascii for glyph in GLYPHS.values()}) == len(GLYPHS)


def test_the_display_ends_when_its_terminal_is_gone():
    """A closed stream ends the drawing and nothing else."""
    stream = io.StringIO()
    stream.close()
    display = PanelDisplay(stream)
    display.begin("run r1")
    display([], state_of())
    display.close()
    assert not display._drawer.is_alive()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1.0, "0 ms"),
        (0.04, "40 ms"),
        (0.0996, "0.1 s"),
        (9.94, "9.9 s"),
        (12.4, "12 s"),
        (59.6, "1:00"),
        (187.0, "3:07"),
        (3765.0, "1:02:45"),
    ],
)
def test_durations_read_as_people_write_them(seconds, text):
    """Milliseconds below a tenth of a second, tenths below ten, then seconds, minutes and hours."""
    assert duration(seconds) == text
