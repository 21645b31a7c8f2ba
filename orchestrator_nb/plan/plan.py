"""The plan: what will run, in which order and why, made of a definition that was found to be right as a whole."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from orchestrator_nb.definition.matrix import Expanded, FanIn, expand
from orchestrator_nb.definition.models import CommandDefinition, WorkflowDefinition
from orchestrator_nb.definition.names import Addresses, nearest
from orchestrator_nb.definition.references import references_in
from orchestrator_nb.errors import DefinitionError, Mistake
from orchestrator_nb.plan.alternatives import alternative_notes
from orchestrator_nb.plan.draft import Draft, defaults
from orchestrator_nb.plan.edges import Edge, Links
from orchestrator_nb.plan.outputs import unfit_outputs
from orchestrator_nb.plan.pools import pool_mistakes
from orchestrator_nb.plan.secrets_needed import missing_secrets, secrets_needed
from orchestrator_nb.plan.shared import SharedUse
from orchestrator_nb.plan.unacted import unacted
from orchestrator_nb.ports import Command

Placed = Callable[..., Mistake]
"""As `Loaded.placed`: takes a mistake and its `command`, gives the mistake with its place in the user's document."""


class Plan(Struct, frozen=True, kw_only=True):
    """What will run. `folder` is the definition's, `parameters` are the workflow's as they were given for this run.

    `commands` are the definitions by id, in the order of the definition; `order` is the order of the run wherever
    slots are scarce. `upstream` and `downstream` give for every command those it waits for and those that wait for
    it, whatever the reason (`links` has the reasons); `inputs` only those whose results it is known to ask for. `notes`
    say what was dropped or decided on the way. A matrix command is there with its cells; `fan_ins` are, for what comes
    after one, the cells that it gathers, by the id in the definition. Shown in a session or printed, it is a listing
    for people.
    """

    definition: WorkflowDefinition
    folder: Path
    parameters: Mapping[str, Any]
    commands: Mapping[str, CommandDefinition]
    order: tuple[str, ...]
    links: Links
    upstream: Mapping[str, tuple[str, ...]]
    downstream: Mapping[str, tuple[str, ...]]
    inputs: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...]
    fan_ins: Mapping[str, Mapping[str, FanIn]] = field(default_factory=dict)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of the secrets that the commands need."""
        return secrets_needed(self.commands.values())

    @property
    def edges(self) -> tuple[Edge, ...]:
        """Who waits for whom and why, in the order of the definition. Made anew each time, since no run needs it."""
        ids = list(self.commands)
        return tuple(self.links.edge(pair, ids) for pair in sorted(self.links.pairs()))

    def __repr__(self) -> str:
        from orchestrator_nb.plan.listing import listing

        return listing(
            self.definition.workflow,
            parameters=self.parameters,
            order=self.order,
            commands=self.commands,
            upstream=self.upstream,
            edges=self.edges,
            notes=self.notes,
            secrets=self.secrets,
        )


def make_plan(
    definition: WorkflowDefinition,
    *,
    folder: Path,
    commands: Mapping[str, Command],
    parameters: Mapping[str, Any],
    place: Placed | None = None,
    settled: Collection[str] = (),
) -> Plan:
    """Return the plan of a workflow. Raises DefinitionError with everything that is wrong.

    The definition is one that `read_definition` gave: ids are unique, and every name in `after` and in references is
    there. `folder` is where it is, `commands` are the types of command by name, `parameters` the workflow's as they
    were given and checked. `place` says where in the user's text a mistake is. Commands that are `settled`, because a
    resumed run has their results, are not checked: they will not run, and what they read may be gone.
    """
    expanded = expand(definition, {**defaults(definition), **parameters})
    if expanded.mistakes:
        raise DefinitionError([_placed(mistake, name, place) for name, mistake in expanded.mistakes])
    settled = {*settled, *(cell.id for cells in expanded.cells.values() for cell in cells if cell.base in settled)}
    draft = Draft(
        definition, expanded=expanded, folder=folder, commands=commands, parameters=parameters, settled=settled
    )
    order = draft.arrange()
    pairs = sorted(draft.links.pairs())
    upstream, inputs, downstream = (_lists(len(draft.ids)) for _ in range(3))
    for before, after in pairs:
        upstream[after].append(before)
        downstream[before].append(after)
    for before, after in sorted(draft.links.needed()):
        inputs[after].append(before)
    mistakes = [
        *draft.mistakes,
        *pool_mistakes(definition, draft.commands),
        *_checked(draft, upstream, commands, settled),
    ]
    mistakes += _out_of_reach(draft, inputs, commands, settled)
    mistakes += unfit_outputs(definition, draft.commands, folder=folder, types=commands, settled=settled)
    shared = SharedUse(definition, draft.commands, upstream, folder=folder, types=commands, settled=settled)
    mistakes += shared.mistakes()
    mistakes += missing_secrets(draft.commands, settled=settled)
    if mistakes:
        mistakes.sort(key=lambda found: found[0])
        names = [command.base for command in draft.commands or definition.commands]
        placed = (_placed(mistake, names[number], place) for number, mistake in mistakes)
        raise DefinitionError(list(dict.fromkeys(placed)))  # a mistake in many cells is one
    ids = draft.ids
    by_id, befores = dict(zip(ids, draft.commands, strict=True)), _named(upstream, ids)
    return Plan(
        definition=definition,
        folder=folder,
        parameters=parameters,
        commands=by_id,
        order=tuple(ids[number] for number in order),
        links=draft.links,
        upstream=befores,
        downstream=_named(downstream, ids),
        inputs=_named(inputs, ids),
        notes=(
            *draft.notes,
            *_matrix_notes(draft, expanded),
            *_early(draft, upstream),
            *_notes(draft, commands, settled),
            *alternative_notes(by_id, befores),
            *shared.notes(),
            *unacted(definition),
        ),
        fan_ins={ids[number]: found for number, found in draft.fan_ins.items()},
    )


def _checked(
    draft: Draft, upstream: list[list[int]], commands: Mapping[str, Command], settled: Collection[str]
) -> list[tuple[int, Mistake]]:
    """Ask the types of all commands that may run what is wrong with them."""
    known = {*draft.definition.parameters, *draft.parameters}
    definitions, folder, parameters = draft.commands, draft.folder, draft.parameters
    mistakes: list[tuple[int, Mistake]] = []
    for number, nodes in enumerate(upstream):
        command = definitions[number]
        if command.id in settled:
            continue
        kind = commands.get(command.kind)
        if kind is None:
            likely = nearest(command.kind, list(commands))
            path = f"/{command.kind}" if command.type is None else "/type"
            mistakes.append((number, Mistake(f'there is no type of command "{command.kind}"', path, nearest=likely)))
            continue
        names = Addresses(chain((definitions[node].base for node in nodes), draft.fan_ins.get(number, ())))
        asked = _with_values(command, parameters) if command.parameters else command
        try:
            found = kind.check(asked, folder=folder, upstream=names, parameters=known)
        except Exception as error:  # noqa: BLE001 - a type may come from anywhere
            text = f'the type of command "{kind.name}" could not check it: {type(error).__name__}: {error}'
            found = [Mistake(text)]
        if found:  # an argument that is missing may be one that closed a cycle
            found = [*found, *(Mistake(note) for note in draft.lost.get(number, ()))]
            mistakes.extend((number, mistake) for mistake in found)
    return mistakes


def _with_values(command: CommandDefinition, parameters: Mapping[str, Any]) -> CommandDefinition:
    """Return the command with the workflow's parameters where a reference to one is the whole value: so they are
    checked like values that are written there."""
    given = {}
    for name, value in command.parameters.items():
        for reference in references_in(value) if type(value) is str else ():
            is_parameter = reference.root == "parameters" and reference.keys[0] in parameters
            if is_parameter and len(reference.keys) == 1 and reference.text == value.strip():
                given[name] = parameters[reference.keys[0]]
    return command.model_copy(update={"parameters": {**command.parameters, **given}}) if given else command


def _out_of_reach(
    draft: Draft, inputs: list[list[int]], commands: Mapping[str, Command], settled: Collection[str]
) -> Iterator[tuple[int, Mistake]]:
    """Yield a mistake for each result that is known to stay in this process and that a command elsewhere asks for."""
    definitions = draft.commands
    for number, needed in enumerate(inputs):
        if not needed:
            continue
        command = definitions[number]
        kind = commands.get(command.kind)
        if kind is None or command.id in settled or not kind.runs_apart(command):
            continue
        for producer in (definitions[other] for other in needed if definitions[other].kind in commands):
            found = commands[producer.kind].result_type(producer, folder=draft.folder)
            if found is not None:
                yield (
                    number,
                    Mistake(
                        f'"{command.id}" runs in a process of its own and asks for the result of "{producer.id}", '
                        f'a "{found}", which has no stored form and stays in the process that made it',
                        expected="it stored (a model: with skops or onnx to a file; anything else: to a file) and the "
                        "file's Path returned, or a consumer that runs in a thread",
                    ),
                )


def _notes(draft: Draft, commands: Mapping[str, Command], settled: Collection[str]) -> Iterator[str]:
    """Yield what the types have to say about the commands that may run, with the command's id."""
    told: set[tuple[str, str]] = set()
    for command in draft.commands:
        if command.id not in settled:
            for note in commands[command.kind].notes(command, folder=draft.folder):
                if (command.base, note) not in told:  # the same of each cell
                    told.add((command.base, note))
                    yield f'"{command.base}": {note}'


