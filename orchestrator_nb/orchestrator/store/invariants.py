"""What has to hold of a run at any moment, looked at fact by fact and beside the fold, while the run goes on."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator_nb import events as e
from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.data.finding import Finding
from orchestrator_nb.data.shared_values import stored_in
from orchestrator_nb.errors import StoreError
from orchestrator_nb.journal.check import out_of_time
from orchestrator_nb.journal.store import JOURNAL
from orchestrator_nb.orchestrator.display.result import ARTIFACTS
from orchestrator_nb.state.records import PlannedCommand, planned_commands
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.transitions import DONE

CPU = "cpu"
"""The pool that the slots are."""

AT_ONCE = 1_000
"""So many artifacts are looked at again in one look; the rest is next."""

_LEAVING = (
    e.AttemptFailed, e.AttemptAbandoned, e.AttemptInterrupted, e.CommandSucceeded, e.CommandReused,
)  # fmt: skip
"""After these a command does not run any more, and holds nothing."""

_AUDIT = "stop the run and look at the whole of it: orchestrator-nb audit {run}"
_AT_REST = "what it gave out at that time cannot be relied on: run the workflow again, as a new run"


class Invariants:
    """Keeps count of what a run does, and of its files; each violation is told once.

    For one thread at a time.
    """

    def __init__(self, folder: Path, *, at_rest: bool = False) -> None:
        """`at_rest` for a run that is looked at afterwards, by whoever checks its journal and the order of its times."""
        self._folder = folder
        self._at_rest = at_rest
        self._store = Artifacts(folder / ARTIFACTS)
        self._repair = _AT_REST if at_rest else _AUDIT.format(run=folder.name)
        self._planned: dict[str, PlannedCommand] = {}
        self._pools: dict[str, int] = {}
        self._running: dict[str, Mapping[str, int]] = {}
        self._held: Counter[str] = Counter()
        self._attempts: dict[str, int] = {}
        self._succeeded: set[str] = set()
        self._ended = False
        self._latest = 0.0
        self._artifacts: dict[str, tuple[str, tuple[int, int, int] | None]] = {}
        self._next = 0
        self._size = 0
        self._told: set[tuple[str, str]] = set()

    def begin(self, state: RunState) -> None:
        """Begin with a run that stands so, instead of with its first fact."""
        self._planned = dict(state.planned)
        self._pools = {**state.run.pools, CPU: state.run.slots}
        self._attempts = {name: record.attempt for name, record in state.commands.items()}
        self._succeeded = {name for name, record in state.commands.items() if record.state in DONE}

    def take(self, turn: Iterable[e.Event]) -> list[Finding]:
        """Take in a turn that was recorded, and return what is wrong with it."""
        return self._new(finding for event in turn for finding in self._of(event))

    def look(self) -> list[Finding]:
        """Look at the files of what was recorded, some of them at a time, and return what is wrong with them."""
        return self._new([*self._journal(), *self._files()])

    def _new(self, findings: Iterable[Finding]) -> list[Finding]:
        fresh = []
        for finding in findings:
            if (finding.place, finding.what) not in self._told:
                self._told.add((finding.place, finding.what))
                fresh.append(finding)
        return fresh

    def _wrong(self, where: str, what: str) -> Finding:
        return Finding(place=f"{self._folder / JOURNAL}, {where}", what=what, repair=self._repair)

    # ── facts ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _of(self, event: e.Event) -> Iterator[Finding]:
        self._latest, late = out_of_time(event, self._latest)
        if late and not self._at_rest:
            yield self._wrong(type(event).__name__, late)
        if isinstance(event, e.RunPlanned):
            self._planned = planned_commands(event.commands)
            self._pools = {**event.pools, CPU: self._pools.get(CPU, 1)}
        elif isinstance(event, e.RunStarted):
            self._pools[CPU] = event.slots
        elif isinstance(event, e.RunResumed):
            self._pools[CPU] = event.slots or self._pools.get(CPU, 1)
            self._ended = False
        elif isinstance(event, e.AttemptStarted):
            yield from self._started(event)
        elif isinstance(event, e.CommandReopened):
            self._succeeded.discard(event.command)
        elif isinstance(event, e.RunEnded):
            if self._running:
                names = ", ".join(f'"{name}"' for name in sorted(self._running))
                yield self._wrong("RunEnded", f"the run has ended as {event.state} while {names} runs")
            self._ended = True
        elif isinstance(event, _LEAVING):
            yield from self._left(event)
        for stored in _stored_in(event):
            self._need(stored, getattr(event, "command", None) or "the run")

    def _started(self, event: e.AttemptStarted) -> Iterator[Finding]:
        name, where = event.command, f'attempt {event.attempt} of "{event.command}"'
        if self._ended:
            yield self._wrong(where, "it has begun after the run had ended")
        if event.attempt <= self._attempts.get(name, 0):
            yield self._wrong(where, f"attempt {self._attempts[name]} had begun before")
        if name in self._running:
            yield self._wrong(where, "it has begun while another attempt of the command runs")
        if name in self._succeeded:
            yield self._wrong(where, "it has begun though the command had succeeded, and nobody has opened it again")
        self._attempts[name] = event.attempt
        self._release(name)
        planned = self._planned.get(name)
        needs = {CPU: 1} if planned is None or planned.needs is None else planned.needs
        self._running[name] = needs
        self._held.update(needs)
        for pool, amount in needs.items():
            if amount and self._held[pool] > self._pools.get(pool, 0):
                what = "slots are" if pool == CPU else f'of "{pool}" is'
                there = self._pools.get(pool, 0)
                yield self._wrong(where, f"{self._held[pool]:,} {what} taken, of {there:,}")

    def _left(self, event: Any) -> Iterator[Finding]:
        self._release(event.command)
        if isinstance(event, e.CommandSucceeded | e.CommandReused):
            if event.command in self._succeeded:
                where = f'attempt {event.attempt} of "{event.command}"'
                yield self._wrong(where, "the command has succeeded twice, and nobody has opened it again")
            self._succeeded.add(event.command)

    def _release(self, command: str) -> None:
        self._held.subtract(self._running.pop(command, {}))

    # ── files ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _need(self, stored: e.Stored, of: str) -> None:
        if stored.artifact is not None:
            self._artifacts.setdefault(stored.artifact, (of, None))
        for item in (stored.items or {}).values():
            self._need(item, of)

    def _journal(self) -> Iterator[Finding]:
        path = self._folder / JOURNAL
        try:
            size = path.stat().st_size
        except OSError as error:
            yield Finding(place=str(path), what=f"it is gone: {error.strerror}", repair=self._repair)
            return
        if size < self._size:
            yield Finding(place=str(path), what=f"it was {self._size:,} bytes and is {size:,} now", repair=self._repair)
        self._size = max(size, self._size)

    def _files(self) -> Iterator[Finding]:
        """Read artifacts that nobody has read yet, and those whose file is another than it was."""
        names = list(self._artifacts)
        if self._next >= len(names):
            self._next = 0
        first, self._next = self._next, self._next + AT_ONCE
        for sha256 in names[first : self._next]:
            of, known = self._artifacts[sha256]
            found = known
            try:
                found = self._signature(sha256)
                if found != known:
                    self._store.verify(sha256)
            except StoreError as error:
                yield Finding(
                    place=f'{self._folder / ARTIFACTS}, kept by "{of}"',
                    what=str(error),
                    repair=f'run "{of}" again: orchestrator-nb resume {self._folder.name} --from {of}',
                )
            self._artifacts[sha256] = of, found

    def _signature(self, sha256: str) -> tuple[int, int, int]:
        try:
            found = os.stat(self._store.path(sha256))
        except OSError as error:
            raise StoreError(f'the artifact "{sha256}" cannot be looked at: {error.strerror}') from error
        return found.st_size, found.st_mtime_ns, found.st_ino


def _stored_in(event: e.Event) -> Iterator[e.Stored]:
    """Yield the values in files that a fact tells of."""
    for name in ("result", "value", "evidence"):
        stored = getattr(event, name, None)
        if isinstance(stored, e.Stored):
            yield stored
    for name in ("shared", "values"):
        values = getattr(event, name, None)
        if isinstance(values, Mapping):
            yield from stored_in(values.values())
