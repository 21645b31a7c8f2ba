"""Rows as a card: well-formed, escaped, states with shape and colour; public objects show themselves in it."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from orchestrator_nb.drawing.card import style
from orchestrator_nb.drawing.table import looks_of, table_card


def test_a_table_says_what_its_rows_say():
    """A head a column, a row a row; what could write into the page is escaped; a state has its icon."""
    html = table_card(
        "two <rows>", ("command", "state"), [{"command": "<b>", "state": "failed"}, {"command": 1, "state": ""}]
    )
    card = ElementTree.fromstring(html.replace(f"<style>{style()}</style>", ""))
    assert card.get("aria-label") == "two <rows>"
    assert [cell.text for cell in card.iter("th")] == ["command", "state"]
    assert ["".join(cell.itertext()) for cell in card.iter("td")] == ["<b>", "✘ failed", "1", ""]
    (sign,) = [item for item in card.iter("span") if item.get("style") == "display:none"]
    assert sign.text == "✘ "  # where a page keeps words alone
    (marked,) = [item for item in card.iter("span") if item.get("data-state")]
    assert marked.get("data-state") == "failed"
    assert marked.find("svg") is not None


def test_without_rows_there_is_only_the_line_above():
    """An empty table is a sentence."""
    assert "<table" not in table_card("no runs", ("run",), [])


@pytest.mark.parametrize(
    ("words", "looks"),
    [
        ("succeeded", "succeeded"), ("upstream failed", "upstream_failed"), ("passed", "succeeded"), ("executing", "running"),
        ("failed, a warning only", "failed"), ("completed", "succeeded"), ("whatever", ""),
    ],
)  # fmt: skip
def test_words_have_the_look_of_a_state(words, looks):
    """Those of commands, runs and verdicts; other words have none."""
    assert looks_of(words) == looks
