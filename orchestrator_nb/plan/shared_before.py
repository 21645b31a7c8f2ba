"""What commands further up have shared, as one hash for each command: everything that comes after them can see it."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator_nb.plan.fingerprint import canonical_json
from orchestrator_nb.state.records import CommandRecord
from orchestrator_nb.state.transitions import FINAL

SIZE = 16
"""Bytes of a hash."""

_MODULUS = int(1 << 8 * SIZE)

Changes = tuple[int, int]
"""A set of changes: a bit for each, and the sum of their hashes. A sum grows with the set, whatever the order."""

_NONE: Changes = (0, 0)


class SharedBefore:
    """The changes of the shared state that a command can see: those of all commands before it, however far.

    What is found of a command that has come to its end is kept while its record is the same, so that asking for each command of a graph in turn
    costs its edges, not its paths. That holds as long as a command that is done anew has what is after it done anew
    too: within one life of a run's owner. Safe in any thread.
    """

    def __init__(self, upstream: Mapping[str, Sequence[str]]) -> None:
        """`upstream` has for each command those that it waits for."""
        self._upstream = upstream
        self._lock = threading.Lock()
        self._known: dict[str, tuple[CommandRecord, Changes]] = {}  # with what a command itself has shared
        self._bits: dict[tuple[str, int], int] = {}
        self._sums: list[int] = []
        self.steps = 0
        """How many edges and changes were gone through so far."""

    def digest(self, command: str, records: Mapping[str, CommandRecord]) -> str:
        """Return a hash of what was shared before a command, nothing where nothing was."""
        with self._lock:
            bits, total = self._before(command, records)
        return total.to_bytes(SIZE, "big").hex() if bits else ""

    def _before(self, command: str, records: Mapping[str, CommandRecord]) -> Changes:
        found: dict[str, Changes] = {}  # of all that is asked for here; only what cannot change is kept for later
        above = self._upstream.get(command, ())
        waiting = [*above]
        while waiting:  # by a list of our own: a chain may be longer than Python's stack is deep
            name = waiting[-1]
            if name not in found:
                known = self._known.get(name)
                if name not in records:
                    found[name] = _NONE
                elif known is not None and known[0] is records[name]:
                    found[name] = known[1]
                elif missing := [other for other in self._upstream.get(name, ()) if other not in found]:
                    waiting.extend(missing)
                    continue
                else:
                    found[name] = self._found(name, records[name], found)
            self.steps += 1
            waiting.pop()
        return self._joined(above, found)

    def _found(self, name: str, record: CommandRecord, found: Mapping[str, Changes]) -> Changes:
        above = self._upstream.get(name, ())
        changes = self._with_own(name, record, self._joined(above, found))
        if record.state in FINAL and all(other in self._known for other in above):
            self._known[name] = record, changes
        return changes

    def _joined(self, names: Sequence[str], found: Mapping[str, Changes]) -> Changes:
        """Return the changes of several commands together: the most of one, and what the others have besides."""
        self.steps += len(names)
        each = [found[name] for name in names]
        bits, total = max(each, key=lambda changes: changes[0].bit_count(), default=_NONE)
        for others, _ in each:
            for place in _places(others & ~bits):
                self.steps += 1
                total += self._sums[place]
            bits |= others
        return bits, total % _MODULUS

    def _with_own(self, name: str, record: CommandRecord, changes: Changes) -> Changes:
        bits, total = changes
        for key, value in (record.shared or {}).items():
            number = _number(name, key, value)
            place = self._bits.setdefault((name, number), len(self._sums))
            if place == len(self._sums):
                self._sums.append(number)
            if not bits >> place & 1:
                bits, total = bits | 1 << place, (total + number) % _MODULUS
        return bits, total


def _places(bits: int) -> Iterator[int]:
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def _number(name: str, key: str, value: Any) -> int:
    told = canonical_json([name, key, value])
    return int.from_bytes(hashlib.blake2b(told, digest_size=SIZE).digest(), "big")
