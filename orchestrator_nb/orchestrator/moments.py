"""Where in a run's history a rollback leads to: which commands it opens anew, and which checkpoint is that of the moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestrator_nb import events as e
from orchestrator_nb.definition.names import nearest
from orchestrator_nb.errors import UsageError
from orchestrator_nb.sharing import by_function, merged, strategy_of
from orchestrator_nb.state import RunState
from orchestrator_nb.transitions import DONE, FINAL

START = "start"
_ENDS = (
    e.CommandSucceeded, e.CommandReused, e.CommandFailed, e.CommandCrashed, e.CommandSkipped, e.UpstreamFailed,
    e.CommandCancelled,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment of a run. `checkpoint` is the id of the latest one until then, None before the first; `commands` are
    those that came to their end later, and run again after a rollback to it."""

    name: str
    checkpoint: str | None
    commands: tuple[str, ...]


class Past:
    """What happened in a run in which order, as far as a rollback needs to know it."""

    def __init__(self, events: Iterable[e.Event]) -> None:
        self._places: dict[str, int] = {}
        self._checkpoints: list[tuple[int, str, str | None]] = []
        self._ends: dict[str, list[int]] = {}
        self._successes: dict[str, int] = {}
        for place, event in enumerate(events):
            if isinstance(event, e.RunPlanned):
                self._places.setdefault(START, place)
            elif isinstance(event, e.CheckpointTaken):
                self._checkpoints.append((place, event.id, event.command))
            elif isinstance(event, e.RolledBack) and event.outcome:
                self._checkpoints += [(place, event.safety, None), (place, event.outcome, None)]
            elif isinstance(event, _ENDS):
                self._ends.setdefault(event.command, []).append(place)
                if isinstance(event, (e.CommandSucceeded, e.CommandReused)):
                    self._successes[event.command] = place

    def moment(self, name: str, state: RunState, *, checkpoint: str | None = None) -> Moment:
        """Return the moment after the last success of the command of that name, the run's beginning for "start", or
        that of the `checkpoint` of this id. Raises UsageError naming what there is."""
        if checkpoint is not None:
            place = next((at for at, known, _ in self._checkpoints if known == checkpoint), None)
            if place is None:
                raise UsageError(f'the checkpoint "{checkpoint}" is of no moment that the run\'s journal knows')
        elif name in self._successes:
            place = self._successes[name]
        elif name == START and START in self._places:
            place = next((at for at, _, of in self._checkpoints[:1] if of is None), self._places[START])
        else:
            known = [START, *self._successes]
            meant = nearest(name, known)
            hint = f'; did you mean "{meant}"?' if meant else f"; there are {', '.join(known)}"
            raise UsageError(f'there is no moment "{name}" to go back to{hint}')
        until = [known for at, known, _ in self._checkpoints if at <= place]
        # The success of a command comes right after its checkpoint: of its ends after that, one belongs to it.
        owner = next((of for at, known, of in self._checkpoints if known == checkpoint), None)
        later = tuple(
            command
            for command, record in state.commands.items()
            if record.state in FINAL
            and len([end for end in self._ends.get(command, ()) if end > place]) > (command == owner)
        )
        return Moment(name, until[-1] if until else None, later)

    def shared_without(self, state: RunState, gone: Iterable[str]) -> dict[str, object]:
        """Return the shared state as it is without the changes of these commands, in the order of the successes.

        What functions have merged is taken as it was recorded. Raises UsageError where it has a part in it of what is
        to be undone, naming what would have to be undone as well.
        """
        left, gone_from = set(gone), dict[str, str]()
        shared: dict[str, object] = dict(state.run.settings.get("context") or {})
        for command in sorted(self._successes, key=self._successes.__getitem__):
            record = state.commands.get(command)
            if record is None or record.state not in DONE or not record.shared:
                continue
            by_functions = by_function(record.shared, state.run.merge)
            if command in left:
                gone_from.update(dict.fromkeys(by_functions, command))
                continue
            for key in gone_from.keys() & set(by_functions):
                raise UsageError(
                    f'"{command}" has merged shared["{key}"] with what "{gone_from[key]}" had put there, by '
                    f'{strategy_of(key, state.run.merge)}: undo "{command}" as well, or go back to a moment before both'
                )
            version = next((each for each in reversed(state.versions) if each.command == command), None)
            contested, made = ((), {}) if version is None else (version.contested, version.made)
            shared = merged(shared, record.shared, state.run.merge, contested, made)
        return shared


def undone(names: Sequence[str], state: RunState) -> tuple[str, ...]:
    """Return the commands to be undone, the cells of a matrix for its name. Raises UsageError for an unknown one."""
    found: dict[str, None] = {}
    for name in names:
        cells = [each for each, planned in state.planned.items() if planned.matrix == name]
        if name not in state.commands and not cells:
            meant = nearest(name, state.commands)
            hint = f'; did you mean "{meant}"?' if meant else ""
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
