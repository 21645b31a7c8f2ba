"""What commands read and write: paths, patterns of paths and named resources, and which of them meet."""

from __future__ import annotations

import os
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]+:"  # two letters at least: a single one is a drive
_WILD = r"[*?\[]"
_PATH = r"[/\\.*?\[]"
_MANY = 4096


class Resource(NamedTuple):
    """A resource in a form in which equal means the same.

    `base` is an absolute path with forward slashes, symbolic links resolved as far as they exist; `pattern`, below the
    base, is empty unless the text has wildcards. A named resource is its name.
    """

    base: str
    pattern: str = ""
    named: bool = False

    @property
    def path(self) -> Path | None:
        """The path that it is, None for a pattern and a named resource."""
        return None if self.named or self.pattern else Path(self.base)

    @property
    def stem(self) -> str:
        """The text that everything begins with that this resource is or matches."""
        if not self.pattern:
            return self.base
        wild = re.search(_WILD, self.pattern)
        return f"{self.base.rstrip('/')}/{self.pattern[: wild.start() if wild else None]}"

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The parts of the path: plain ones as text, those with wildcards as symbols."""
        plain: tuple[Segment, ...] = tuple(self.base.rstrip("/").split("/"))
        return plain + tuple(_segment(part) for part in self.pattern.split("/")) if self.pattern else plain


def is_named(text: str) -> bool:
    """Say whether a text names a resource and not a path: ``db:sales``, ``s3://bucket/key``, ``sales``.

    A path has a slash, an extension or a wildcard; `./sales` and `sales/` are paths.
    """
    if ":" in text and re.match(_SCHEME, text):
        return True
    return not (text.startswith("~") or re.search(_PATH, text))


class Locator:
    """Finds the resource that a text names; it remembers folders, so that many texts cost few system calls."""

    def __init__(self) -> None:
        self._real: dict[tuple[str, str], str] = {}

    def resource(self, text: str, *, folder: str) -> Resource:
        """Return the resource that `text` names when it is said in `folder`, an absolute path."""
        if is_named(text):
            return Resource(text.rstrip("/"), named=True)
        if text.startswith("~"):
            text = os.path.expanduser(text)
        text = text.replace(os.sep, "/")
        wild = re.search(_WILD, text)
        if not wild:
            return Resource(self._located(text, folder))
        cut = text.rfind("/", 0, wild.start()) + 1
        pattern = os.path.normpath(text[cut:]).replace(os.sep, "/")
        return Resource(self._located(text[:cut], folder), pattern)

    def _located(self, text: str, folder: str) -> str:
        """Return the real path; only its last part is looked up where the folder is known already."""
        head, slash, name = text.rpartition("/")
        if name in ("", ".", ".."):
            return _real(os.path.join(folder, text))
        around = self._real.get((folder, head))
        if around is None:
            around = self._real[folder, head] = _real(os.path.join(folder, head + slash)).rstrip("/")
        full = f"{around}/{os.path.normcase(name)}"
        return _real(full) if os.path.islink(full) else full


def _real(path: str) -> str:
    """Return the path without symbolic links, as far as it exists, with forward slashes."""
    return os.path.normcase(os.path.realpath(path)).replace(os.sep, "/")


class Shelf:
    """Many resources, kept so that those which meet another one are found without looking at all of them."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._named: set[Resource] = set()
        self._by_stem: dict[str, list[Resource]] = defaultdict(list)
        for resource in sorted(set(resources)):
            if resource.named:
                self._named.add(resource)
            else:
                self._by_stem[resource.stem].append(resource)
        self._stems = sorted(self._by_stem)
        self._folders: set[str] = set()
        for stem in self._stems:
            for folder in _above(stem):
                if folder in self._folders:
                    break
                self._folders.add(folder)
        self._around: dict[str, list[str]] = {}
        # Only the stems of patterns may end in the middle of a name.
        self._lengths = sorted({len(stem) for stem, kept in self._by_stem.items() if any(one.pattern for one in kept)})

    def meeting(self, resource: Resource) -> Iterator[Resource]:
        """Yield every resource here that may be the same as `resource`, may contain it or may be inside it."""
        if resource.named:
            if resource in self._named:
                yield resource
            return
        for stem in self._agreeing(resource):
            for candidate in self._by_stem[stem]:
                if meet(resource, candidate):
                    yield candidate

    def _agreeing(self, resource: Resource) -> Iterator[str]:
        """Yield the stems that agree with that of `resource` as far as both go."""
        stem = resource.stem
        folder = stem[: stem.rfind("/")]
        if folder not in self._around:
            self._around[folder] = [above for above in (folder, *_above(folder)) if above in self._by_stem]
        before = {*self._around[folder], *(stem[:length] for length in self._lengths if length < len(stem)), stem}
        yield from sorted(before & self._by_stem.keys()) if len(before) > 1 else before & self._by_stem.keys()
        if not resource.pattern and stem not in self._folders:
            return
        start = stem if resource.pattern else f"{stem.rstrip('/')}/"
        for number in range(bisect_left(self._stems, start), len(self._stems)):
            if not self._stems[number].startswith(start):
                break
            if self._stems[number] not in before:
                yield self._stems[number]


