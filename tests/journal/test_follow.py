"""Following a journal while it is written: whole turns only, each once, whatever the reader catches of a write."""

from __future__ import annotations

import threading
from itertools import count

import pytest

from orchestrator_nb import events as e
from orchestrator_nb.errors import StoreError
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


def test_a_write_that_is_seen_half_is_no_damage(tmp_path):
    """A reader beside a writer sees every turn, whole and in order, however the file grows under it."""
    path = tmp_path / "j"
    journal = JournalFile(path, durable=False, clock=lambda: 0.0)
    journal.append([e.RunStarted(at=1.0, run="r", workflow="w")])
    whole = path.read_bytes()
    turns = 200
    for number in range(turns):
        journal.append([e.NoticeGiven(at=float(number), text="x" * 300), e.NoticeGiven(at=float(number), text="y")])
    journal.close()
    rest = path.read_bytes()[len(whole) :]
    path.write_bytes(whole)
    follower = Follower(path)
    done = threading.Event()

    def grow():
        with open(path, "ab", buffering=0) as file:
            # in pieces that end anywhere in a line, each a write of its own
            file.writelines(rest[start : start + 97] for start in range(0, len(rest), 97))
        done.set()

    writer = threading.Thread(target=grow)
    writer.start()
    for _ in count():
        ended = done.is_set()
        follower.catch_up()
        if ended:
            break
    writer.join()
    assert len(follower.state.notices) == 2 * turns


def test_a_journal_that_tells_something_impossible_is_an_error(tmp_path):
    """The file is named."""
    journal = JournalFile(tmp_path / "j", clock=lambda: 0.0)
    journal.append([e.RunCompleting(at=1.0)])
    journal.close()
    with pytest.raises(StoreError, match="tells something impossible"):
        Follower(tmp_path / "j").catch_up()
