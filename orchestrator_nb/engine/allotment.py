"""Who holds what: commands take all that they need, or wait holding nothing.

A command that is ready and cannot have all it needs reserves it: nothing that ranks behind it takes from a pool that
it needs (from the slots: once it lacks them) before it has started. So a command waits for those that rank before it
and for those that run, never for those behind it; and what is free is given to whoever is in nobody's way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heappush

from orchestrator_nb.state.records import PlannedCommand
from orchestrator_nb.state.run_state import RunState

CPU = "cpu"
_A_SLOT = ((CPU, 1),)

Needs = tuple[tuple[str, int], ...]


class Allotment:
    """What is there, what is held, and who waits for it. What is held follows from the state: what runs holds it."""

    def __init__(self, planned: Mapping[str, PlannedCommand], pools: Mapping[str, int], *, slots: int) -> None:
        self._capacity = {**pools, CPU: slots}
        self._planned = planned
        self._needs = {command: _needs(item, retry=False) for command, item in planned.items()}
        self._holding: dict[tuple[str, int], Needs] = {}
        self._abandoned: set[tuple[str, int]] = set()
        # Commands that need the same stand in one line: only the first of a line can be the next to start.
        self._lines: dict[Needs, list[tuple[int, str]]] = {}

    def begin(self, state: RunState) -> None:
        """Begin with what runs in this state and what could not be ended, and with nobody waiting."""
        left = {holder: self._holding.get(holder, self._needs[holder[0]]) for holder in sorted(self._abandoned)}
        running = {(name, state.commands[name].attempt): self._of(name, state) for name in state.running()}
        self._holding = {**left, **running}
        self._lines = {}

    def abandon(self, command: str, attempt: int) -> None:
        """What this attempt holds is not given back: it could not be ended."""
        self._abandoned.add((command, attempt))

    def offer(self, entries: Iterable[tuple[int, str]], state: RunState) -> None:
        """Let these commands wait, given with their ranks."""
        for entry in entries:
            heappush(self._lines.setdefault(self._of(entry[1], state), []), entry)

    def rank(self, ranks: Mapping[str, int]) -> None:
        """Put those that wait in the order of new ranks."""
        for needs, line in self._lines.items():
            ranked = [(ranks[command], command) for _, command in line]
            heapify(ranked)
            self._lines[needs] = ranked

    def waiting(self) -> Iterable[str]:
        """Yield those that were offered and have not started, some perhaps twice."""
        return (command for line in self._lines.values() for _, command in line)

    def start(self, state: RunState, *, most: int | None = None) -> list[str]:
        """Return the commands that can start now, so many at the `most`, and take what they need for them; each was
        offered before."""
        free = self._free(state)
        reserved: set[str] = set()
        slots_lacked = 0
        started: list[str] = []
        heads = [(line[0], needs) for needs, line in self._lines.items() if line]
        heapify(heads)
        while heads and (most is None or len(started) < most):
            (_, command), needs = heappop(heads)
            line = self._lines[needs]
            record = state.commands[command]
            if record.state == "pending" and command not in started:  # one that was put off may be there twice
                if any(amount > free.get(pool, 0) or pool in reserved for pool, amount in needs):
                    reserved.update(pool for pool, _ in needs if pool != CPU)
                    slots_lacked = max(slots_lacked, dict(needs).get(CPU, 0))
                    if free[CPU] < slots_lacked:
                        reserved.add(CPU)
                    continue
                for pool, amount in needs:
                    free[pool] -= amount
                if free[CPU] < slots_lacked:
                    reserved.add(CPU)
                started.append(command)
                self._holding[command, record.attempt + 1] = needs
            heappop(line)
            if line:
                heappush(heads, (line[0], needs))
        return started

    def _free(self, state: RunState) -> dict[str, int]:
        commands, kept = state.commands, {}
        free = dict(self._capacity)
        for holder, needs in self._holding.items():
            command, attempt = holder
            record = commands[command]
            if holder in self._abandoned or (record.state == "running" and record.attempt == attempt):
                kept[holder] = needs
                for pool, amount in needs:
                    free[pool] -= amount
        self._holding = kept
        return free

    def _of(self, command: str, state: RunState) -> Needs:
        """Return what the attempt of a command holds that is under way or would be the next."""
        retry = bool(state.commands[command].retry)
        return _needs(self._planned[command], retry=True) if retry else self._needs[command]


def _needs(planned: PlannedCommand, *, retry: bool) -> Needs:
    held = planned.held(retry=retry)
    return _A_SLOT if held is None else tuple(sorted(held.items()))
