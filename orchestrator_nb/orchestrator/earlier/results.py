"""What the commands of a workflow gave in its earlier runs, and what it was made with: read from their journals."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from orchestrator_nb import events as e
from orchestrator_nb.errors import StoreError
from orchestrator_nb.journal.file import read
from orchestrator_nb.journal.owner import is_owned
from orchestrator_nb.journal.store import JOURNAL, list_runs
from orchestrator_nb.plan.key import inputs_of
from orchestrator_nb.plan.shared_before import SharedBefore
from orchestrator_nb.state.records import CommandRecord
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.transitions import IllegalTransition

RUNS = 20
"""So many of the latest runs are looked at."""
MOST = 256 * 2**20
"""Bytes of journals that are read at the most."""


class Kept(Struct, frozen=True, kw_only=True, dict=True):
    """A result that a run keeps in its folder, with what it was made with.

    `origin` and `attempt` say where the command ran: in this run, or in the one from which the result was taken over.
    `key` is as `plan.key.key_of` makes it, `record` has the result and the hashes of the files.
    """

    folder: Path
    origin: str
    attempt: int
    record: CommandRecord
    key: str
    given: Mapping[str, str] | None = None
    upstream: Mapping[str, CommandRecord] = field(default_factory=dict)

    @cached_property
    def inputs(self) -> Mapping[str, str]:
        """A hash of what each upstream command gave it, by name."""
        if self.given is not None:
            return self.given
        return inputs_of("", tuple(self.upstream), self.upstream)


class EarlierRun(Struct, frozen=True, kw_only=True):
    """A run as it stands, and the last result of each command that has come to one in it."""

    folder: Path
    state: RunState
    kept: Mapping[str, Kept]


class EarlierResults:
    """The latest runs of a workflow in a store, read when they are asked for. Safe in any thread.

    Left out are the run `besides`, runs that a living process owns, and those whose journal cannot be read.
    """

    def __init__(self, store: Path, workflow: str, *, besides: str = "") -> None:
        self._lock = threading.Lock()
        self._read: list[EarlierRun] = []
        self._left = self._folders(store, workflow, besides)

    def runs(self) -> Iterator[EarlierRun]:
        """Yield the runs, the latest first. Raises StoreError where the store cannot be read."""
        place = 0
        while True:
            with self._lock:
                if place == len(self._read):
                    following = next(self._left, None)
                    if following is None:
                        return
                    self._read.append(following)
                found = self._read[place]
            yield found
            place += 1

    def of(self, command: str) -> Iterator[Kept]:
        """Yield the results of a command, the latest run's first. Raises StoreError."""
        for run in self.runs():
            if command in run.kept:
                yield run.kept[command]

    @staticmethod
    def _folders(store: Path, workflow: str, besides: str) -> Iterator[EarlierRun]:
        left, runs = MOST, 0
        for folder in list_runs(store, workflow=workflow):
            if runs == RUNS:
                return
            if folder.name == besides or is_owned(folder):
                continue
            try:
                left -= (folder / JOURNAL).stat().st_size
                if left < 0 and runs:
                    return
                found = read_results(folder)
            except (OSError, StoreError, IllegalTransition):
                continue
            if found.state.run.state != "new":
                runs += 1
                yield found


def read_results(folder: Path) -> EarlierRun:
    """Return what the commands of a run came to. Raises StoreError and IllegalTransition for a journal that is no
    account of a run."""
    state = RunState()
    begun: dict[str, tuple[str, Mapping[str, str] | None, Mapping[str, CommandRecord]]] = {}
    kept: dict[str, Kept] = {}
    shared = SharedBefore({})
    for event in read(folder / JOURNAL):
        state.apply(event)
        kind = type(event)
        if kind is e.RunPlanned:
            shared = SharedBefore({name: item.upstream for name, item in state.planned.items()})
        elif kind is e.AttemptStarted:
            assert isinstance(event, e.AttemptStarted)
            begun[event.command] = _begun(event.command, shared, state)
        elif kind is e.CommandSucceeded:
            assert isinstance(event, e.CommandSucceeded)
            record = state.commands[event.command]
            key, given, records = begun.get(event.command, ("", None, {}))
            as_written = not record.parameters and not record.substitute and not record.by_hand
            kept[event.command] = Kept(
                folder=folder,
                origin=state.run.run,
                attempt=event.attempt,
                record=record,
                key=key if as_written else "",
                given=given,
                upstream=records,
            )
        elif kind is e.CommandReused:
            assert isinstance(event, e.CommandReused)
            kept[event.command] = Kept(
                folder=folder,
                origin=event.origin,
                attempt=event.origin_attempt,
                record=state.commands[event.command],
                key=event.key,
                given=event.inputs,
            )
        elif kind is e.CommandAccepted:
            assert isinstance(event, e.CommandAccepted)
            if event.command in kept:
                accepted = state.commands[event.command]
                kept[event.command] = replace(kept[event.command], record=accepted, key=event.key)
    return EarlierRun(folder=folder, state=state, kept=kept)


def _begun(
    command: str, shared: SharedBefore, state: RunState
) -> tuple[str, Mapping[str, str] | None, Mapping[str, CommandRecord]]:
    """Return what an attempt began with: the key, and what upstream commands had given, as hashes or to be hashed."""
    key, upstream = state.planned[command].result_key, state.planned[command].upstream
    if state.shared:  # commands further up may have a part in that
        return key, inputs_of(command, upstream, state.commands, shared=shared), {}
    return key, None, {name: state.commands[name] for name in upstream}
