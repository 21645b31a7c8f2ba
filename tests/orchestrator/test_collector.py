from __future__ import annotations

import gc
import threading

import pytest

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


def test_it_rests_until_the_last_of_several_threads_is_done():
    """A run begins on a thread of its own while the one that started it is done."""
    inside, done = threading.Event(), threading.Event()

    def other() -> None:
        with collector_at_rest():
            inside.set()
            done.wait(30)

    thread = threading.Thread(target=other)
    with collector_at_rest():
        thread.start()
        assert inside.wait(30)
    assert not gc.isenabled()
    done.set()
    thread.join()
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
