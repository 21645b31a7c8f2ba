"""How runs are shown to people: text without commands to a terminal, a failure in one line, a list of names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import zip_longest

from orchestrator_nb.definition.values import visible
from orchestrator_nb.errors import CommandError
from orchestrator_nb.events import Failure

_OWN = f"{CommandError.__module__}.{CommandError.__qualname__}"
_COLOURS = r"\x1b\[[0-9;:]*m"


def as_text(text: str, *, colours: bool = False) -> str:
    """Return what somebody's code said so that a terminal shows it and obeys none of it.

    Escapes that set colours are left out, or kept if `colours`; line ends and tabs stay, whatever else cannot be seen
    is written as an escape.
    """
    if text.isprintable():
        return text
    kept = re.findall(_COLOURS, text) if colours else []
    pieces = [
        "\n".join("\t".join(map(visible, line.split("\t"))) for line in piece.split("\n"))
        for piece in re.split(_COLOURS, text)
    ]
    return "".join(piece + colour for piece, colour in zip_longest(pieces, kept, fillvalue=""))


def exception_name(failure: Failure) -> str:
    """Return the name of the exception's class; nothing where there was none, or only ours for what is no exception."""
    return "" if not failure.types or failure.types[0] == _OWN else failure.types[0].rpartition(".")[2]


def headline(failure: Failure) -> str:
    """Return a failure in one line: the name of its exception, or its kind, and the first line of its message.

    How a program exited and which gate did not hold is in the message already.
    """
    name = exception_name(failure) or failure.kind
    first = failure.message.strip().splitlines()[0] if failure.message.strip() else ""
    if first and failure.kind in ("exit_code", "signal", "gate"):
        return first
    return f"{name}: {first}" if first and not first.startswith(name) else first or name


def listed(names: Sequence[str], most: int) -> str:
    """Return the first `most` names in one line, and how many there are besides."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"
