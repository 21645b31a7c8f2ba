"""The progress of a run in plain lines."""

from __future__ import annotations

import io
import os
import threading

import pytest

from orchestrator_nb import events as e
from orchestrator_nb.cli.progress import PlainDisplay
from orchestrator_nb.orchestrator.display.telling import lines_of
from orchestrator_nb.state.run_state import RunState

FAILURE = e.Failure(kind="exception", message="no such column\nmore", types=("builtins.KeyError", "builtins.Exception"))
STORY = [
    e.RunStarted(at=0.0, run="r1", workflow="w", slots=2),
    e.RunPlanned(at=0.0, commands={"a": {"kind": "call"}, "later": {"kind": "call", "upstream": ["a"]}}),
    e.AttemptStarted(at=1.0, command="a", attempt=1),
    e.AttemptFailed(at=2.0, command="a", attempt=1, seconds=1.0, failure=FAILURE),
    e.RetryScheduled(at=2.0, command="a", due=4.0, retry=1, retries=3),
    e.RetryDue(at=4.0, command="a"),
    e.AttemptStarted(at=4.0, command="a", attempt=2),
    e.AttemptReturned(at=5.5, command="a", attempt=2, seconds=1.5),
    e.CommandSucceeded(at=5.5, command="a", attempt=2),
    e.NoticeGiven(at=6.0, text="a word to all"),
]


def told(events):
    """Return the lines of a story, their clock cut off."""
    state = RunState()
    lines = []
    for event in events:
        state.apply(event)
        lines += [line[9:] for line in lines_of([event], state)]
    return lines


def test_the_story_is_told_line_by_line():
    """Each change that a person wants to know of is one line, and nothing else is."""
    assert told(STORY) == [
        "w: 2 commands, 2 at a time",
        "a      started",
        "a      failed after 1.0 s: KeyError: no such column",
        "a      retry 1 of 3 in 2.0 s",
        "a      started, attempt 2",
        "a      succeeded in 1.5 s",
        "a word to all",
    ]


def test_every_kind_of_event_can_be_told():
    """No event that the state takes in makes the display raise."""
    failed = e.AttemptFailed(at=2.0, command="a", attempt=1, seconds=1.0, failure=FAILURE, crashed=True)
    lines = told([
        *STORY[:3], failed, e.CommandCrashed(at=2.0, command="a"),
        e.UpstreamFailed(at=2.0, command="later", upstream=("a",)),
        e.RunPaused(at=2.0, reason="interrupted", leaving=True), e.RunResumed(at=3.0, reason="asked to"),
        e.CommandReopened(at=3.0, command="a", reason="it had crashed"),
        e.DefinitionChanged(at=3.0, changes=('"a" has changed',)), e.JournalCut(at=3.0, bytes=3, file="x"),
        e.RunStopping(at=4.0, reason="enough"), e.CommandCancelled(at=4.0, command="a", reason="enough"),
        e.RunEnded(at=4.0, state="stopped", reason="enough"),
    ])  # fmt: skip
    assert lines[2:] == [
        "a      crashed after 1.0 s: KeyError: no such column",
        "later  not run: a did not succeed",
        "paused: interrupted",
        'run "r1" goes on: asked to',
        "a      runs anew: it had crashed",
        'changed since the run began: "a" has changed',
        "a torn end of the journal was moved aside",
        "stopping: enough",
        "a      cancelled: enough",
        "stopped: enough",
    ]


def test_a_question_and_its_escalation_and_answer_are_told():
    """With their numbers and what can be answered; one that nobody gave is told as the default."""
    asked = {"command": "a", "question": "How does it go on?"}
    lines = told([
        *STORY[:4],
        e.DecisionRequested(at=2.0, number=1, options=("retry", "skip"), **asked),
        e.DecisionDue(at=3.0, number=1, command="a"),
        e.DecisionRequested(at=3.0, number=2, options=("done", "skip"), level=3, default="skip", **asked),
        e.DecisionMade(at=4.0, number=2, answer="skip", command="a", by_default=True),
        e.CommandSkipped(at=4.0, command="a", reason="decision 2"),
    ])  # fmt: skip
    assert lines[3:] == [
        "a      decision 1: How does it go on? (retry, skip)",
        "a      decision 2: How does it go on? (done, skip)",
        'a      decision 2: "skip" by default',
        "a      skipped: decision 2",
    ]


def test_a_rollback_is_told_from_its_beginning_to_its_end():
    """What it goes back to, how much went back and what did not; one that cannot be is told with its reason."""
    lines = told([
        *STORY[:3], e.AttemptReturned(at=2.0, command="a", attempt=1, seconds=1.0),
        e.CommandSucceeded(at=2.0, command="a", attempt=1), e.RunPaused(at=2.0, reason="a rollback"),
        e.RollbackAsked(at=2.0, rollback="b1", to="start", because="asked to"),
        e.RollbackFailed(at=2.5, rollback="b1", reason='"x.csv" changed since', refused=True),
        e.RollbackAsked(at=3.0, rollback="b2", undo=("a",), because="asked to"),
        e.RolledBack(at=4.0, rollback="b2", what="without a", commands=("a",), restored=("y.csv",), removed=("z.csv",),
                     conflicts={"x.csv": "changed since"}),
    ])  # fmt: skip
    assert lines[3:] == [
        "paused: a rollback",
        "will be rolled back to start once nothing runs: asked to",
        'not rolled back: "x.csv" changed since',
        "will be rolled back without a once nothing runs: asked to",
        "rolled back without a: 2 files, 1 command to run again, 1 file left as they are",
    ]


def shown(display):
    """Give a display the whole story."""
    state = RunState()
    for event in STORY:
        state.apply(event)
        display([event], state)


def test_the_introduction_comes_first():
    """What is said at the beginning stands above all changes."""
    stream = io.StringIO()
    display = PlainDisplay(stream)
    shown(display)
    display.begin("run r1")
    display.close()
    lines = stream.getvalue().splitlines()
    assert lines[0] == "run r1"
    assert len(lines) == 8


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_stream_is_given_up():
    """A stream that takes nothing ends the display, and nothing is raised."""
    with open("/dev/full", "w", encoding="utf-8") as full:
        display = PlainDisplay(full)
        display.begin("run r1")
        shown(display)
        display.close()
        assert not display._writer.is_alive()
        with pytest.raises(OSError, match="No space"):
            full.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())


def test_a_reader_that_does_not_read_holds_up_nobody():
    """A pipe that is full blocks the display's own thread only; turns are taken in at once."""
    reader, writer = os.pipe()
    stream = os.fdopen(writer, "w", encoding="utf-8")
    display = PlainDisplay(stream)
    display.begin("x" * 300_000)
    done = threading.Event()

    def turns():
        shown(display)
        done.set()

    threading.Thread(target=turns, daemon=True).start()
    assert done.wait(10)
    assert display._writer.is_alive()
    os.close(reader)
    display.close()
    assert not display._writer.is_alive()
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    stream.close()