def _above(path: str) -> Iterator[str]:
    """Yield the folders around a path, the innermost first, without the topmost."""
    end = path.rfind("/")
    while end > 0:
        yield path[:end]
        end = path.rfind("/", 0, end)


Symbol = tuple[bool, frozenset[str]] | None
"""One character: (True, those it may be) or (False, those it may not be); None stands for any number of any."""
Segment = str | tuple[Symbol, ...]


def meet(one: Resource, other: Resource) -> bool:
    """Say whether two resources may be the same, or one may be a folder that contains the other."""
    if one.named or other.named or not (one.pattern or other.pattern):
        return one == other or (not one.named and not other.named and _contains(one.base, other.base))
    first, second = one.segments, other.segments
    seen = {(0, 0)}
    waiting = [(0, 0)]
    while waiting:
        i, j = waiting.pop()
        if i == len(first) or j == len(second):
            return True
        steps = []
        if first[i] == "**" or second[j] == "**":
            steps = [(i + 1, j), (i, j + 1)]
        elif _alike(first[i], second[j]):
            steps = [(i + 1, j + 1)]
        waiting.extend(step for step in steps if step not in seen)
        seen.update(steps)
    return False


def _contains(one: str, other: str) -> bool:
    short, long = sorted((one.rstrip("/"), other), key=len)
    return long.startswith(f"{short.rstrip('/')}/")


def _alike(one: Segment, other: Segment) -> bool:
    """Say whether some name fits both segments."""
    if isinstance(one, str) and isinstance(other, str):
        return one == other
    return _fit(_symbols(one), _symbols(other))


def _fit(one: tuple[Symbol, ...], other: tuple[Symbol, ...]) -> bool:
    seen = {(0, 0)}
    waiting = [(0, 0)]
    while waiting:
        i, j = waiting.pop()
        if i == len(one) and j == len(other):
            return True
        steps = []
        if i < len(one) and one[i] is None:
            steps.append((i + 1, j))
        if j < len(other) and other[j] is None:
            steps.append((i, j + 1))
        if i < len(one) and j < len(other):
            steps.extend(_advance(one[i], other[j], i, j))
        waiting.extend(step for step in steps if step not in seen)
        seen.update(steps)
    return False


def _advance(one: Symbol, other: Symbol, i: int, j: int) -> list[tuple[int, int]]:
    if one is None:
        return [(i, j + 1)]
    if other is None:
        return [(i + 1, j)]
    (wanted, these), (other_wanted, those) = one, other
    if wanted and other_wanted:
        common = bool(these & those)
    elif wanted or other_wanted:
        common = bool(these - those) if wanted else bool(those - these)
    else:
        common = True
    return [(i + 1, j + 1)] if common else []


def _symbols(segment: Segment) -> tuple[Symbol, ...]:
    return tuple((True, frozenset(letter)) for letter in segment) if isinstance(segment, str) else segment


@lru_cache(maxsize=_MANY)
def _segment(text: str) -> Segment:
    """Read a segment as the shell's patterns are read: ``*``, ``?``, ``[abc]``, ``[!a-z]``; ``**`` stays text."""
    if text == "**" or not re.search(_WILD, text):
        return text
    symbols: list[Symbol] = []
    at = 0
    while at < len(text):
        letter = text[at]
        close = text.find("]", at + (3 if text[at + 1 : at + 2] == "!" else 2)) if letter == "[" else -1
        if letter == "*":
            symbols.append(None)
        elif letter == "?":
            symbols.append((False, frozenset()))
        elif close > 0:
            inside = text[at + 1 : close]
            wanted = not inside.startswith("!")
            symbols.append((wanted, _letters(inside if wanted else inside[1:])))
            at = close
        else:
            symbols.append((True, frozenset(letter)))
        at += 1
    return tuple(symbols)


def _letters(text: str) -> frozenset[str]:
    """Return the characters of a class, its ranges spelled out."""
    letters = set(re.sub(r".-.", "", text, flags=re.DOTALL))
    for first, last in re.findall(r"(.)-(.)", text, flags=re.DOTALL):
        letters.update(map(chr, range(ord(first), ord(last) + 1)))
    return frozenset(letters)
