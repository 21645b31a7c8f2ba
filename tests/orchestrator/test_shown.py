"""Text of others as it is shown: everything of it can be seen, nothing of it is obeyed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_nb.orchestrator.display.shown import as_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, é, 日本\n\ttab", "plain, é, 日本\n\ttab"),
        ("\x1b[0;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("one\rtwo\x08", "one\\rtwo\\x08"),
        ("a\u202eb\u2028c", "a\\u202eb\\u2028c"),
        ("", ""),
    ],
)
def test_what_steers_is_shown(text: str, shown: str) -> None:
    """Colours go, line ends and tabs stay, everything else that cannot be seen is an escape."""
    assert as_text(text) == shown


def test_colours_may_stay() -> None:
    """A log on a terminal keeps its colours and nothing else that steers."""
    assert as_text("\x1b[31mred\x1b[0m\x1b[2J", colours=True) == "\x1b[31mred\x1b[0m\\x1b[2J"


@given(st.text())
def test_whatever_comes_in(text: str) -> None:
    """No character that steers is left, and what can be seen is as it was."""
    shown = as_text(text)
    assert all(character.isprintable() or character in "\n\t" for character in shown)
    if text.isprintable():
        assert shown == text
