"""Following a journal while it is written: whole turns only, each once, whatever the reader catches of a write."""

from __future__ import annotations

import pytest

from orchestrator_nb import events as e
from orchestrator_nb.errors import StoreError
from orchestrator_nb.journal import file as journal_file
from orchestrator_nb.journal.file import JournalFile
from orchestrator_nb.journal.follow import Follower


def test_turns_are_yielded_once_and_folded(tmp_path):
    """A second look gives only what is new."""
    journal = JournalFile(tmp_path / "j", clock=lambda: 0.0)
    follower = Follower(tmp_path / "j")
    assert list(follower.turns()) == []
    first = [e.RunStarted(at=1.0, run="r", workflow="w"), e.RunPlanned(at=1.0, commands={"a": {}})]
    journal.append(first)
    assert list(follower.turns()) == [first]
    journal.append([e.NoticeGiven(at=2.0, text="hello")])
    assert follower.catch_up().notices[0].text == "hello"
    assert list(follower.turns()) == []
    journal.close()


def test_a_write_that_is_seen_half_is_no_damage(tmp_path, monkeypatch):
    """What the owner adds while a reader is at the half of a line is not taken for lines of its own."""
    path = tmp_path / "j"
    journal = JournalFile(path, durable=False, clock=lambda: 0.0)
    journal.append([e.RunStarted(at=1.0, run="r", workflow="w")])
    first = len(path.read_bytes())
    for text in ("one", "two", "three"):
        journal.append([e.NoticeGiven(at=2.0, text=text)])
    journal.close()
    whole = path.read_bytes()
    path.write_bytes(whole[: first + 40])
    real = journal_file._event

    def growing(line, seq):
        if not line.endswith(b"\n") and path.stat().st_size < len(whole):
            with open(path, "ab") as file:
                file.write(whole[first + 40 :])
        return real(line, seq)

    monkeypatch.setattr(journal_file, "_event", growing)
    follower = Follower(path)
    assert follower.catch_up().notices == ()
    assert path.stat().st_size == len(whole)
    assert [notice.text for notice in follower.catch_up().notices] == ["one", "two", "three"]


def test_a_journal_that_tells_something_impossible_is_an_error(tmp_path):
    """The file is named."""
    journal = JournalFile(tmp_path / "j", clock=lambda: 0.0)
    journal.append([e.RunCompleting(at=1.0)])
    journal.close()
    with pytest.raises(StoreError, match="tells something impossible"):
        Follower(tmp_path / "j").catch_up()
