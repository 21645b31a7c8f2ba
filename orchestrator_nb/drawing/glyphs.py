"""How a command's state is shown: a shape, a word and a colour, so that none of them is needed alone."""

from __future__ import annotations

from typing import NamedTuple, TextIO


class Glyph(NamedTuple):
    """A sign, its stand-in where the terminal has ASCII only, the state in words, and rich's name of the colour."""

    sign: str
    ascii: str
    words: str
    colour: str


GLYPHS = {
    "pending": Glyph("·", ".", "pending", "dim"),
    "ready": Glyph("○", "o", "ready", "default"),
    "running": Glyph("▶", ">", "running", "cyan"),
    "waiting": Glyph("↻", "~", "waiting", "yellow"),
    "succeeded": Glyph("✔", "+", "succeeded", "green"),
    "reused": Glyph("≡", "=", "reused", "green"),
    "failed": Glyph("✘", "x", "failed", "red"),
    "crashed": Glyph("‼", "!", "crashed", "red"),
    "skipped": Glyph("↷", "-", "skipped", "dim"),
    "upstream_failed": Glyph("⊘", "/", "upstream failed", "yellow"),
    "cancelled": Glyph("■", "#", "cancelled", "yellow"),
}

RUN_COLOURS = {
    "completed": "green",
    "failed": "red",
    "error": "red",
    "stopped": "yellow",
    "paused": "yellow",
    "recovering": "yellow",
    "degraded": "yellow",
}


def can_show(stream: TextIO) -> bool:
    """Return whether the stream's encoding has all signs."""
    try:
        "".join(glyph.sign for glyph in GLYPHS.values()).encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def duration(seconds: float) -> str:
    """Return a duration as people write it: 40 ms, 0.4 s, 12 s, 3:07, 1:02:45."""
    if seconds < 0.0995:
        return f"{1000 * max(seconds, 0.0):.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where it has to be."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
