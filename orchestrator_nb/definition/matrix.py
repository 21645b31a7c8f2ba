"""Matrices: one command over lists of values becomes many, its cells, and what comes after it gathers them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import product
from math import prod
from typing import Any

from msgspec import Struct, field

from orchestrator_nb.definition.models import CommandDefinition, Id, WorkflowDefinition
from orchestrator_nb.definition.names import RESERVED, numbered, slug
from orchestrator_nb.definition.pointers import child
from orchestrator_nb.definition.references import Reference, references_in, resolve
from orchestrator_nb.definition.values import described
from orchestrator_nb.errors import Mistake, UsageError

MOST_CELLS = 10_000
"""How many cells a matrix may have."""
OTHER_KEYS = ("include", "exclude")
"""The keys of a matrix that are no axes."""
TEXT_FIELDS = ("shell", "environment", "reads", "writes", "notebook", "cwd")
"""The fields in which a value of a matrix becomes text."""
FIELDS = ("parameters", "args", *TEXT_FIELDS)
"""The fields in which ``${{ matrix.region }}`` is read; in `when` it is a name like any other."""

_encode = json.JSONEncoder(sort_keys=True).encode
_LONGEST_ID = 100
_ROOM = 6
"""Characters of an id that are left for a number."""


class CellDefinition(CommandDefinition):
    """One cell of a matrix command: the command with the values of its axes, `cell`, filled in.

    `matrix_of` is the id of the command that was written, `key` what tells the cell from the others: ``north-2020``.
    """

    matrix_of: Id
    key: str
    cell: dict[str, Any]

    @property
    def base(self) -> str:
        """The id of the command that was written."""
        return self.matrix_of


class FanIn(Struct, frozen=True):
    """Which cells of a matrix command another command comes after: their ids by key, in the order of the matrix.

    `one` when it is the one cell that agrees with a cell in all axes: then its result is that of the cell, and not a
    mapping of keys to results. `note` says so for people.
    """

    cells: Mapping[str, str]
    one: bool
    note: str


class Expanded(Struct, frozen=True, dict=True):
    """The commands of a definition with the cells in the place of each matrix command.

    `cells` are those of each matrix command, by its id. `mistakes` are those of matrices whose values were not known
    before, each with the id of the command.
    """

    commands: tuple[CommandDefinition, ...]
    cells: Mapping[str, tuple[CellDefinition, ...]]
    mistakes: tuple[tuple[str, Mistake], ...] = ()
    _matching: dict[tuple[str, tuple[str, ...]], dict[str, list[CellDefinition]]] = field(default_factory=dict)

    @cached_property
    def _axes(self) -> dict[str, frozenset[str]]:
        """Of each matrix command the keys that all its cells have."""
        return {name: frozenset.intersection(*(frozenset(cell.cell) for cell in cells)) if cells else frozenset()
                for name, cells in self.cells.items()}  # fmt: skip

    def fan_in(self, command: CommandDefinition, name: str) -> FanIn:
        """Return the cells of the matrix command `name` that `command` comes after.

        A cell comes after those that agree with it in the axes that both have, and after all where none agrees.
        """
        cells, axes = self.cells[name], self._axes[name]
        lead = f'"{command.base}" gathers'
        if not cells:
            return FanIn({}, False, f'"{name}" has no cells, since its matrix is empty: {lead} an empty mapping')
        own = command.cell if isinstance(command, CellDefinition) else {}
        shared = tuple(axis for axis in own if axis in axes)
        if not shared:
            return FanIn({cell.key: cell.id for cell in cells}, False, f'{lead} all {len(cells):,} cells of "{name}"')
        found = self._grouped(name, shared).get(_said([own[axis] for axis in shared]), ())
        if not found:
            missing = f'no cell of "{name}" has the {", ".join(shared)} of "{command.id}", which gathers all of them'
            return FanIn({cell.key: cell.id for cell in cells}, False, missing)
        one = len(found) == 1 and axes <= own.keys()
        how = f'each cell of "{command.base}" follows the cell{"" if one else "s"} of "{name}" with the same'
        return FanIn({cell.key: cell.id for cell in found}, one, f"{how} {', '.join(shared)}")

    def _grouped(self, name: str, axes: tuple[str, ...]) -> dict[str, list[CellDefinition]]:
        """Return the cells of a matrix command by their values of some axes."""
        known = self._matching.get((name, axes))
        if known is None:
            known = self._matching[name, axes] = {}
            for cell in self.cells[name]:
                known.setdefault(_said([cell.cell[axis] for axis in axes]), []).append(cell)
        return known


def expand(definition: WorkflowDefinition, parameters: Mapping[str, Any]) -> Expanded:
    """Return the commands of a workflow with their matrices expanded, for these parameters of the workflow."""
    if all(command.matrix is None for command in definition.commands):
        return Expanded(definition.commands, {})
    taken = {*RESERVED, *(command.id.casefold() for command in definition.commands)}
    commands: list[CommandDefinition] = []
    cells: dict[str, tuple[CellDefinition, ...]] = {}
    mistakes: list[tuple[str, Mistake]] = []
    for command in definition.commands:
        if command.matrix is None:
            commands.append(command)
            continue
        found, wrong = _cells(command, command.matrix, parameters, taken)
        cells[command.id] = tuple(found)
        commands += found
        mistakes += [(command.id, mistake) for mistake in wrong]
    return Expanded(tuple(commands), cells, tuple(mistakes))


def combinations(matrix: Mapping[str, Any]) -> list[tuple[dict[str, Any], tuple[str, ...]]]:
    """Return the cells of a matrix of plain lists: the values of each, and the axes by which it is called.

    The product of the axes in order, without what an entry of `exclude` describes. An entry of `include` adds its
    other values to the cells of the product whose values it repeats, if there are any; else it is a cell of its own.
    """
    axes = {name: values for name, values in matrix.items() if name not in OTHER_KEYS}
    rows = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())] if axes else []
    for partial in matrix.get("exclude", ()):
        rows = [row for row in rows if not _agrees(row, partial)]
    added: list[dict[str, Any]] = []
    extra: list[dict[str, Any]] = [{} for _ in rows]
    for entry in matrix.get("include", ()):
        repeated = {name: value for name, value in entry.items() if name in axes}
        others = {name: value for name, value in entry.items() if name not in axes}
        matching = [place for place, row in enumerate(rows) if _agrees(row, repeated)]
        for place in matching:
            extra[place].update(others)
        if not matching:
            added.append(dict(entry))
    called = tuple(axes)
    return [
        *(({**row, **more}, called) for row, more in zip(rows, extra, strict=True)),
        *((row, tuple(row)) for row in added),
    ]


def size(matrix: Mapping[str, Any]) -> int:
    """Return how many cells a matrix has at the most, as far as its lists are known."""
    axes = [len(values) for name, values in matrix.items() if name not in OTHER_KEYS and isinstance(values, list)]
    more = matrix.get("include")
    return (prod(axes) if axes else 0) + (len(more) if isinstance(more, list) else 0)


def _agrees(row: Mapping[str, Any], partial: Mapping[str, Any]) -> bool:
    return all(name in row and _said(row[name]) == _said(value) for name, value in partial.items())


def _said(value: Any) -> str:
    """Return a text by which values are told apart, true from 1 too."""
    return _encode(value)


def _cells(
    command: CommandDefinition, matrix: Mapping[str, Any], parameters: Mapping[str, Any], taken: set[str]
) -> tuple[list[CellDefinition], list[Mistake]]:
    """Return the cells of a command, and what is wrong with its matrix for these parameters."""
    known, wrong = _known(matrix, parameters)
    count = size(known)
    if count > MOST_CELLS:
        wrong.append(Mistake("the matrix is too large", "/matrix", found=f"{count:,} cells",
                             expected=f"at most {MOST_CELLS:,}"))  # fmt: skip
    if wrong:
        return [], wrong
    fields = [name for name in FIELDS if any(each.root == "matrix" for each in references_in(getattr(command, name)))]
    said = {name: getattr(command, name) for name in command.model_fields_set if name != "matrix"}
    cells: list[CellDefinition] = []
    keys: set[str] = set()
    last: dict[str, int] = {}
    ids: dict[str, int] = {}
    slugs: dict[str, str] = {}
    for values, called in combinations(known):
        room = _LONGEST_ID - len(command.id) - 1 - _ROOM
        key = numbered(
            "-".join([_slug(values[axis], slugs) for axis in called])[: max(room, 8)].rstrip("-"), keys, last=last
        )
        keys.add(key)
        name = f"{command.id[: _LONGEST_ID - len(key) - 1 - _ROOM]}-{key}"
        name += numbered(name.casefold(), taken, last=ids)[len(name) :]
        taken.add(name.casefold())
        filled = {}
        for field_name in fields:
            try:
                filled[field_name] = _filled(field_name, said[field_name], values, key)
            except UsageError as error:
                wrong.append(Mistake(str(error), f"/{field_name}"))
        own = {"id": name, "matrix": None, "matrix_of": command.id, "key": key, "cell": values}
        cells.append(CellDefinition.made({**said, **filled, **own}))
    return cells, list(dict.fromkeys(wrong))


def _known(matrix: Mapping[str, Any], parameters: Mapping[str, Any]) -> tuple[dict[str, Any], list[Mistake]]:
    """Return the matrix with the values of the parameters that it refers to, and what is wrong with these."""

    def value_of(reference: Reference) -> Any:
        value: Any = parameters
        for key in reference.keys:
            if not isinstance(value, Mapping) or key not in value:
                raise UsageError(f'"{reference.text}" has no value')
            value = value[key]
        return value

    known: dict[str, Any] = {}
    wrong: list[Mistake] = []
    for name, values in matrix.items():
        at = child("/matrix", name)
        try:
            found = resolve(values, value_of)
        except UsageError as error:
            wrong.append(Mistake(str(error), at))
            continue
        if not isinstance(found, (list, tuple)):
            wrong.append(Mistake(f'"{name}" of the matrix is no list', at, found=described(found), expected="a list"))
        elif name not in OTHER_KEYS and _repeated(found):
            wrong.append(Mistake(f'"{name}" of the matrix has a value twice', at, found=described(_repeated(found)[0]),
                                 expected="each once"))  # fmt: skip
        else:
            known[name] = list(found)
    return known, wrong


def _repeated(values: Sequence[Any]) -> list[Any]:
    seen: set[str] = set()
    return [value for value in values if _said(value) in seen or seen.add(_said(value))]  # type: ignore[func-returns-value]


def _slug(value: Any, known: dict[str, str]) -> str:
    """Return a value as a part of an id: letters, digits, "_" and "-"; `known` has those that were asked for before."""
    text = value if isinstance(value, str) else _encode(value)
    if text not in known:
        known[text] = slug(text.replace("/", "-"), default="empty").replace(".", "-").strip("-")
    return known[text]


def _filled(name: str, value: Any, values: Mapping[str, Any], key: str) -> Any:
    """Return the value of a field with those of a cell in it; other references stay as they are. Raises UsageError."""

    def value_of(reference: Reference) -> Any:
        if reference.root != "matrix":
            return reference.text
        found: Any = values
        for part in reference.keys:
            if not isinstance(found, Mapping) or part not in found:
                raise UsageError(f'the cell "{key}" has no value for "{reference.text}"')
            found = found[part]
        return found

    filled = resolve(value, value_of)
    return _texts(filled, name) if name in TEXT_FIELDS else filled


def _texts(value: Any, name: str) -> Any:
    """Return the texts of a field, numbers and booleans written out. Raises UsageError for anything else."""
    if isinstance(value, (list, tuple)):
        return tuple(_texts(item, name) for item in value)
    if isinstance(value, dict):
        return {key: _texts(item, name) for key, item in value.items()}
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise UsageError(f'a value of the matrix in "{name}" is {described(value)}; expected text, a number or a boolean')


def references_of(matrix: Mapping[str, Any]) -> Iterator[Reference]:
    """Yield the references in a matrix. Raises UsageError for one that is malformed."""
    for values in matrix.values():
        yield from references_in(values)
