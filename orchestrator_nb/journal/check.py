"""Whether a journal says what was written to it: its chain, its fold, and the order of its times."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from orchestrator_nb.data.finding import Finding
from orchestrator_nb.errors import StoreError
from orchestrator_nb.events import Event, RunResumed, RunStarted
from orchestrator_nb.journal.file import Position, continues
from orchestrator_nb.journal.follow import Follower
from orchestrator_nb.journal.store import JOURNAL
from orchestrator_nb.state.run_state import RunState

BACK = 60.0
"""Seconds by which a fact may be earlier than one before it: threads tell what they saw a little later."""

_AGAIN = "put back a copy of the file from a backup; `audit --export` saves what can still be read"


class Checked(NamedTuple):
    """What was read of a journal: the state that it adds up to, how far it could be read, what is wrong with it."""

    state: RunState
    position: Position
    findings: list[Finding]
    damaged: bool = False


def check_journal(folder: Path, *, each: Callable[[list[Event]], Iterable[Finding]] | None = None) -> Checked:
    """Read the journal of a run from its beginning. A torn tail is no finding: it never was.

    `each` is given every turn in its order, and returns what else is wrong with it.
    """
    path = folder / JOURNAL
    follower = Follower(path)
    findings: list[Finding] = []
    others: list[Finding] = []
    latest = 0.0
    try:
        for turn in follower.turns():
            others += each(turn) if each is not None else ()
            for event in turn:
                latest, found = out_of_time(event, latest)
                if found and not findings:
                    findings.append(Finding(place=f"{path}, event {follower.position.seq}", what=found, repair=_CLOCK))
    except StoreError as error:
        findings.append(Finding(place=str(path), what=str(error), repair=_AGAIN))
        return Checked(follower.state, follower.position, [*findings, *others], damaged=True)
    if follower.state.run.state == "new" and not findings:
        gone = "the first turn was never recorded and nothing has run: delete the folder"
        findings.append(Finding(place=str(path), what="it holds no whole turn", repair=gone))
    return Checked(follower.state, follower.position, [*findings, *others])


_CLOCK = "the clock was set back while the run went on: durations across that moment are wrong, the order is right"


def out_of_time(event: Event, latest: float) -> tuple[float, str]:
    """Return the latest time of this owner, and what is wrong with that of the event."""
    if isinstance(event, RunStarted) or (isinstance(event, RunResumed) and event.owner):
        return event.at, ""  # another owner may have another clock
    found = ""
    if event.at < latest - BACK:
        found = f'"{type(event).__name__}" is {latest - event.at:,.0f} s earlier than a fact before it'
    return max(event.at, latest), found


def check_length(folder: Path, known: Mapping[str, Any], position: Position) -> Iterator[Finding]:
    """Yield a finding where the journal lacks what somebody knew of it: `known` is a position as plain JSON."""
    path = folder / JOURNAL
    said = Position(int(known["offset"]), int(known["seq"]), str(known["prev"]))
    if said.seq > position.seq or not continues(path, said):
        what = (
            f"it ends with event {position.seq} or was changed; event {said.seq} had been recorded when the run ended"
        )
        yield Finding(place=str(path), what=what, repair=_AGAIN)
