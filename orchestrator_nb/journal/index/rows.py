"""The rows of one run that events change: the fold of `state`, kept as rows.

States follow the same tables of transitions, for every kind of event that is in them; `changes` says what else a kind
of event changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator_nb import events as e
from orchestrator_nb.journal.index.schema import COUNTED
from orchestrator_nb.state.transitions import COMMAND_TRANSITIONS, ENDED, RUN_TRANSITIONS, IllegalTransition

Row = dict[str, Any]

NO_FAILURE: Row = {"failure_kind": None, "failure_type": None, "failure_message": None}

NO_ATTEMPT: Row = {
    "returned": False, "started": None, "ended": None, "seconds": 0.0, "due": None, "reason": "", "cell": None,
    "cells": None, "notebook": None, "log": None, **NO_FAILURE,
}  # fmt: skip
"""A command as it is when an attempt or a generation of it begins."""

USED = e.Used.__struct_fields__
"""The columns of an attempt that say what it took of the machine."""


def transition_of(event: e.Event) -> str:
    """Return the name that an event has in the tables of transitions."""
    name = type(event).__name__
    if isinstance(event, e.RunEnded):
        return f"{name} {event.state}{' again' if event.again else ''}"
    return f"{name} {event.state}" if isinstance(event, e.CommandRestored) else name


def new_run(run: str) -> Row:
    """Return the row of a run of which nothing is known yet, without its key."""
    return {
        "run": run, "workflow": "", "state": "new", "phase": "new", "parent": None, "parameters": {},
        "settings": {}, "durability": "full", "slots": 1, "version": "", "owner": {}, "reason": "", "leaving": False, "generation": 1,
        "resumes": 0, "started": None, "going": None, "ended": None, "last": None, "seconds": 0.0,
        "under_way": 0.0, "last_attempt_ended": None, "commands": 0,
        **dict.fromkeys(COUNTED, 0), "attempts": 0, "retries": 0, "busy": 0.0, "deviations": {}, "notices": 0,
        "events": 0, "damaged": None,
    }  # fmt: skip


class Rows:
    """The rows of one run that events have changed, until they are written.

    `commands` has to hold the rows of all commands that the events are about, see `commands_of`, `settled` when those
    came to their end that they are after and that are not among them. A row in `attempts`
    or `cells` is whole when it is new, else it has the columns that changed. `gone` are commands that left the plan,
    `seq` is the number of the event that is being taken in.
    """

    def __init__(self, run: Row, commands: dict[str, Row], settled: Mapping[str, float | None] | None = None) -> None:
        self.run = run
        self.commands = commands
        self._settled = settled or {}
        self.attempts: dict[tuple[str, int], Row] = {}
        self.cells: dict[tuple[str, int, int], Row] = {}
        self.metrics: list[Row] = []
        self.notices: list[Row] = []
        self.checkpoints: list[Row] = []
        self.gates: list[Row] = []
        self.gate_seconds: dict[tuple[str, int], float] = {}
        self.decisions: dict[tuple[int], Row] = {}
        self.gone: set[str] = set()
        self.seq = 0

    def stepped(self, event: e.Event, seq: int) -> None:
        """Take in what the event that is the `seq`-th of the journal does to the states. Raises IllegalTransition, and
        nothing has changed."""
        self.seq = seq
        key = transition_of(event)
        if key in COMMAND_TRANSITIONS and getattr(event, "command", None) is not None:
            self._step_command(event, COMMAND_TRANSITIONS[key])
        elif key in RUN_TRANSITIONS or isinstance(event, e.RunEnded):
            self._step_run(key)

    def counted(self, driven: float, under_way: float, at: float) -> None:
        """Take in that an event has been applied, and the time that had passed before it."""
        run = self.run
        run["seconds"] += driven
        run["under_way"] += under_way
        run["last"] = max(at, run["last"] or 0.0)
        run["events"] = self.seq
        run["phase"] = _phase(run)

    def driven(self, event: e.Event) -> tuple[float, float]:
        """Return for how long, since something last happened, somebody drove the run, and an attempt was under way.

        What passed until a new owner came is nobody's time.
        """
        run = self.run
        new_owner = isinstance(event, e.RunResumed) and bool(event.owner)
        if run["last"] is None or new_owner or run["state"] in ENDED or run["leaving"]:
            return 0.0, 0.0
        passed = max(0.0, event.at - run["last"])
        return passed, passed if run["running"] else 0.0

    def command(self, name: str) -> Row:
        """Return the row of a command. Raises IllegalTransition when the plan has none of that name."""
        row = self.commands.get(name)
        if row is None:
            raise IllegalTransition(f'the plan has no command "{name}"')
        return row

    def could_start(self, row: Row) -> float | None:
        """Return since when a command could have started: since all that it waits for had come to its end, since it
        was put back, and while the run was going on."""
        settled = (
            self.commands[name]["settled"] if name in self.commands else self._settled.get(name)
            for name in row["upstream"]
        )
        return max((at for at in (*settled, row["free"], self.run["going"]) if at is not None), default=None)

    def attempt_ended(self, event: Any, outcome: str, **changes: Any) -> None:
        """Note the end of an attempt in its own row, in that of the command and in that of the run."""
        row, run = self.command(event.command), self.run
        run["busy"] += event.seconds - (row["seconds"] if row["returned"] else 0.0)
        run["last_attempt_ended"] = event.at
        row["spent"] += event.seconds - (row["seconds"] if row["returned"] else 0.0)
        row.update(ended=event.at, seconds=event.seconds)
        attempt = self.attempts.setdefault((event.command, event.attempt), {})
        attempt.update(outcome=outcome, ended=event.at, seconds=event.seconds, **changes, **_used(event))

    def _step_command(self, event: Any, table: dict[str, str]) -> None:
        row = self.command(event.command)
        before, kind = row["state"], type(event).__name__
        after = table.get(before)
        if after is None:
            raise IllegalTransition(f'"{kind}" cannot come while "{event.command}" is {before}')
        if before != after:
            row["state"] = after
            self.run[before] -= 1
            self.run[after] += 1

    def _step_run(self, key: str) -> None:
        before = self.run["state"]
        after = RUN_TRANSITIONS.get(key, {}).get(before)
        if after is None:
            raise IllegalTransition(f'"{key}" cannot come while the run is {before}')
        if key == "RunResumed":
            self.run["generation"] += before in ENDED
        self.run["state"] = after


def commands_of(events: Iterable[e.Event]) -> set[str] | None:
    """Return the ids of the commands whose rows these events may change, None for all that there are."""
    names: set[str] = set()
    for event in events:
        if isinstance(event, e.RunPlanned):
            return None
        name = getattr(event, "command", None)
        if name is not None:
            names.add(name)
    return names


def _phase(run: Row) -> str:
    """Return the state of a run with the two derived from its commands, as `RunState.phase` has it."""
    if run["state"] == "executing":
        if run["waiting"]:
            return "recovering"
        if run["deviations"]:
            return "degraded"
    return str(run["state"])


def _used(event: Any) -> Row:
    """Return what the attempt took of the machine, as far as its last event says."""
    used: e.Used | None = getattr(event, "used", None)
    return {} if used is None else {name: value for name in USED if (value := getattr(used, name)) is not None}


def failure_columns(failure: e.Failure) -> Row:
    """Return what the columns about a failure say of this one."""
    first = failure.types[0] if failure.types else None
    return {"failure_kind": failure.kind, "failure_type": first, "failure_message": failure.message}
