"""The parameters of a run as they are typed, in papermill's habit: -p NAME VALUE, -r NAME VALUE, -f FILE, -y TEXT."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator_nb.definition.values import described
from orchestrator_nb.definition.yaml_text import read_yaml
from orchestrator_nb.errors import DefinitionError, Mistake, UsageError


@dataclass(frozen=True, slots=True)
class Given:
    """The parameters of a run: `values` by name; `texts` are those that came as text and are to be read as their type."""

    values: dict[str, Any] = field(default_factory=dict)
    texts: frozenset[str] = frozenset()


def gather(
    *,
    typed: Iterable[tuple[str, str]] = (),
    raw: Iterable[tuple[str, str]] = (),
    files: Iterable[str] = (),
    texts: Iterable[str] = (),
) -> Given:
    """Return all parameters; of one name -r wins over -p, that over -y, that over -f, and the later over the earlier.

    Raises UsageError for a name that -p or -r gives twice, and for text that is no YAML mapping.
    """
    values: dict[str, Any] = {}
    for file in files:
        values.update(_file(file))
    for text in texts:
        values.update(_mapping(text, f'the text "{text}" given with -y', None))
    from_typed, from_raw = _once("-p", typed), _once("-r", raw)
    return Given({**values, **from_typed, **from_raw}, frozenset(from_typed.keys() - from_raw.keys()))


def read_as_yaml(given: Given) -> dict[str, Any]:
    """Return the parameters where no types are declared: the text of -p is read as a value in YAML. Raises UsageError."""
    return {
        name: _mapping(f"value: {value}", f'the value of "-p {name}"', None).get("value")
        if name in given.texts
        else value
        for name, value in given.values.items()
    }


def _once(option: str, pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise UsageError(f'"{option} {name}" is given twice: "{found[name]}" and "{value}"; leave one of them out')
        found[name] = value
    return found


def _file(file: str) -> dict[str, Any]:
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f'the parameters file "{file}" given with -f cannot be read: {reason}') from error
    return _mapping(text, f'the parameters file "{file}" given with -f', file)


def _mapping(text: str, what: str, label: str | None) -> dict[str, Any]:
    try:
        tree = read_yaml(text, label)
    except DefinitionError as error:
        raise UsageError(_in_lines(what, error.mistakes)) from error
    if tree.mistakes:
        raise UsageError(_in_lines(what, tree.mistakes))
    if tree.value is None:
        return {}
    if not isinstance(tree.value, dict):
        raise UsageError(f"{what} is not a mapping; found {described(tree.value)}; expected lines like: name: value")
    return tree.value


def _in_lines(what: str, mistakes: Iterable[Mistake]) -> str:
    return "\n".join([f"{what} cannot be read:", *(f"  {mistake}" for mistake in mistakes)])
