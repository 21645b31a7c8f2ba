"""What every journal keeps: whole turns in order, and nothing after it was closed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator_nb import events as e
from orchestrator_nb.errors import StoreError
from orchestrator_nb.journal.file import JournalFile
from orchestrator_nb.journal.memory import JournalInMemory
from orchestrator_nb.ports import Journal

MAKERS: dict[str, Callable[[Path], Journal]] = {
    "file": lambda folder: JournalFile(folder / "journal.jsonl", clock=time.time),
    "file, process": lambda folder: JournalFile(folder / "journal.jsonl", durable=False, clock=time.time),
    "memory": lambda folder: JournalInMemory(),
}


@pytest.fixture(params=MAKERS, name="journal")
def _journal(request: pytest.FixtureRequest, tmp_path: Path) -> Journal:
    return MAKERS[request.param](tmp_path)


def _turn(*commands: str) -> list[e.Event]:
    return [e.RetryDue(at=1.0, command=command) for command in commands]


def test_turns_are_read_in_the_order_in_which_they_were_recorded(journal: Journal) -> None:
    """Reading gives every event of every turn, in order."""
    journal.append(_turn("a", "b"))
    journal.append(_turn("c"))
    assert [event.command for event in journal.read()] == ["a", "b", "c"]


def test_reading_again_gives_the_same(journal: Journal) -> None:
    """Reading takes nothing away."""
    journal.append(_turn("a"))
    assert list(journal.read()) == list(journal.read()) == _turn("a")


def test_a_closed_journal_accepts_nothing(journal: Journal) -> None:
    """What is closed cannot be written by mistake."""
    journal.append(_turn("a"))
    journal.close()
    with pytest.raises(StoreError):
        journal.append(_turn("b"))
    assert list(journal.read()) == _turn("a")


def test_text_of_any_kind_comes_back(journal: Journal) -> None:
    """Line ends and signs of every script are text, not structure."""
    text = 'line\nend "quoted" \\ ,"end":"x" \u2028 日本 \x00'
    journal.append([e.NoticeGiven(at=1.0, text=text)])
    assert [event.text for event in journal.read()] == [text]