def _matrix_notes(draft: Draft, expanded: Expanded) -> Iterator[str]:
    """Yield how many cells each matrix command has, and which of them the cells of others follow."""
    for name, cells in expanded.cells.items():
        yield f'"{name}" has {len(cells):,} {"cell" if len(cells) == 1 else "cells"}'
    yield from draft.matching


def _early(draft: Draft, upstream: list[list[int]]) -> Iterator[str]:
    """Yield which commands wait for nobody although something comes before them."""
    names = [
        c.base for c, before in zip(draft.commands, upstream, strict=True) if c.trigger_rule == "always" and before
    ]
    for name in dict.fromkeys(names):
        yield f'"{name}" starts at once, whatever is before it: its trigger_rule is always'


def _placed(mistake: Mistake, command: str, place: Placed | None) -> Mistake:
    """Return the mistake with its place; one inside another file than the definition has its place already."""
    if place is None or mistake.file is not None:
        return replace(mistake, path=f"/commands/{command}{mistake.path}")
    return place(mistake, command=command)


def _lists(size: int) -> list[list[int]]:
    return [[] for _ in range(size)]


def _named(numbers: list[list[int]], ids: list[str]) -> dict[str, tuple[str, ...]]:
    none: tuple[str, ...] = ()
    return {
        name: tuple([ids[other] for other in others]) if others else none
        for name, others in zip(ids, numbers, strict=True)
    }
