"""Which kernels are started ahead: those of the notebooks that come next, at most as many as run at a time.

What that is good for is decided where they are started: most kernels are forked, and none of those is needed ahead.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from orchestrator_nb import events as e
from orchestrator_nb.kernels.ways import PLAIN
from orchestrator_nb.plan.plan import Plan
from orchestrator_nb.ports import Work
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.transitions import FINAL, GOOD

_MOVES = frozenset((e.AttemptStarted, e.RunPlanned, e.RunPaused, e.RunResumed, e.RunStopping))
"""The events after which other notebooks come next."""


class KernelsAhead:
    """A thread that has kernels started ahead and ends those that are not wanted any more.

    `work` returns the work of a command's attempt, `prepare` starts the kernel for it and returns False where that is
    never of use, `keep` ends the run's kernels that are for none of these attempts.
    """

    def __init__(
        self,
        plan: Plan,
        run_folder: Path,
        *,
        slots: int,
        state: Callable[[], RunState],
        work: Callable[[str, int, RunState], Work],
        prepare: Callable[[Work], bool],
        keep: Callable[[Path, Sequence[tuple[str, int]]], None],
    ) -> None:
        self._plan = plan
        self._folder = run_folder
        self._slots = slots
        self._state = state
        self._work = work
        self._prepare = prepare
        self._keep = keep
        self._left = deque(name for name in plan.order if plan.commands[name].kind == "notebook")
        self._needless: set[str] = set()
        self._moved = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._attend, name="orchestrator-nb kernels ahead", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def observe(self, events: Sequence[e.Event]) -> None:
        """Take notice of a turn."""
        if self._needless and any(type(event) is e.KernelStarted and event.way == PLAIN for event in events):
            self._needless.clear()  # what could be forked may turn out not to be
        if any(type(event) in _MOVES for event in events):
            self._moved.set()

    def close(self) -> None:
        """End it, and all kernels of the run that nobody has used."""
        self._closed.set()
        self._moved.set()
        if self._thread.is_alive():
            self._thread.join()
        self._keep(self._folder, ())

    def _attend(self) -> None:
        while not self._closed.is_set():
            self._moved.wait()
            self._moved.clear()
            state = self._state()
            wanted = list(islice(self._next(state), self._slots))
            self._keep(self._folder, [*wanted, *self._begun(state)])
            for name, attempt in wanted:
                if self._closed.is_set() or self._moved.is_set():  # others may be wanted by now
                    break
                with suppress(Exception):  # what hinders it hinders the attempt too, and is told there
                    if name not in self._needless and not self._prepare(self._work(name, attempt, state)):
                        self._needless.add(name)

    def _begun(self, state: RunState) -> Iterator[tuple[str, int]]:
        """Yield the attempts that are under way: they may be about to take their kernel."""
        for name in self._left:
            record = state.commands.get(name)
            if record is not None and record.state == "running":
                yield name, record.attempt

    def _next(self, state: RunState) -> Iterator[tuple[str, int]]:
        """Yield the attempts at notebooks that can begin when what runs now is done, in the order of the plan."""
        if state.run.state != "executing":
            return
        records = state.commands
        while self._left and self._left[0] in records and records[self._left[0]].state in FINAL:
            self._left.popleft()
        for name in self._left:
            record = records.get(name)
            if record is None or record.state not in ("pending", "ready") or record.substitute:
                continue
            before = (records[each].state for each in self._plan.upstream[name] if each in records)
            if all(each in GOOD or each == "running" for each in before):
                yield name, record.attempt + 1
