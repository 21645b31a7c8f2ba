"""Logs: bounded on disk and in memory, their head and tail whole."""

from __future__ import annotations

import re
import stat
import threading
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from orchestrator_nb.data.log import BoundedLog


def test_what_is_written_is_there_at_once_and_readable_by_its_owner_only(tmp_path):
    """A log is made by its first write, with everything in it before it is closed."""
    log = BoundedLog(tmp_path / "logs" / "a.log")
    assert not log.path.exists()
    log.write("one\n")
    log.write(b"two\n")
    assert log.path.read_text() == "one\ntwo\n"
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600
    log.close()
    log.write("after")
    assert log.path.read_text() == "one\ntwo\n"


def test_a_flood_of_fifty_megabytes_is_bounded(tmp_path):
    """Of a flood the first and the last lines are kept, the file says how much is missing, memory stays small."""
    log = BoundedLog(tmp_path / "flood.log")
    block = ("x" * 98 + "\n") * 100
    largest = 0
    tracemalloc.start()
    for number in range(5_500):
        log.write(f"{number:098d}\n{block}")
        if number % 50 == 0:
            largest = max(largest, log.path.stat().st_size)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    log.close()
    written = 5_500 * 101 * 99
    assert written > 50 * 2**20
    assert largest <= 15 * 2**20 + 200
    assert peak < 24 * 2**20
    data = log.path.read_bytes()
    assert len(data) <= 10 * 2**20 + 200
    lines = data.decode().splitlines()
    numbers = [int(text) for text in lines if text.isdecimal()]
    assert lines[0] == "0" * 98
    assert numbers[-1] == 5_499
    assert numbers == sorted(numbers)
    seam = [(at, text) for at, text in enumerate(lines) if "left out" in text]
    assert len(seam) == 1
    missing = int(re.sub(r"\D", "", seam[0][1]))
    assert missing == log.left_out
    assert missing + len(data) - len(f"\n{seam[0][1]}\n".encode()) == written
    assert {len(text) for at, text in enumerate(lines) if at not in (seam[0][0], seam[0][0] - 1)} == {98}


@given(
    pieces=st.lists(st.text(alphabet="aé€😀\n", min_size=1, max_size=40), max_size=40),
    head=st.integers(1, 60),
    tail=st.integers(4, 60),
)
def test_whatever_is_written_head_and_tail_are_whole_characters(tmp_path_factory, pieces, head, tail):
    """The log is the text itself, or its beginning, a line that counts what is missing, and its end."""
    log = BoundedLog(tmp_path_factory.mktemp("log") / "a.log", head=head, tail=tail)
    for piece in pieces:
        log.write(piece)
    log.close()
    assert log.error is None
    if not pieces:
        assert not log.path.exists()
        return
    text, found = "".join(pieces), log.path.read_text(encoding="utf-8")
    if not log.left_out:
        assert found == text
        return
    before, seam, after = found.partition(f"\n[… {log.left_out:,} bytes left out …]\n")
    assert seam
    assert text.startswith(before)
    assert text.endswith(after)
    assert len(before.encode()) <= head
    assert len(after.encode()) <= tail
    assert len((before + after).encode()) + log.left_out == len(text.encode())


def test_threads_write_whole_pieces(tmp_path):
    """What threads write at once is mixed by whole pieces, and nothing is lost."""
    log = BoundedLog(tmp_path / "a.log")

    def write(name: int) -> None:
        for number in range(500):
            log.write(f"{name}:{number}\n")

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    lines = log.path.read_text().splitlines()
    for name in range(4):
        mine = [line for line in lines if line.startswith(f"{name}:")]
        assert mine == [f"{name}:{number}" for number in range(500)]
    assert len(lines) == 2000


def test_the_last_lines_can_be_read_while_it_is_written(tmp_path):
    """The last lines are there at any time, none before the first write."""
    log = BoundedLog(tmp_path / "a.log")
    assert log.last_lines(3) == []
    log.write("a\nb\nc\nd")
    assert log.last_lines(2) == ["c", "d"]
    assert log.last_lines(0) == []
    assert log.last_lines(9) == ["a", "b", "c", "d"]


def test_printing_never_fails(tmp_path):
    """A log that cannot be written drops what it gets and keeps the reason."""
    (tmp_path / "file").write_text("")
    log = BoundedLog(tmp_path / "file" / "a.log")
    log.write("x")
    assert isinstance(log.error, OSError)
    log.write("half a pair: \ud800")
    log.close()
