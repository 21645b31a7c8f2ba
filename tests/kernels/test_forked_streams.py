"""What a forked kernel publishes: all of it, in order, and before it says that the cell is done."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kernels are forked on Linux only"),
]


@pytest.fixture
def watching(kernel, monkeypatch):
    """A kernel that takes what is written past Python, as ipykernel's do wherever it is not pytest that starts them."""
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    return kernel()


def until_heard(kernel, text, seconds=30.0):
    """Return when the running cell's output has that in it."""
    deadline = time.monotonic() + seconds
    while not any(text in each for each in list(kernel.printed)):
        assert time.monotonic() < deadline, "it was not heard"
        time.sleep(0.005)


def test_nothing_written_past_python_is_late(watching):
    """What programs write to the kernel's descriptors is there when the cell is done, time after time."""
    one = watching
    one.run("import os, subprocess")
    for number in range(40):
        assert one.run(f"done = os.write(1, b'{number}\\n' * 3000)") == f"{number}\n" * 3000
    for number in range(5):
        assert one.run(f"done = subprocess.run(['echo', '{number}'])") == f"{number}\n"


def test_a_program_that_writes_without_end_holds_nothing_up(watching):
    """A cell is done at once, also while a program that it has started goes on writing."""
    one = watching
    one.run("import subprocess; endless = subprocess.Popen('while true; do echo x; done', shell=True)")
    assert "here" in one.run("print('here')", timeout=20)
    one.run("endless.kill()")


def test_messages_are_in_order(kernel):
    """Prints, displays and writes from several threads arrive whole, each thread's in its order."""
    one = kernel()
    code = """
import sys, threading
from IPython.display import display
def tell(name):
    for number in range(300):
        sys.stdout.write(f'{name} {number}\\n')
        if number % 50 == 0:
            sys.stdout.flush()
            display()
threads = [threading.Thread(target=tell, args=[name]) for name in 'abc']
[each.start() for each in threads]
[each.join() for each in threads]
print('end')
"""
    lines = [line.split() for line in one.run(code).splitlines()]
    assert lines.pop() == ["end"]
    for name in "abc":
        assert [int(number) for each, number in lines if each == name] == list(range(300))


def test_a_process_forked_by_a_cell_prints_into_it(kernel):
    """The children of a kernel publish through it, those that end at once too."""
    one = kernel()
    code = "import multiprocessing as m; p = m.get_context('fork').Process(target=print, args=['child']); p.start(); p.join()"
    assert one.run(code) == "child\n"


def test_interrupts_leave_messages_whole(kernel):
    """However often a cell that publishes all the time is interrupted, the next one is heard in full."""
    one = kernel()
    assert one.process.says_ready, "this test is of kernels that publish on their own thread"
    one.run("from IPython.display import display")
    for number in range(15):
        endless = one.start("print('on', flush=True)\nwhile True: print('x' * 50, flush=True); display(1)")
        until_heard(one, "on")
        os.killpg(one.pid, signal.SIGINT)
        with pytest.raises(RuntimeError, match="KeyboardInterrupt"):
            endless.result(30)
        assert one.run(f"print({number})") == f"{number}\n"


def test_what_is_printed_comes_while_the_cell_runs(kernel):
    """Text without a flush is there soon, while the cell goes on; also that of a thread."""
    one = kernel()
    running = one.start("import time, threading\nprint('soon')\nwhile not globals().get('enough'): time.sleep(0.01)")
    until_heard(one, "soon")
    os.killpg(one.pid, signal.SIGINT)
    with pytest.raises(RuntimeError, match="KeyboardInterrupt"):
        running.result(30)
    running = one.start("threading.Thread(target=print, args=['thread']).start()\ntime.sleep(60)")
    until_heard(one, "thread")
    os.killpg(one.pid, signal.SIGINT)
    with pytest.raises(RuntimeError, match="KeyboardInterrupt"):
        running.result(30)


def test_nothing_of_a_flood_is_dropped(kernel):
    """Far more messages than the queue of a socket usually holds, without a pause, all arrive."""
    one = kernel()
    code = "for number in range(20000): print(number, flush=True)"
    assert one.run(code, timeout=60).split() == [str(number) for number in range(20000)]


def test_text_that_is_no_unicode_ends_nothing(kernel):
    """Half a surrogate pair is printed or not, and the kernel goes on."""
    one = kernel()
    one.run("print('\\ud800')")
    assert one.run("print('after')") == "after\n"
