"""Parameters on the command line, in papermill's habit: -p NAME VALUE, -r NAME VALUE, -f FILE, -y TEXT."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from orchestrator_nb.definition.values import described
from orchestrator_nb.definition.yaml_text import read_yaml
from orchestrator_nb.errors import DefinitionError, Mistake, UsageError

JOINT = "\0"
"""Holds NAME and VALUE together while typer has them as one; no argument of a process can hold it."""

PAIRS = frozenset({"-p", "--parameters", "-r", "--parameters_raw"})

Typed = Annotated[
    list[str] | None,
    typer.Option(
        "-p", "--parameters", metavar="NAME VALUE", help="A parameter; its text is read as the declared type."
    ),
]
Raw = Annotated[
    list[str] | None,
    typer.Option("-r", "--parameters_raw", metavar="NAME VALUE", help="A parameter that stays text."),
]
Files = Annotated[
    list[str] | None, typer.Option("-f", "--parameters_file", metavar="FILE", help="Parameters from a YAML file.")
]
Texts = Annotated[
    list[str] | None, typer.Option("-y", "--parameters_yaml", metavar="TEXT", help="Parameters as YAML text.")
]


@dataclass(frozen=True, slots=True)
class Given:
    """The parameters of a run: `values` by name; `texts` are those that came as text and are to be read as their type."""

    values: dict[str, Any] = field(default_factory=dict)
    texts: frozenset[str] = frozenset()


class PairsCommand(TyperCommand):
    """A command of typer whose options -p and -r take two values each, as often as wanted."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse as typer does, NAME and VALUE joined. Raises UsageError naming what is missing."""
        return super().parse_args(ctx, join_pairs(args))


def join_pairs(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with the two values of each pair option joined into one."""
    joined: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        joined.append(argument)
        if argument == "--":
            joined.extend(rest)
        elif argument in PAIRS:
            pair = [value for value in (next(rest, None), next(rest, None)) if value is not None]
            joined.append(JOINT.join(_checked(argument, pair)))
    return joined


def _checked(option: str, pair: list[str]) -> list[str]:
    name = pair[0] if pair else ""
    if "=" in name:
        known, _, value = name.partition("=")
        raise UsageError(
            f'"{option}" takes a name and a value, one after the other; found "{name}"; '
            f"type: {option} {known or 'NAME'} {value or 'VALUE'}"
        )
    if len(pair) < 2:
        found = f'only "{name}"' if pair else "nothing"
        raise UsageError(f'"{option}" takes two values, NAME and VALUE; found {found}')
    if not name:
        raise UsageError(f'"{option}" takes a name and a value; found an empty name before "{pair[1]}"')
    return pair


def collect(
    typed: Iterable[str] | None, raw: Iterable[str] | None, files: Iterable[str] | None, texts: Iterable[str] | None
) -> Given:
    """Return all parameters; of one name -r wins over -p, that over -y, that over -f, and the later over the earlier.

    Raises UsageError for a name that -p or -r gives twice, and for text that is no YAML mapping.
    """
    values: dict[str, Any] = {}
    for file in files or ():
        values.update(_file(file))
    for text in texts or ():
        values.update(_mapping(text, f'the text "{text}" given with -y', None))
    from_typed = _pairs("-p", typed or ())
    from_raw = _pairs("-r", raw or ())
    return Given({**values, **from_typed, **from_raw}, frozenset(from_typed.keys() - from_raw.keys()))


def read_as_yaml(given: Given) -> dict[str, Any]:
    """Return the parameters where no types are declared: the text of -p is read as a value in YAML. Raises UsageError."""
    return {
        name: _mapping(f"value: {value}", f'the value of "-p {name}"', None).get("value")
        if name in given.texts
        else value
        for name, value in given.values.items()
    }


def _pairs(option: str, pairs: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        name, _, value = pair.partition(JOINT)
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
