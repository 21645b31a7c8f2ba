from __future__ import annotations

import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_nb.commands.output import Excerpt, Pump


def pipe():
    reading, writing = os.pipe()
    return os.fdopen(reading, "rb", buffering=0), writing


def test_text_comes_over_whole():
    """A character that is split between two pieces stays one; bytes that are no text are shown as such."""
    end, writing = pipe()
    got = []
    pump = Pump(end, got.append)
    for data in (b"gr\xc3", b"\xbc\xc3", b"\x9fe\xff", b"\xe2\x82"):
        os.write(writing, data)
    os.close(writing)
    assert pump.let_go()
    assert "".join(got) == "grüße\ufffd\ufffd"


def test_who_stays_behind_is_let_go(monkeypatch):
    """When the other end stays open and quiet, what came is kept, and what comes later is read and dropped."""
    monkeypatch.setattr("orchestrator_nb.commands.output.QUIET", 0.05)
    end, writing = pipe()
    got, came = [], threading.Event()
    pump = Pump(end, lambda text: (got.append(text), came.set()))
    os.write(writing, b"early")
    assert came.wait(10)
    assert not pump.let_go()
    for _ in range(40):
        os.write(writing, b"x" * 10_000)  # more than a pipe holds: it has to be read
    os.close(writing)
    pump._thread.join(10)
    assert not pump._thread.is_alive()
    assert got == ["early"]


def test_who_goes_on_writing_is_let_go_too(monkeypatch):
    """A process that stays behind and writes without end holds nothing up for ever."""
    monkeypatch.setattr("orchestrator_nb.commands.output.LIMIT", 0.2)
    end, writing = pipe()
    pump, stop = Pump(end, lambda _text: None), threading.Event()

    def write():
        while not stop.is_set():
            os.write(writing, b"again\n")
        os.close(writing)

    thread = threading.Thread(target=write)
    thread.start()
    assert not pump.let_go()
    stop.set()
    thread.join(10)
    pump._thread.join(10)


def test_a_process_without_a_pipe_is_refused():
    """There has to be something to read."""
    with pytest.raises(ValueError, match="no pipe"):
        Pump(None, print)


@given(st.lists(st.text(max_size=30)), st.integers(2, 40))
def test_an_excerpt_is_head_and_tail(pieces, limit):
    """Whatever the pieces: short texts are whole; of long ones head and tail are right, and the gap is counted."""
    excerpt, text, half = Excerpt(limit), "".join(pieces), limit // 2
    for piece in pieces:
        excerpt.write(piece)
    if len(text) <= 2 * half:
        assert excerpt.text == text
    else:
        gap = f"\n[… {len(text) - 2 * half:,} characters left out …]\n"
        assert excerpt.text == text[:half] + gap + text[len(text) - half :]


def test_the_last_lines_are_those_with_something_in_them():
    """Blank lines say nothing about a failure."""
    excerpt = Excerpt()
    excerpt.write("one\n\ntwo\n   \nthree\n\n")
    assert excerpt.last_lines(2) == "two\nthree"
