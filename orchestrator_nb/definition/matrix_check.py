"""What is wrong with a matrix as it is written: its axes, their values, what is included and excluded."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from orchestrator_nb.definition.matrix import MOST_CELLS, OTHER_KEYS, size
from orchestrator_nb.definition.names import nearest
from orchestrator_nb.definition.parameters import name_mistakes
from orchestrator_nb.definition.pointers import child
from orchestrator_nb.definition.references import references_in
from orchestrator_nb.definition.values import described, escaped, misfits
from orchestrator_nb.errors import Mistake, UsageError


def axes_of(matrix: Any) -> dict[str, None]:
    """Return the names that ``${{ matrix.… }}`` may have: the axes, and what is included besides."""
    if not isinstance(matrix, Mapping):
        return {}
    more = matrix.get("include")
    names = {name: None for name in matrix if name not in OTHER_KEYS}
    for entry in more if isinstance(more, (list, tuple)) else ():
        names.update(dict.fromkeys(entry if isinstance(entry, Mapping) else ()))
    return names


def matrix_mistakes(matrix: Mapping[str, Any], pointer: str, declared: Collection[str]) -> Iterator[Mistake]:
    """Yield what is wrong with a matrix; `declared` are the parameters of the workflow, to which it may refer."""
    wrong = list(misfits(dict(matrix), pointer))
    yield from wrong
    if wrong:
        return
    yield from name_mistakes(matrix, pointer)
    if not matrix:
        yield Mistake("the matrix has no axis", pointer, expected="at least one list, such as region: [north, south]")
    for name, values in matrix.items():
        at = child(pointer, name)
        if isinstance(values, str):
            yield from _reference(name, values, at, declared)
        elif name in OTHER_KEYS:
            yield from _entries(name, values, at, matrix)
        elif isinstance(values, list):
            yield from _values(values, at, declared)
    count = size(matrix)
    if count > MOST_CELLS:
        yield Mistake("the matrix is too large", pointer, found=f"{count:,} cells", expected=f"at most {MOST_CELLS:,}")


def _reference(name: str, text: str, pointer: str, declared: Collection[str]) -> Iterator[Mistake]:
    """Yield what is wrong with a list that is a parameter of the workflow."""
    try:
        found = references_in(text)
    except UsageError as error:
        yield Mistake(str(error), pointer)
        return
    if len(found) != 1 or found[0].text != text.strip() or found[0].root != "parameters":
        yield Mistake(f'"{name}" of the matrix is no list', pointer, found=escaped(text),
                      expected='a list, or a parameter that is one, such as "${{ parameters.years }}"')  # fmt: skip
    elif found[0].keys[0] not in declared:
        yield Mistake(f"the workflow has no parameter {escaped(found[0].keys[0])}", pointer, found=escaped(text),
                      nearest=nearest(found[0].keys[0], declared))  # fmt: skip


def _values(values: list[Any], pointer: str, declared: Collection[str]) -> Iterator[Mistake]:
    for place, value in enumerate(values):
        at = f"{pointer}/{place}"
        if isinstance(value, str) and "${{" in value:
            yield from _reference("a value", value, at, declared)
        elif value in values[:place] and any(type(other) is type(value) and other == value for other in values[:place]):
            yield Mistake("a value is there twice", at, found=described(value), expected="each once")


def _entries(name: str, entries: Any, pointer: str, matrix: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield what is wrong with what is included or excluded: mappings of axes to values."""
    axes = [axis for axis in matrix if axis not in OTHER_KEYS]
    for place, entry in enumerate(entries if isinstance(entries, list) else ()):
        at = f"{pointer}/{place}"
        if not isinstance(entry, Mapping) or not entry:
            yield Mistake(f'an entry of "{name}" cannot be read', at, found=described(entry),
                          expected="a mapping of axes to values, such as {region: north}")  # fmt: skip
            continue
        yield from name_mistakes(entry, at)
        for key in entry:
            if name == "exclude" and key not in axes:
                yield Mistake(f"the matrix has no axis {escaped(key)}", child(at, key), nearest=nearest(key, axes),
                              expected=f"one of {', '.join(axes)}" if axes else None)  # fmt: skip
