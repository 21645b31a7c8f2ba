from __future__ import annotations

import asyncio
import contextvars
import io
import subprocess
import sys
import threading

import pytest

from orchestrator_nb.executors import capture


class Log:
    """An attempt's log in memory."""

    def __init__(self) -> None:
        self.closed = False
        self.text = ""

    def write_log(self, text: str) -> None:
        self.text += text


@pytest.fixture
def streams(monkeypatch):
    """Standard streams of the test's own, routed while it runs."""
    out, err = io.StringIO(), io.StringIO()
    capture.install("user")
    # pytest puts its own streams there when the test itself begins, so these come after

    def place():
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        capture.ensure()
        return out, err

    yield place
    monkeypatch.undo()
    capture.uninstall("user")


def inside(log, function):
    """Run a function in a context that prints to `log`."""

    def run():
        capture.printing.set(log)
        function()

    contextvars.Context().run(run)


def test_what_an_attempt_prints_goes_to_its_log(streams):
    """Both streams go to the log of the context, and nothing of it to the process."""
    out, err = streams()
    log = Log()
    inside(log, lambda: (print("one"), print("two", file=sys.stderr), sys.stdout.writelines(["three\n"])))
    assert log.text == "one\ntwo\nthree\n"
    assert [out.getvalue(), err.getvalue()] == ["", ""]


def test_what_others_print_goes_on_as_before(streams):
    """Text of contexts without an attempt reaches the original streams unchanged."""
    out, err = streams()
    print("to the terminal")
    print("to the errors", file=sys.stderr)
    assert [out.getvalue(), err.getvalue()] == ["to the terminal\n", "to the errors\n"]


def test_attempts_side_by_side_keep_apart(streams):
    """Threads that print at the same time each fill their own log."""
    out, _err = streams()
    logs = [Log() for _ in range(4)]
    barrier = threading.Barrier(4)

    def work(number):
        barrier.wait(10)
        for _ in range(200):
            print(number)

    threads = [
        threading.Thread(target=inside, args=(log, lambda number=number: work(number)))
        for number, log in enumerate(logs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert [log.text for log in logs] == [f"{number}\n" * 200 for number in range(4)]
    assert out.getvalue() == ""


def test_tasks_and_copied_contexts_belong_to_the_attempt(streams):
    """asyncio tasks print to the attempt that started them, threads when they are given its context."""
    streams()
    log = Log()

    async def speak(word):
        print(word)

    async def several():
        await asyncio.gather(asyncio.create_task(speak("a")), asyncio.create_task(speak("b")))

    def work():
        asyncio.run(several())
        thread = threading.Thread(target=contextvars.copy_context().run, args=(print, "c"))
        thread.start()
        thread.join(10)

    inside(log, work)
    assert log.text == "a\nb\nc\n"


def test_after_the_attempt_its_leftover_prints_to_the_process(streams):
    """A closed attempt takes nothing: what is still printed in its context goes to the process."""
    out, _err = streams()
    log = Log()
    log.closed = True
    inside(log, lambda: print("late"))
    assert log.text == ""
    assert out.getvalue() == "late\n"


def test_the_stand_in_behaves_like_the_stream(streams):
    """Attributes are those of the original; only text is taken, and an attempt is no terminal."""
    streams()
    assert sys.stdout.getvalue() == ""
    assert sys.stdout.isatty() is False
    sys.stdout.flush()

    def wrong():
        with pytest.raises(TypeError, match="must be str, not bytes"):
            sys.stdout.write(b"bytes")

    inside(Log(), wrong)
    with pytest.raises(AttributeError):
        _ = sys.stdout.no_such_thing


def test_streams_are_put_back_when_the_last_user_goes(monkeypatch):
    """Installed twice and taken away once it still routes; taken away twice, the originals are back."""
    original = io.StringIO()
    monkeypatch.setattr(sys, "stdout", original)
    capture.install("one")
    capture.install("two")
    capture.uninstall("one")
    assert sys.stdout is not original
    capture.uninstall("two")
    assert sys.stdout is original


def test_a_stream_that_someone_else_put_there_is_left(monkeypatch):
    """Who redirected the stream meanwhile keeps it; routing that is put back later passes everything on."""
    original, other = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", original)
    capture.install("user")
    routed, sys.stdout = sys.stdout, other
    capture.uninstall("user")
    assert sys.stdout is other
    sys.stdout = routed
    print("still there")
    assert original.getvalue() == "still there\n"


@pytest.mark.parametrize("state", ["missing", "closed"])
def test_attempts_print_where_the_process_cannot(monkeypatch, state):
    """Without standard streams, as under pythonw, or with closed ones, an attempt's print works."""
    gone = None
    if state == "closed":
        gone = io.StringIO()
        gone.close()
    monkeypatch.setattr(sys, "stdout", gone)
    capture.install("user")
    try:
        log = Log()
        inside(log, lambda: print("heard", flush=True))
        assert log.text == "heard\n"
        if state == "missing":
            print("swallowed, as print does", flush=True)
            with pytest.raises(AttributeError, match="no standard streams"):
                _ = sys.stdout.encoding
    finally:
        capture.uninstall("user")


def test_it_works_in_ipython():
    """In IPython an attempt's text goes to its log and the session's own text to the session."""
    code = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell('''
import contextvars, threading
from orchestrator_nb.executors import capture
class Log:
    closed, text = False, ""
    def write_log(self, text): self.text += text
log = Log()
capture.install("user")
context = contextvars.Context()
context.run(capture.printing.set, log)
thread = threading.Thread(target=context.run, args=(print, "inside")); thread.start(); thread.join()
print("outside")
capture.uninstall("user")
print(repr(log.text))
''').raise_error()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["outside", "'inside\\n'"], done.stderr
