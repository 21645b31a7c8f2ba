"""An audit while a run goes on: what has to hold is looked at as facts come in, and what does not is told at once."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from orchestrator_nb.data.finding import Finding
from orchestrator_nb.errors import StoreError
from orchestrator_nb.events import Event
from orchestrator_nb.journal.follow import Follower
from orchestrator_nb.journal.owner import is_owned
from orchestrator_nb.journal.store import JOURNAL
from orchestrator_nb.orchestrator.store.audit import audit_run
from orchestrator_nb.orchestrator.store.invariants import Invariants
from orchestrator_nb.state.run_state import RunState

LOOK_EVERY = 1.0
"""Seconds between two looks at the files."""

_IMPOSSIBLE = "stop the run; `audit --export` saves what can still be read"


def watch_run(folder: Path, *, every: float = LOOK_EVERY) -> Iterator[Finding]:
    """Yield what is wrong with a run, from its beginning and then as it comes, until nobody drives it; at the end the
    whole of it is audited. Nothing of the run is changed."""
    follower, invariants = Follower(folder / JOURNAL), Invariants(folder)
    told: set[tuple[str, str]] = set()
    while True:
        owned = is_owned(folder)
        try:
            for turn in follower.turns():
                yield from _noted(invariants.take(turn), told)
        except StoreError as error:
            yield from _noted([Finding(place=str(follower.path), what=str(error), repair=_IMPOSSIBLE)], told)
            break
        yield from _noted(invariants.look(), told)
        if not owned:
            break
        time.sleep(every)
    yield from _noted(audit_run(folder), told)


def _noted(findings: Sequence[Finding], told: set[tuple[str, str]]) -> Iterator[Finding]:
    for finding in findings:
        if (finding.place, finding.what) not in told:
            told.add((finding.place, finding.what))
            yield finding


class LiveAudit:
    """Looks at a run of this process, on a thread of its own; `tell` hears of what is wrong.

    An observer: what it is told on the loop's thread is put aside, so that the run does not wait for it.
    """

    def __init__(
        self, folder: Path, state: RunState, *, tell: Callable[[str], None], every: float = LOOK_EVERY
    ) -> None:
        """`state` is where the run stands before the first turn that is told."""
        self._invariants = Invariants(folder)
        self._invariants.begin(state)
        self._tell = tell
        self._every = every
        self._turns: queue.SimpleQueue[Sequence[Event] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"orchestrator-nb audit {folder.name}", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def observe(self, events: Sequence[Event]) -> None:
        """Take in a turn; returns at once."""
        self._turns.put(events)

    def close(self) -> None:
        """End it."""
        self._turns.put(None)
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        due = time.monotonic() + self._every
        while True:
            try:
                turn = self._turns.get(timeout=max(0.0, due - time.monotonic()))
            except queue.Empty:
                self._say(self._invariants.look())
                due = time.monotonic() + self._every
                continue
            if turn is None:
                return
            self._say(self._invariants.take(turn))

    def _say(self, findings: Sequence[Finding]) -> None:
        for finding in findings:
            with suppress(Exception):  # whoever hears it may be gone
                self._tell(f"audit: {finding}")
