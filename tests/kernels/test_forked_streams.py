"""What a forked kernel publishes: all of it, in order, and before it says that the cell is done."""

from __future__ import annotations

import sys

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
