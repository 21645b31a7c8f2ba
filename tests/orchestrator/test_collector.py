from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

import orchestrator_nb
from orchestrator_nb.orchestrator.collector import collector_at_rest
from orchestrator_nb.orchestrator.workflow import Workflow


@pytest.fixture(autouse=True)
def _collecting():
    assert gc.isenabled()
    yield
    gc.unfreeze()
    gc.enable()


def test_the_collector_rests_in_the_block_only_whatever_happens_there():
    """Inside the block it is off, behind it on, also when the block raises."""
    with pytest.raises(KeyError), collector_at_rest():
        assert not gc.isenabled()
        raise KeyError
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off():
    """Who switched it off finds it off: inside, behind, and behind a block in a block."""
    gc.disable()
    with collector_at_rest():
        assert not gc.isenabled()
    assert not gc.isenabled()
    gc.enable()
    with collector_at_rest():
        with collector_at_rest():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


@pytest.fixture
def elsewhere() -> Iterator[tuple[Callable[[], None], Callable[[], None]]]:
    """What has it rest on another thread, and what ends that."""
    inside, done = threading.Event(), threading.Event()

    def rest() -> None:
        with collector_at_rest():
            inside.set()
            done.wait(30)

    thread = threading.Thread(target=rest)

    def begin() -> None:
        thread.start()
        assert inside.wait(30)

    def end() -> None:
        done.set()
        thread.join()

    yield begin, end
    end()


def test_it_rests_until_the_last_of_several_threads_is_done(elsewhere):
    """A run begins on a thread of its own while the one that started it is done."""
    begin, end = elsewhere
    with collector_at_rest():
        begin()
    assert not gc.isenabled()
    end()
    assert gc.isenabled()


def test_what_was_made_in_the_block_counts_as_old():
    """The youngest generation is empty of it, so that the next collection does not look at it."""
    with collector_at_rest():
        made = [[number] for number in range(1000)]
    young = {id(item) for item in gc.get_objects(generation=0)}
    assert not young & {id(item) for item in made}


def test_what_others_froze_stays_frozen():
    """Objects that the user's program keeps out of all collections are not put back."""
    gc.freeze()
    frozen = gc.get_freeze_count()
    with collector_at_rest():
        pass
    assert gc.get_freeze_count() == frozen > 0


def test_planning_leaves_the_collector_as_it_was(tmp_path):
    """After a plan, right or wrong, it works."""
    flow = Workflow("w", folder=tmp_path)
    flow.shell(["true"], id="one")
    flow.plan(store=tmp_path)
    assert gc.isenabled()


def test_it_is_never_left_off_by_several_threads():
    """Whatever they do at a time: begin runs, or import names of the package for the first time."""

    def begin() -> None:
        for _ in range(1_000):
            with collector_at_rest():
                pass

    def take() -> None:
        for _ in range(1_000):
            orchestrator_nb._imported("json")

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(10):
            threads = [threading.Thread(target=each) for each in (begin, begin, take, take)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert gc.isenabled()
    finally:
        sys.setswitchinterval(before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_it_works_in_a_process_that_was_forked_meanwhile(elsewhere):
    """The threads that let it rest are not in the copy: it collects there, and may rest again."""
    begin, end = elsewhere
    begin()
    child = os.fork()
    if not child:
        works = gc.isenabled()
        with collector_at_rest():
            works = works and not gc.isenabled()
        os._exit(0 if works and gc.isenabled() else 1)
    end()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert gc.isenabled()
