"""The redactor: knows the values of the secrets in use, and puts their names in their place wherever they are written.

What it cannot see: a secret that was changed before it was written (a part of it, its hash, its compressed form), and
one that was written by someone else.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from msgspec import Struct

from orchestrator_nb.data.spellings import Spelling, escaped, spellings
from orchestrator_nb.errors import ResultRefused

SHORTEST = 4
"""Characters that a secret has at least: a shorter one would be found everywhere."""

LINE = 16
"""Characters from which each line of a secret of several lines is kept out by itself: keys are printed line by line."""

LONGEST_HELD = 64 * 1024
"""Characters of a text in pieces that are held back at most."""

_CHUNK = 2**20
_WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "latin-1")
_NUMBER = r"[+-]?\d+(?:\.\d+)?"


class _Known(Struct, frozen=True):
    """One value of a secret, and how it is found: `beginning` is where one of the ways to write it may begin."""

    name: str
    value: str
    ways: tuple[Spelling, ...]
    beginning: re.Pattern[str]
    wide: tuple[bytes, ...]
    number: float | None

    def spans(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Yield start, end and name wherever it is, overlapping pieces too."""
        match = self.beginning.search(text)
        while match:
            for way in self.ways:
                found = way.found_at(text, match.start())
                if found is not None:
                    yield (*found, self.name)
            match = self.beginning.search(text, match.start() + 1)


class Redactor:
    """Takes the values of secrets out of texts and of plain data. While it knows none, everything is let through as it
    is. Safe in any thread; a value that it knows is never forgotten."""

    def __init__(self) -> None:
        self._known: tuple[_Known, ...] = ()
        self._lock = threading.Lock()

    @property
    def active(self) -> bool:
        """Whether it knows any secret."""
        return bool(self._known)

    def add(self, name: str, value: str) -> None:
        """Keep a value out from now on. Raises ValueError, without the value, for one that is too short."""
        kept = value.strip()  # whoever uses it may strip it too
        if any(known.name == name and known.value == kept for known in self._known):
            return
        if len(kept) < SHORTEST:
            raise ValueError(f"it has {len(kept)} characters")
        with self._lock:
            self._known = (*self._known, _known(name, kept))

    def text(self, text: str) -> str:
        """Return the text with ``[secret NAME]`` wherever the value of a secret was."""
        if not self._known or not text:
            return text
        pieces, end = [], 0
        for start, stop, name in self._found(text):
            pieces += [text[end:start], self._mark(name)]
            end = stop
        if not end:
            return text
        return self._without("".join((*pieces, text[end:])))

    def value(self, value: Any) -> Any:
        """Return plain data with each of its texts, keys too, as `text` gives them; the types of mappings are kept."""
        return self._walk(value) if self._known else value

    def refuse(self, content: bytes | Path, *, at: str) -> None:
        """Raise ResultRefused, naming the secret and what is meant by `at`, where content that is kept unchanged holds
        a secret. Raises OSError where a file cannot be read."""
        if not self._known:
            return
        if isinstance(content, bytes):
            name = self._name_in(content)
        else:
            with content.open("rb") as file:
                name = self._name_in_file(file)
        if name is not None:
            raise ResultRefused(
                f'{at} holds the value of the secret "{name}"; what it holds cannot be changed, so it is not kept: '
                "leave the secret out of it"
            )

    def held_from(self, text: str) -> int:
        """Return from where on a text that will be continued may be the beginning of a secret: its length if nowhere."""
        begun = (way.begins_in(text) for known in self._known for way in known.ways)
        start = min((place for place in begun if place is not None), default=len(text))
        spans = [(first, stop) for first, stop, _ in self._found(text)] if start < len(text) else []
        return min((first for first, stop in spans if first < start < stop), default=start)

    def _found(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Yield start, end and name of each piece that is to be taken out, in order; overlapping ones as one."""
        spans = sorted(span for known in self._known for span in known.spans(text))
        if not spans:
            return
        start, stop, name = spans[0]
        for first, last, other in spans[1:]:
            if first < stop:
                stop = max(stop, last)
            else:
                yield start, stop, name
                start, stop, name = first, last, other
        yield start, stop, name

    def _mark(self, name: str) -> str:
        mark = f"[secret {name}]"
        return "[…]" if any(True for _ in self._found(mark)) else mark

    def _without(self, text: str) -> str:
        """Return the text, from which anything is taken out that has come about by putting marks into it."""
        while found := list(self._found(text)):
            for start, stop, _ in reversed(found):
                text = text[:start] + text[stop:]
        return text

    def _walk(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            kind: Any = type(value) if isinstance(value, dict) else dict
            return kind({self._walk(key): self._walk(item) for key, item in value.items()})
        if isinstance(value, list | tuple):
            return type(value)([self._walk(item) for item in value])
        if type(value) in (int, float):
            return next((self._mark(known.name) for known in self._known if known.number == value), value)
        return value

    def _name_in(self, data: bytes) -> str | None:
        for known in self._known:
            if any(wide in data for wide in known.wide):
                return known.name
        text = data.decode("utf-8", "surrogateescape")
        return next((name for _, _, name in self._found(text)), None)

    def _name_in_file(self, file: IO[bytes]) -> str | None:
        overlap = max(16 * len(known.value.encode("utf-8", "surrogatepass")) for known in self._known)
        before = b""
        while chunk := file.read(_CHUNK):
            name = self._name_in(before + chunk)
            if name is not None:
                return name
            before = (before + chunk)[-overlap:]
        return None


class Redacted:
    """A text that comes in pieces, with the secrets taken out: what may be the beginning of one waits for the rest."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = ""
        self._lock = threading.Lock()

    def feed(self, text: str) -> str:
        """Take a piece and return what can be let out."""
        with self._lock:
            text = self._held + text
            place = self._redactor.held_from(text)
            if len(text) - place > LONGEST_HELD:
                place = len(text)
            self._held = text[place:]
            return self._redactor.text(text[:place])

    def rest(self) -> str:
        """Return what was held back, since nothing more comes."""
        with self._lock:
            text, self._held = self._held, ""
            return self._redactor.text(text)


def _known(name: str, value: str) -> _Known:
    lines = [line.strip() for line in value.splitlines()]
    parts = [line for line in lines if len(line) >= LINE and line != value]
    ways = (*spellings(value), *map(escaped, dict.fromkeys(parts)))
    wide = []
    for encoding in _WIDE:
        try:
            wide.append(value.encode(encoding))
        except UnicodeEncodeError:  # latin-1 does not have all characters, and none has half of a surrogate pair
            continue
    beginning = re.compile("|".join(way.beginning for way in ways))
    return _Known(name, value, ways, beginning, tuple(wide), float(value) if re.fullmatch(_NUMBER, value) else None)


REDACTOR = Redactor()
"""The secrets of this process."""
