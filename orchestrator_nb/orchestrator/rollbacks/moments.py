"""Where in a run's history a rollback leads to: what each command had come to there, and the checkpoint of that moment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator_nb import events as e
from orchestrator_nb.definition.names import nearest
from orchestrator_nb.errors import UsageError
from orchestrator_nb.state.records import CommandRecord
from orchestrator_nb.state.run_state import RunState, fold
from orchestrator_nb.state.sharing import SharedVersion, by_function, merged, strategy_of
from orchestrator_nb.state.transitions import DONE, ENDED, FINAL

START = "start"
ROLLBACK = "rollback"
_ENDS = (
    e.CommandSucceeded, e.CommandReused, e.CommandFailed, e.CommandCrashed, e.CommandSkipped, e.UpstreamFailed,
    e.CommandCancelled,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment of a run: after the fact at `place` in its journal. `checkpoint` is the id of the latest one until then,
    None before the first. Where that is of a command, `follow` are the facts about it up to its success."""

    name: str
    checkpoint: str | None
    place: int
    follow: tuple[e.Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Course:
    """What becomes of a run's commands: `commands` run again, those in `results` have once more what they had come to
    in that generation, those that `stayed` keep a newer result. `shared` is the shared state; `ended` is the end that
    the run has again, empty where it goes on, with its `reason`."""

    commands: tuple[str, ...]
    results: Mapping[str, int]
    shared: Mapping[str, object]
    stayed: tuple[str, ...] = ()
    ended: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Rollback:
    """A rollback that was carried out: its number in the run, the places of the wish for it and of its end."""

    number: int
    event: e.RolledBack
    asked: int
    done: int

    @property
    def name(self) -> str:
        """The name by which it is undone."""
        return f"{ROLLBACK}-{self.number}"


class Past:
    """What happened in a run in which order. A life of a command is one of its generations that came to an end; one that
    a rollback gave back counts as what it was before."""

    def __init__(self, events: Iterable[e.Event]) -> None:
        """Raises IllegalTransition where the facts do not fit together."""
        self._events = list(events)
        self.now = RunState()
        self._ends: dict[tuple[str, int], int] = {}
        self._planned: int | None = None
        self._checkpoints: list[tuple[int, str, str | None]] = []
        self.rollbacks: list[Rollback] = []
        asked = 0
        for place, event in enumerate(self._events):
            self.now.apply(event)
            if isinstance(event, _ENDS):
                self._ends[event.command, self.now.commands[event.command].generation] = place
            elif isinstance(event, e.CommandRestored):
                generation = self.now.commands[event.command].generation
                self._ends[event.command, generation] = self._ends[event.command, event.generation]
            elif isinstance(event, e.RunPlanned) and self._planned is None:
                self._planned = place
            elif isinstance(event, e.CheckpointTaken):
                self._checkpoints.append((place, event.id, event.command))
            elif isinstance(event, e.RollbackAsked):
                asked = place
            elif isinstance(event, e.RolledBack):
                self.rollbacks.append(Rollback(len(self.rollbacks) + 1, event, asked, place))
                if event.outcome:
                    self._checkpoints += [(place - 1, event.safety, None), (place, event.outcome, None)]

    # ── moments ─────────────────────────────────────────────────────────────────────────────────────────────────

    def moment(self, name: str, *, checkpoint: str | None = None, position: int = 0) -> Moment:
        """Return the moment after the last success of the command of that name, the run's beginning for "start", or
        that of the `checkpoint` of this id, which was taken at this `position` of the journal. Raises UsageError naming
        what there is."""
        if checkpoint is not None:
            place = next((at for at, known, _ in self._checkpoints if known == checkpoint), None)
            if place is None and 0 < position <= len(self._events):  # taken for a rollback that came to nothing
                place = position - 1
            if place is None:
                raise UsageError(f'the checkpoint "{checkpoint}" is of no moment that the run\'s journal knows')
            return Moment(name, checkpoint, place, self._up_to_success(place))
        place = self._last_success(name)
        if place is None and name == START and self._planned is not None:
            place = next((at for at, _, of in self._checkpoints[:1] if of is None), self._planned)
        if place is None:
            known = [START, *(command for command in self.now.commands if self._last_success(command) is not None)]
            meant = nearest(name, known)
            hint = f'; did you mean "{meant}"?' if meant else f"; there are {', '.join(known)}"
            raise UsageError(f'there is no moment "{name}" to go back to{hint}')
        until = [known for at, known, _ in self._checkpoints if at <= place]
        return Moment(name, until[-1] if until else None, place)

    def _up_to_success(self, place: int) -> tuple[e.Event, ...]:
        """Return the facts that lead from the checkpoint at this place to the success that it is of, if it is of one."""
        taken = self._events[place]
        if not isinstance(taken, e.CheckpointTaken) or taken.command is None or taken.boundary == "left":
            return ()
        found: list[e.Event] = []
        for event in self._events[place + 1 :]:
            if getattr(event, "command", None) == taken.command:
                found.append(event)
                if isinstance(event, e.CommandSucceeded):
                    return tuple(found)
                if not isinstance(event, e.CheckpointTaken | e.CheckpointSkipped | e.SharedMerged):
                    break
        return ()

    def _last_success(self, command: str) -> int | None:
        record = self.now.commands.get(command)
        for generation in range(record.generation if record is not None else 0, 0, -1):
            place = self._ends.get((command, generation))
            if place is not None and isinstance(self._events[place], e.CommandSucceeded | e.CommandReused):
                return place
        return None

    # ── ways ────────────────────────────────────────────────────────────────────────────────────────────────────

    def back_to(self, moment: Moment) -> Course:
        """Return what becomes of the commands where the run goes back to a moment: all that they had come to then."""
        then = fold(self._events[: moment.place + 1])
        for fact in moment.follow:
            then.apply(fact)
        commands, results = self._as_then(then, self.now.commands)
        lost = [name for name in commands if name in then.commands and then.commands[name].state in FINAL]
        shared = self._shared(commands, results) if lost else then.shared
        if results and not commands and then.run.state in ENDED and then.run.gates == self.now.run.gates:
            return Course(commands, results, shared, ended=then.run.state, reason=then.run.reason)
        return self._course(commands, results, shared)

    def without(self, names: Sequence[str]) -> Course:
        """Return what becomes of the commands where these are undone: they run again."""
        return Course(tuple(names), {}, self._shared(names, {}))

    def before(self, rollback: Rollback) -> Course:
        """Return what becomes of the commands where a rollback is undone: what it took or gave is as it was before it,
        as far as they have not come to something newer."""
        then, event = fold(self._events[: rollback.done]), rollback.event
        targets = [name for name in self.now.commands if name in event.commands or name in event.results]
        stayed = tuple(name for name in targets if self._is_newer(name, rollback.done))
        commands, results = self._as_then(then, [name for name in targets if name not in stayed])
        since = self.now.versions[len(then.versions) :]
        plain = not (stayed or commands or self._others_since(rollback))
        known = {version.command for version in then.versions}
        if plain and not any(version.command in known for version in since):
            shared = self._with(then.shared, [version for version in since if self._holds(version)])
        else:
            shared = self._shared(commands, results)
        if not (commands or results):
            return self._course((), {}, shared, stayed)
        ended, reason = self._end_before(rollback, then, results) if plain else ("", "")
        return Course(commands, results, shared, stayed, ended, reason)

    def _course(
        self,
        commands: tuple[str, ...],
        results: Mapping[str, int],
        shared: Mapping[str, object],
        stayed: tuple[str, ...] = (),
    ) -> Course:
        """Return the course with which a run keeps the end that it has where nothing of it is opened anew."""
        run = self.now.run
        same = not (commands or results) and run.state in ENDED
        return Course(
            commands, results, shared, stayed, ended=run.state if same else "", reason=run.reason if same else ""
        )

    def _as_then(self, then: RunState, names: Iterable[str]) -> tuple[tuple[str, ...], dict[str, int]]:
        """Return which of these commands run again, and which have again what they had come to then."""
        commands: list[str] = []
        results: dict[str, int] = {}
        for name in names:
            now, before = self.now.commands[name], then.commands.get(name)
            had = before is not None and before.state in FINAL
            if had and self._life(name, now) == self._life(name, before):
                continue
            if before is not None and had and self._is_known(name, before, then):
                results[name] = before.generation
            elif had or now.state in FINAL:
                commands.append(name)
        return tuple(commands), results

    def _life(self, name: str, record: CommandRecord | None) -> int | None:
        """Return where in the journal the command came to its end, None where it has not."""
        return self._ends.get((name, record.generation)) if record is not None and record.state in FINAL else None

    def _is_known(self, name: str, before: CommandRecord, then: RunState) -> bool:
        """Whether that end can be given back: it is that generation's, and the command is what it was."""
        life = self.now.lives.get((name, before.generation))
        if life is None or self.now.planned[name].fingerprint != then.planned[name].fingerprint:
            return False
        return (life.record.state, life.record.attempt) == (before.state, before.attempt)

    def _is_newer(self, name: str, place: int) -> bool:
        record = self.now.commands[name]
        life = self._life(name, record)
        return record.state in DONE and life is not None and life > place

    # ── rollbacks ───────────────────────────────────────────────────────────────────────────────────────────────

    def undone_by(self, rollback: Rollback) -> Rollback | None:
        """Return the rollback that has undone this one and is not undone itself."""
        for later in reversed(self.rollbacks[rollback.number :]):
            if later.event.undid == rollback.event.rollback and self.undone_by(later) is None:
                return later
        return None

    def rollback_named(self, name: str) -> Rollback | None:
        """Return the rollback that "rollback-2" or, for the last one, "rollback" names. Raises UsageError for a number
        that there is not."""
        told = re.fullmatch(rf"{ROLLBACK}(?:-(\d+))?", name)
        if told is None:
            return None
        number = int(told[1]) if told[1] else len(self.rollbacks)
        if not 1 <= number <= len(self.rollbacks):
            there = ", ".join(each.name for each in self.rollbacks[-5:]) or "none"
            raise UsageError(f'the run has no rollback "{name}"; there are: {there}')
        return self.rollbacks[number - 1]

    def _others_since(self, rollback: Rollback) -> bool:
        """Whether a later rollback still holds, but for those that only undid such ones."""
        later = self.rollbacks[rollback.number :]
        names = {each.event.rollback for each in later}
        return any(self.undone_by(each) is None and each.event.undid not in names for each in later)

    def _end_before(self, rollback: Rollback, then: RunState, results: Mapping[str, int]) -> tuple[str, str]:
        """Return the end that the run had before a rollback, where all of it is as it was with that."""
        run = fold(self._events[: rollback.asked]).run
        same = all(
            name in then.commands
            and self._life(name, then.commands[name]) is not None
            and (name in results or self._life(name, record) == self._life(name, then.commands[name]))
            for name, record in self.now.commands.items()
        )
        return (run.state, run.reason) if same and run.state in ENDED and run.gates == self.now.run.gates else ("", "")

    # ── shared state ────────────────────────────────────────────────────────────────────────────────────────────

    def _holds(self, version: SharedVersion) -> bool:
        record = self.now.commands.get(version.command)
        return record is not None and record.state in DONE and record.attempt == version.attempt

    def _with(self, shared: Mapping[str, object], versions: Iterable[SharedVersion]) -> Mapping[str, object]:
        for version in versions:
            shared = merged(shared, version.changes, self.now.run.merge, version.contested, version.made)
        return shared

    def _shared(self, gone: Iterable[str], results: Mapping[str, int]) -> dict[str, object]:
        """Return the shared state with the changes of the commands that have a result, in the order of the successes.

        What functions have merged is taken as it was recorded. Raises UsageError where it has a part in it of what is
        to go, naming what would have to go as well.
        """
        left, strategies = set(gone), self.now.run.merge
        mixed = self._put_by_functions(left)
        there = [
            (place, name, record)
            for name, now in self.now.commands.items()
            if name not in left
            for record in [self.now.lives[name, results[name]].record if name in results else now]
            if record.state in DONE and record.shared and (place := self._ends.get((name, record.generation)))
        ]
        shared: dict[str, object] = dict(self.now.run.settings.get("context") or {})
        for place, name, record in sorted(there, key=lambda item: item[0]):
            for key in by_function(record.shared or {}, strategies):
                first, author = mixed.get(key, (place, name))
                if first < place:
                    raise UsageError(
                        f'"{name}" has merged shared["{key}"] with what "{author}" had put there, by '
                        f'{strategy_of(key, strategies)}: undo "{name}" as well, or go back to a moment before both'
                    )
            of_it = (each for each in reversed(self.now.versions) if each.command == name)
            contested = next((each.contested for each in of_it if each.changes == record.shared), ())
            shared = merged(shared, record.shared or {}, strategies, contested, record.merged)
        return shared

    def _put_by_functions(self, names: Iterable[str]) -> dict[str, tuple[int, str]]:
        """Return, by key that a function merges, where in the journal the first of these commands changed it, and which."""
        found: dict[str, tuple[int, str]] = {}
        for name in names:
            record = self.now.commands[name]
            place = self._ends.get((name, record.generation))
            for key in by_function(record.shared or {}, self.now.run.merge) if place is not None else ():
                found[key] = min(found.get(key, (place or 0, name)), (place or 0, name))
        return found


def undone(names: Sequence[str], state: RunState) -> tuple[str, ...]:
    """Return the commands to be undone, the cells of a matrix for its name. Raises UsageError for an unknown one."""
    found: dict[str, None] = {}
    for name in names:
        cells = [each for each, planned in state.planned.items() if planned.matrix == name]
        if name not in state.commands and not cells:
            meant = nearest(name, state.commands)
            there = ", ".join(list(state.commands)[:5])
            hint = f'; did you mean "{meant}"?' if meant else f"; there are {there}, and the rollbacks that were done"
            raise UsageError(f'the run has no command "{name}"{hint}')
        found.update(dict.fromkeys(cells or [name]))
    return tuple(found)


def users_of(commands: Iterable[str], state: RunState) -> tuple[str, ...]:
    """Return the commands that are done with results of these, at any distance, and that are not among them."""
    gone = set(commands)
    used: list[str] = []
    for name, planned in state.planned.items():  # upstream first
        if name not in gone and not gone.isdisjoint(planned.upstream) and state.commands[name].state in DONE:
            used.append(name)
            gone.add(name)
    return tuple(used)
