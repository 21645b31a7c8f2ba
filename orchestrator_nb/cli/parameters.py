"""Parameters on the command line, in papermill's habit: -p NAME VALUE, -r NAME VALUE, -f FILE, -y TEXT."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer

from orchestrator_nb.cli.verb import Verb
from orchestrator_nb.errors import UsageError
from orchestrator_nb.orchestrator.given import Given, gather

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


class PairsCommand(Verb):
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
    """Return all parameters; see `orchestrator.given.gather`."""
    return gather(typed=_split(typed), raw=_split(raw), files=files or (), texts=texts or ())


def _split(pairs: Iterable[str] | None) -> list[tuple[str, str]]:
    return [(name, value) for name, _, value in (pair.partition(JOINT) for pair in pairs or ())]
