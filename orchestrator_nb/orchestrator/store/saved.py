"""The state of a run in a file, and the way back to it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from orchestrator_nb import events as e
from orchestrator_nb.data.flush import write_whole
from orchestrator_nb.engine.resume import lost_attempts
from orchestrator_nb.errors import UsageError
from orchestrator_nb.journal.file import JournalFile, Position, scan
from orchestrator_nb.journal.follow import Follower
from orchestrator_nb.journal.identity import identity
from orchestrator_nb.journal.owner import Ownership
from orchestrator_nb.journal.store import JOURNAL
from orchestrator_nb.state.records import CommandRecord
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.transitions import FINAL, GOOD

FORMAT = 1


def saved_state(run_folder: Path) -> dict[str, Any]:
    """Return the state of a run as plain JSON, with the position in its journal that it is the state of.

    The position is the journal's length in bytes, the number of the last event, and the hash of its line, which by the
    chain is a hash of everything before. Raises StoreError.
    """
    follower = Follower(run_folder / JOURNAL)
    state = follower.catch_up()
    offset, seq, digest = follower.position
    return {
        "format": FORMAT,
        "run": run_folder.name,
        "workflow": state.run.workflow,
        "position": {"offset": offset, "seq": seq, "hash": digest},
        "state": _plain(state),
    }


def write_saved(document: Mapping[str, Any], path: str | os.PathLike[str]) -> Path:
    """Write a saved state so that the file is there whole or not at all; return its path. Raises StoreError."""
    file = Path(path).absolute()
    write_whole(file, json.dumps(document, indent=1, ensure_ascii=False).encode("utf-8", "backslashreplace"))
    return file


def read_saved(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return a saved state. Raises UsageError for a file that is none."""
    try:
        document = json.loads(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not JSON"
        raise UsageError(f'the saved state "{os.fspath(path)}" cannot be read: {reason}') from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise UsageError(f'"{os.fspath(path)}" is no saved state of this version; make one with "orchestrator-nb save"')
    return document


def restore_state(run_folder: Path, document: Mapping[str, Any]) -> list[str]:
    """Put a run that nobody owns back to a saved state, so that a resume goes on from there; return what was reopened.

    Nothing is taken out of the journal: what came to its end after the saved state is opened anew, so that it runs
    again. Raises UsageError when the saved state is not one of this run's past, RunRefused when somebody owns the run,
    and StoreError.
    """
    position, expected = _checked(run_folder, document)
    ownership = Ownership(run_folder)
    try:
        journal = JournalFile(run_folder / JOURNAL, clock=time.time)
        try:
            then, now = _states(run_folder / JOURNAL, position)
            if _plain(then) != expected:
                raise UsageError(
                    f'the state saved for "{run_folder.name}" is not what its journal said at that position'
                )
            facts = _way_back(then, now)
            journal.append(facts)
        finally:
            journal.close()
    finally:
        ownership.release()
    return [event.command for event in facts if isinstance(event, e.CommandReopened)]


def _checked(run_folder: Path, document: Mapping[str, Any]) -> tuple[Position, Any]:
    try:
        place = document["position"]
        position = Position(int(place["offset"]), int(place["seq"]), str(place["hash"]))
        run, state = document["run"], document["state"]
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"the saved state is incomplete: {error}") from error
    if run != run_folder.name:
        raise UsageError(f'this is a state of "{run}", not of "{run_folder.name}"')
    return position, state


def _states(path: Path, position: Position) -> tuple[RunState, RunState]:
    """Return the state at a position and the state now. Raises UsageError when no turn of the journal ends there."""
    then, now = RunState(), RunState()
    found = position == Position()
    for turn, after in scan(path, None):
        for event in turn:
            now.apply(event)
            if not found:
                then.apply(event)
        found = found or after == position
        if not found and after.offset > position.offset:
            break
    if not found:
        raise UsageError(
            f'the saved state is not a beginning of "{path}": no turn ends at byte {position.offset} with the hash '
            f"{position.prev}"
        )
    return then, now


def _way_back(then: RunState, now: RunState) -> list[e.Event]:
    """Return the facts that bring the run from now to a state in which what came after then is still to be done."""
    at = time.time()
    reason = "the run was put back to a state that was saved before"
    facts: list[e.Event] = [e.RunResumed(at=at, owner=identity(), reason=reason), *lost_attempts(now, at)]
    crashed = {event.command for event in facts if isinstance(event, e.CommandCrashed)}
    reopened: set[str] = set()
    for name, record in now.commands.items():  # upstream first
        before_it = now.planned[name].upstream if record.state == "skipped" else ()
        same = _same_success(then.commands.get(name), record) and reopened.isdisjoint(before_it)
        if (record.state in FINAL or name in crashed) and not same:
            reopened.add(name)
            facts.append(e.CommandReopened(at=at, command=name, reason=reason))
    if then.shared != now.shared:
        facts.append(e.NoticeGiven(at=at, text="the shared state keeps what was set after the saved state"))
    facts.append(e.RunPaused(at=at, reason=reason, leaving=True))
    return facts


def _same_success(then: CommandRecord | None, now: CommandRecord) -> bool:
    return (
        then is not None
        and then.state == now.state
        and then.state in GOOD
        and (then.attempt, then.generation) == (now.attempt, now.generation)
    )


def _plain(state: RunState) -> Any:
    plain = msgspec.to_builtins(
        {
            "run": state.run,
            "planned": state.planned,
            "commands": state.commands,
            "shared": state.shared,
            "deviations": state.deviations,
            "notices": state.notices,
        }
    )
    # Through JSON and back, so that what was saved and what is folded again compare as what they look like.
    return json.loads(json.dumps(plain).encode("utf-8", "backslashreplace"))
