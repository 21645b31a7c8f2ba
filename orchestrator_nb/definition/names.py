"""Names: ids from file names, argument names from ids, and what somebody may have meant."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from keyword import iskeyword

RESERVED = ("parameters", "secrets", "matrix", "context")
"""Names that no command may have: they begin references to something else."""

_LONGEST_ID = 100
_MANY = 500
_FEW = 12


def slug(name: str, *, default: str = "command") -> str:
    """Return an id for a file name or a title: ``01 - Clean data.ipynb`` becomes ``01-clean-data``.

    Accents are dropped; a name of which nothing is left gives `default`.
    """
    stem = re.sub(r"\.(ipynb|ya?ml|json|py|sh)$", "", name.strip().rpartition("/")[2], flags=re.IGNORECASE)
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode("ascii").lower()
    words = re.sub(r"-*[^a-z0-9_.]+-*", "-", plain).strip("-.")
    return words[:_LONGEST_ID].rstrip("-.") or default


def argument_name(name: str) -> str:
    """Return the Python name under which the result of the command `name` can be asked for.

    Leading digits go, as in ``01-clean-data``, which becomes ``clean_data``; a keyword gets an underscore.
    """
    if name.isascii() and name.isidentifier() and not iskeyword(name):
        return name
    words = re.sub(r"[^A-Za-z0-9_]", "_", name)
    bare = words.lstrip("0123456789_") if words[:1].isdigit() else words
    argument = bare or f"_{words}"
    return f"{argument}_" if iskeyword(argument) else argument


def addresses(ids: Iterable[str]) -> dict[str, str]:
    """Map every name by which a command can be asked for to its id: the id itself, and its argument name if no other
    command has that name."""
    table = {name: name for name in ids}
    arguments: dict[str, str | None] = {}
    for name in table:
        argument = argument_name(name)
        if argument not in table:
            arguments[argument] = None if argument in arguments else name
    table.update((argument, name) for argument, name in arguments.items() if name is not None)
    return table


class Addresses(Mapping[str, str]):
    """What `addresses` gives for these ids, found out when it is first asked for: of most commands nobody asks."""

    __slots__ = ("_ids", "_table")

    def __init__(self, ids: Iterable[str]) -> None:
        self._ids = ids
        self._table: dict[str, str] | None = None

    def _known(self) -> dict[str, str]:
        if self._table is None:
            self._table = addresses(self._ids)
        return self._table

    def __getitem__(self, name: str) -> str:
        return self._known()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known())

    def __len__(self) -> int:
        return len(self._known())


def numbered(name: str, taken: Collection[str], *, last: dict[str, int] | None = None) -> str:
    """Return `name`, or `name` with the first number from 2 on with which it is not among `taken` (a set).

    With `last`, the last number given to each name, many equal names are numbered in linear time.
    """
    if name not in taken:
        return name
    number = 2 if last is None else last.get(name, 1) + 1
    while f"{name}-{number}" in taken:
        number += 1
    if last is not None:
        last[name] = number
    return f"{name}-{number}"


def nearest(name: str, names: Collection[str]) -> str | None:
    """Return the one of `names` that was probably meant by `name`, or None. The cost is linear in their number."""
    from difflib import get_close_matches

    wanted = _folded(name)
    near: list[str] = []
    for candidate in names:
        if _folded(candidate) == wanted and candidate != name:
            return candidate
        if len(near) < _MANY and abs(len(candidate) - len(name)) <= 4 and _akin(candidate, name):
            near.append(candidate)
    found = get_close_matches(name, near, n=1, cutoff=0.65)
    return found[0] if found else None


def instead(name: str, names: Collection[str]) -> str:
    """Return what a message says after a name that there is not: the few that there are, or the nearest of many."""
    if len(names) <= _FEW:
        return f"it has {', '.join(names) or 'none yet'}"
    near = nearest(name, names)
    first = ", ".join(list(names)[: _FEW // 2])
    return f'did you mean "{near}"?' if near else f"it has {first} and {len(names) - _FEW // 2:,} more"


def _folded(name: str) -> str:
    return name.replace("_", "").replace("-", "").casefold()


def _akin(candidate: str, name: str) -> bool:
    """Whether it is worth while to measure how near they are: they share the first or the last two letters."""
    return candidate[:2] == name[:2] or candidate[-2:] == name[-2:] or len(name) < 6
