"""The ways in which a text may be written: as it is, escaped, quoted, backwards, in hexadecimal, in base64."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property, lru_cache
from itertools import chain

from msgspec import Struct

Ways = tuple[str, ...]

COLOUR = r"\x1b\[[\d;]*m"
SLASHES = rf"\\|{COLOUR}"
"""What may stand between two characters of a text, as a regular expression: what escapes them, and their colours."""

BROKEN = rf"\\[rn]|\r?\n[ \t]*|\\|{COLOUR}"
"""What may stand between two characters of base64, which is often broken into lines."""

SPACED = rf"\\x|0x|[\s:,-]|{COLOUR}"
"""What may stand between two bytes in hexadecimal."""

_LOOKED_FOR = 4
"""How many of its first characters are looked for; where they are, the rest is compared."""

_MOST_BETWEEN = 64
_NAMED = {
    "\n": ("\\n", "\r\n", "\\r\\n"), "\r": ("\\r",), "\t": ("\\t",), "\b": ("\\b",), "\f": ("\\f",), "\v": ("\\v",),
    "\a": ("\\a",), "\x1b": ("\\e", "\\E"), " ": ("+", "&nbsp;"), "&": ("&amp;",), "<": ("&lt;",), ">": ("&gt;",),
    '"': ("&quot;", '""'), "'": ("&apos;", "''", "'\"'\"'", "'\\''"),
}  # fmt: skip
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_IN_BASE64 = {"+": ("+", "-", "%2B", "%2b"), "/": ("/", "_", "%2F", "%2f")}


class Spelling(Struct, frozen=True, dict=True):
    """One way to write a text: the ways to write each of its characters, and what may stand `between` them.

    `before` is what the character before it is where that one has a part of it.
    """

    characters: tuple[Ways, ...]
    between: str
    before: Ways = ()

    @property
    def beginning(self) -> str:
        """The regular expression of its first characters, or of the first alone where that is written in a rare way.

        Each of its alternatives begins with a character and not with a group, by which the search skips what cannot be it.
        """
        first, *others = self.characters[:_LOOKED_FOR]
        rest = "".join(f"(?:{self.between}){{0,8}}{_one_of(ways)}" for ways in others)
        return "|".join(f"{re.escape(way)}{rest if len(way) == 1 else ''}" for way in first)

    def found_at(self, text: str, start: int) -> tuple[int, int] | None:
        """Return where it begins and ends in a text, if its first character is at `start`."""
        end, _ = self._follow(text, start)
        if end is None:
            return None
        return (start - 1 if self.before and start and text[start - 1] in self.before else start), end

    def begins_in(self, text: str) -> int | None:
        """Return where in a text that is to be continued this may have begun; None where it has not."""
        loose = len(text) - len(text.rstrip(self._used))
        for match in self._first.finditer(text, len(text) - min(loose, self._longest)):
            if self._follow(text, match.start())[1]:
                return max(match.start() - bool(self.before), 0)
        return None

    @cached_property
    def _used(self) -> str:
        """Every character that may be in it."""
        between = {SLASHES: "", BROKEN: "rn\r\n", SPACED: "x \t\r\n:,-"}[self.between]
        return "".join({*chain.from_iterable(chain.from_iterable(self.characters)), *between, *"\\\x1b[;m0123456789"})

    @cached_property
    def _longest(self) -> int:
        return sum(max(map(len, ways)) for ways in self.characters) * 2 + _MOST_BETWEEN

    @cached_property
    def _first(self) -> re.Pattern[str]:
        """Where its first character is, or where a text ends in the beginning of it; overlapping ones too."""
        cut = {way[:length] for way in self.characters[0] for length in range(1, len(way))}
        ends = f"|{_one_of(cut)}\\Z" if cut else ""
        return re.compile(f"(?={_one_of(self.characters[0])}{ends})")

    @cached_property
    def _one_between(self) -> re.Pattern[str]:
        return re.compile(self.between)

    def _follow(self, text: str, start: int) -> tuple[int | None, bool]:
        """Return where it ends, if it is there from `start` on, and whether it may be there once the text goes on.

        All ways are followed at the same time, so that text which is full of escapes costs no more than its length.
        """
        places, may_go_on = {start}, False
        for number, ways in enumerate(self.characters):
            reached: set[int] = set()
            for place in self._past_between(text, places) if number else places:
                rest = len(text) - place
                may_go_on = may_go_on or not rest or (number > 0 and _is_cut_colour(text, place))
                for way in ways:
                    if text.startswith(way, place):
                        reached.add(place + len(way))
                    elif rest < len(way) and text.endswith(way[:rest]):
                        may_go_on = True
            if not reached:
                return None, may_go_on
            places = reached
        return max(places), may_go_on

    def _past_between(self, text: str, places: set[int]) -> set[int]:
        found, new = set(places), list(places)
        while new and len(found) < _MOST_BETWEEN:
            match = self._one_between.match(text, new.pop())
            if match and match.end() not in found:
                found.add(match.end())
                new.append(match.end())
        return found


def spellings(value: str) -> list[Spelling]:
    """Return the ways in which a text, which has a character at least, may be written."""
    data = value.encode("utf-8", "surrogatepass")
    found = [escaped(value)]
    if value != value[::-1]:
        found.append(escaped(value[::-1]))
    found.append(Spelling(tuple((f"{byte:02x}", f"{byte:02X}") for byte in data), SPACED))
    return found + [_in_base64(data, before) for before in range(3)]


def escaped(value: str) -> Spelling:
    """Return the text as it is or as it stands in JSON, Python, a URL, HTML or a shell command, in each other too."""
    return Spelling(tuple(map(_ways, value)), SLASHES)


@lru_cache(maxsize=256)
def _ways(character: str) -> Ways:
    """Return the ways to write one character; backslashes before them count as standing between characters."""
    code, data = ord(character), character.encode("utf-8", "surrogatepass")
    wide = character.encode("utf-16-be", "surrogatepass").hex()
    units = [wide[place : place + 4] for place in range(0, len(wide), 4)]
    ways = [character, *_NAMED.get(character, ())]
    for cased in (str.lower, str.upper):
        two = [cased(f"{byte:02x}") for byte in data]
        ways += ["".join(f"{lead}{digits}" for digits in two) for lead in ("\\x", "%", "%25")]
        ways += ["".join(f"\\u{cased(unit)}" for unit in units), f"\\U{cased(f'{code:08x}')}"]
        ways += [f"&#x{cased(f'{code:x}')};", *([f"\\x{cased(f'{code:02x}')}"] if code < 256 else [])]
    ways += [f"&#{code};", "".join(f"\\{byte:03o}" for byte in data)]
    again = [way[0] + way[1:].replace("\\", "\\" * times) for times in (2, 3, 4) for way in ways if "\\" in way[1:]]
    return tuple(dict.fromkeys((*ways, *again)))


def _in_base64(data: bytes, before: int) -> Spelling:
    """Return what stands for `data` when so many bytes come before it; at its ends, all that its bits allow."""
    unknown = before * 8 % 6
    bits = "?" * unknown + "".join(f"{byte:08b}" for byte in data)
    bits += "?" * (-len(bits) % 6)
    characters = [_standing_for(bits[place : place + 6]) for place in range(0, len(bits), 6)]
    if unknown:
        return Spelling(tuple(characters[1:]), BROKEN, before=characters[0])
    return Spelling(tuple(characters), BROKEN)


@lru_cache(maxsize=512)
def _standing_for(bits: str) -> Ways:
    """Return the characters that stand for six bits, of which some are not known."""
    fitting = re.compile(bits.replace("?", "."))
    known = (character for code, character in enumerate(_ALPHABET) if fitting.match(f"{code:06b}"))
    return tuple(chain.from_iterable(_IN_BASE64.get(character, (character,)) for character in known))


def _one_of(ways: Iterable[str]) -> str:
    single = "".join(re.escape(way) for way in ways if len(way) == 1)
    longer = [re.escape(way) for way in ways if len(way) > 1]
    return f"(?:{'|'.join(filter(None, (f'[{single}]' if single else '', *longer)))})"


def _is_cut_colour(text: str, place: int) -> bool:
    return text.startswith("\x1b", place) and re.fullmatch(r"\x1b(?:\[[\d;]*)?", text[place:]) is not None
