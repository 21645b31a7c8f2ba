"""The journal file: chained, cut at a torn tail, refused when anything else does not fit."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator_nb import events as e
from orchestrator_nb.errors import JournalDamaged, StoreError
from orchestrator_nb.journal.file import JournalFile, Position, digest, read, scan


def _journal(path: Path) -> JournalFile:
    return JournalFile(path, durable=False, clock=lambda: 9.0)


def _write(path: Path, turns: list[list[str]]) -> None:
    journal = _journal(path)
    for turn in turns:
        journal.append([e.RetryDue(at=1.0, command=name) for name in turn])
    journal.close()


def _commands(path: Path) -> list[str]:
    return [event.command for event in read(path) if isinstance(event, e.RetryDue)]


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    path = tmp_path / "journal.jsonl"
    _write(path, [["a", "b"], ["c"], ["d", "e"]])
    return path


def test_each_turn_has_the_hash_of_the_one_before(path: Path) -> None:
    """The chain can be checked by anyone with a JSON parser and BLAKE2b."""
    before, text = "0" * 32, b""
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), 1):
        plain = json.loads(line)
        assert plain["seq"] == number
        text += line
        if "end" in plain:
            assert plain["prev"] == before
            before = digest(text[: text.rindex(b',"end":')])
            assert plain["end"] == before
            text = b""


def test_only_the_last_line_of_a_turn_has_an_end(path: Path) -> None:
    """The end of a turn is what makes it whole."""
    assert ["end" in json.loads(line) for line in path.read_bytes().splitlines()] == [False, True, True, False, True]


def test_a_file_cut_anywhere_gives_the_whole_turns_before_the_cut(tmp_path: Path, path: Path) -> None:
    """At every byte at which a write can have been torn off, what was recorded stays and the rest never was."""
    whole = path.read_bytes()
    ends = [position.offset for _, position in scan(path)]
    recorded = [["a", "b"], ["a", "b", "c"], ["a", "b", "c", "d", "e"]]
    torn = tmp_path / "torn.jsonl"
    for cut in range(len(whole)):
        torn.write_bytes(whole[:cut])
        expected = next((names for end, names in reversed(list(zip(ends, recorded, strict=True))) if end <= cut), [])
        assert _commands(torn) == expected


def test_a_torn_tail_is_moved_aside_and_recorded(path: Path) -> None:
    """Opening for writing cuts the tail off, keeps it, says so, and goes on from there."""
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    journal = _journal(path)
    journal.append([e.RetryDue(at=2.0, command="f")])
    journal.close()
    cut = next(event for event in read(path) if isinstance(event, e.JournalCut))
    assert _commands(path) == ["a", "b", "c", "f"]
    offset = len(whole) - 5 - cut.bytes
    assert path.with_name(cut.file).read_bytes() == whole[offset:-5]
    assert path.read_bytes()[:offset] == whole[:offset]


@settings(max_examples=300)
@given(at=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_flipped_bit_never_gives_wrong_events(tmp_path_factory: pytest.TempPathFactory, at: int, bit: int) -> None:
    """A changed byte is found: what is read is a beginning of the truth, or an error that names the line."""
    path = tmp_path_factory.mktemp("flip") / "journal.jsonl"
    _write(path, [["a", "b"], ["c"], ["d", "e"]])
    content = bytearray(path.read_bytes())
    content[at % len(content)] ^= 1 << bit
    path.write_bytes(bytes(content))
    try:
        found = _commands(path)
    except JournalDamaged as error:
        said = str(error)
    else:
        said = "line"
        assert found in (["a", "b"], ["a", "b", "c"], [])
    assert "line" in said


def test_a_change_in_the_middle_is_an_error_and_opening_changes_nothing(path: Path) -> None:
    """What is not a torn tail is not mended in silence."""
    content = path.read_bytes().replace(b'"command":"c"', b'"command":"x"')
    path.write_bytes(content)
    with pytest.raises(JournalDamaged, match="line 3"):
        _journal(path)
    assert path.read_bytes() == content


def test_a_turn_whose_end_was_changed_does_not_hide_the_ones_behind_it(path: Path) -> None:
    """Where it ends cannot be told any more, and yet the whole turn after it is seen: this is no torn tail."""
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], lines[2].replace(b'"end"', b'"and"'), *lines[3:]]))
    with pytest.raises(JournalDamaged, match="line 5: its own hash does not fit: it, or one of the 2 lines before it"):
        _journal(path)


def test_a_turn_from_another_place_is_an_error(tmp_path: Path, path: Path) -> None:
    """A turn that is whole and has the right numbers is not taken where it does not continue the one before."""
    other = tmp_path / "other.jsonl"
    _write(other, [["x", "b"], ["c"]])
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], other.read_bytes().splitlines(keepends=True)[2]]))
    with pytest.raises(JournalDamaged, match="line 3: it does not continue the turn before"):
        list(read(path))


def test_a_missing_line_is_an_error(path: Path) -> None:
    """A line taken out breaks the numbers and the chain."""
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2] + lines[3:]))
    with pytest.raises(JournalDamaged, match="event 4 stands where event 3 has to be"):
        list(read(path))


def test_reading_can_go_on_from_a_position(path: Path) -> None:
    """A follower reads only what is new."""
    positions = [position for _, position in scan(path)]
    rest = [event for turn, _ in scan(path, positions[0]) for event in turn]
    assert [event.command for event in rest if isinstance(event, e.RetryDue)] == ["c", "d", "e"]
    assert list(scan(path, positions[-1])) == []
    assert positions[-1] == Position(path.stat().st_size, 5, json.loads(path.read_bytes().splitlines()[-1])["end"])


def test_a_failed_write_closes_the_journal_for_good(tmp_path: Path) -> None:
    """After a write that failed the outcome is unknown, so nothing more is accepted."""
    journal = _journal(tmp_path / "journal.jsonl")
    journal.append([e.RetryDue(at=1.0, command="a")])
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, journal._file)
    os.close(null)
    with pytest.raises(StoreError, match="could not be written"):
        journal.append([e.RetryDue(at=1.0, command="b")])
    with pytest.raises(StoreError, match="takes nothing more"):
        journal.append([e.RetryDue(at=1.0, command="c")])


def test_a_journal_that_is_a_folder_is_a_clear_error(tmp_path: Path) -> None:
    """What cannot be opened is named with the reason."""
    with pytest.raises(StoreError, match="cannot be opened"):
        _journal(tmp_path)


@pytest.mark.parametrize("former", [True, False])
def test_a_journal_of_another_format_is_refused_and_left_as_it_is(tmp_path: Path, former: bool) -> None:
    """What this version cannot check is neither called damaged nor moved aside as a torn tail."""
    path = tmp_path / "journal.jsonl"
    if former:
        path.write_text(f'{{"seq":1,"kind":"RunStarted","at":1.0,"run":"r","workflow":"w","prev":"{"0" * 32}"}}\n')
    else:
        journal = _journal(path)
        journal.append([e.RunStarted(at=1.0, run="r", workflow="w", format=3)])
        journal.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=f"is {1 if former else 3}, expected 2: another version") as caught:
        _journal(path)
    assert not isinstance(caught.value, JournalDamaged)
    assert path.read_bytes() == before
