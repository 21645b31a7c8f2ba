from __future__ import annotations

import queue
import threading
import time

from orchestrator_nb.executors.timer import Timer


def test_functions_are_called_in_the_order_of_their_times():
    """Whatever the order in which they came, each is called once, not before its time."""
    timer, called = Timer(), queue.Queue()
    begun = time.monotonic()
    for delay in (0.15, 0.05, 0.1):
        timer.after(delay, lambda delay=delay: called.put((delay, time.monotonic() - begun)))
    got = [called.get(timeout=10) for _ in range(3)]
    assert [delay for delay, _ in got] == [0.05, 0.1, 0.15]
    assert all(passed >= delay for delay, passed in got)
    timer.close()


def test_what_is_due_already_is_called_at_once():
    """A time that has passed is now."""
    timer, called = Timer(), threading.Event()
    timer.after(-5.0, called.set)
    assert called.wait(10)
    timer.close()


def test_a_time_in_the_far_future_is_no_problem():
    """A year is longer than a wait can be; others are called meanwhile."""
    timer, called = Timer(), threading.Event()
    timer.after(366 * 86400.0, lambda: None)
    timer.after(0.01, called.set)
    assert called.wait(10)
    timer.close()


def test_a_closed_timer_calls_nothing():
    """After closing, what was due later is forgotten and the thread ends."""
    timer, called = Timer(), threading.Event()
    timer.after(0.05, called.set)
    timer.close()
    timer.after(0.0, called.set)
    timer._thread.join(10)
    assert not timer._thread.is_alive()
    assert not called.is_set()
