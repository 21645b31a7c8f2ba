"""Undoing rollbacks of real runs: files, outputs, records and shared state come back together, and nothing runs again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from msgspec.structs import replace

from orchestrator_nb import Workflow, attach
from orchestrator_nb import events as e
from orchestrator_nb.engine.replay import replay
from orchestrator_nb.errors import RollbackRefused, UsageError
from orchestrator_nb.journal.file import read
from orchestrator_nb.orchestrator.session import POLICIES

STEPS = """\
import time
from pathlib import Path

from orchestrator_nb import context


def _did(name):
    with open("ran", "a") as file:
        file.write(name + "\\n")
    count = Path("ran").read_text().split().count(name)
    Path(f"{name}.txt").write_text(f"{name} {count}")
    context.shared["done"] = [name]
    context.shared["sum"] = 1
    context.record("count", count)
    return count


def first():
    return _did("first")


def second(first):
    return _did("second")


def third(second):
    return _did("third")


def waits(first):
    while not Path("go").exists():
        time.sleep(0.01)
    return _did("waits")


def fails(first):
    _did("fails")
    raise ValueError("no")
"""
NAMES = ("first", "second", "third")
COMMANDS = {name: {"call": f"steps:{name}", "writes": [f"{name}.txt"]} for name in NAMES}
COMMANDS["second"]["after"] = "first"
COMMANDS["third"]["after"] = "second"
MERGE = {"merge": {"done": "append", "sum": "add"}}


@pytest.fixture
def three(project):
    """A project whose three commands have run, one after the other."""
    (project / "steps.py").write_text(STEPS)
    run = flow().start(wait=False)
    run.wait()
    return run


def flow(commands=COMMANDS, **options):
    Path("flow.json").write_text(json.dumps({"workflow": "steps", "commands": commands, **MERGE, **options}))
    return Workflow.load("flow.json")


def ran():
    return Path("ran").read_text().split()


def files():
    return {path.name: path.read_text() for path in Path().glob("*.txt")}


def standing(run):
    """Return all that a run has come to, but for what counts its attempts and generations."""
    state = attach(run.id).state
    records = {name: replace(record, generation=0, attempt=0) for name, record in state.commands.items()}
    gates, deviations = state.run.gates, state.deviations
    return records, state.shared, state.counts, state.run.state, state.run.reason, gates, deviations, files()


def test_an_undone_rollback_leaves_the_run_as_it_was(three):
    """Files, records, outputs and shared state are those of before, the run is completed, and nothing runs again."""
    before = standing(three)
    back = three.rollback(to="first")
    assert (back.commands, back.undo) == (("second", "third"), "rollback-1")
    assert three.state.shared == {"done": ["first"], "sum": 1}
    report = three.rollback(undo=back.undo)
    assert (report.results, report.commands, report.ended) == (("second", "third"), (), "completed")
    assert "has its result again: second, third" in str(report)
    assert standing(three) == before
    assert three.result.outputs == {"first": 1, "second": 1, "third": 1}
    flow().resume(wait=False).wait()
    assert ran() == list(NAMES)
    events = list(read(three.folder / "journal.jsonl"))
    assert [event.command for event in events if isinstance(event, e.CommandReopened)] == ["second", "third"]
    assert [event.command for event in events if isinstance(event, e.CommandRestored)] == ["second", "third"]


def test_an_undone_rollback_can_be_done_again(three):
    """Undoing the undoing goes back once more; each rollback is undone once, and the message names the other."""
    three.rollback(undo="second")
    away = standing(three)
    three.rollback(undo="rollback")
    with pytest.raises(UsageError, match="rollback-1 was undone already; to have it again, undo rollback-2"):
        three.rollback(undo="rollback-1")
    report = three.rollback(undo="rollback-2")
    assert report.commands == ("second",)
    assert standing(three)[1:3] + standing(three)[7:] == away[1:3] + away[7:]
    three.resume()
    three.wait()
    assert ran() == [*NAMES, "second"]
    assert three.state.shared["sum"] == 3


def test_what_ran_again_since_is_newer_and_is_not_lost(three):
    """The undoing is refused and says both ways on; each of them leads to what it says."""
    before = standing(three)
    three.rollback(to="first")
    three.resume()
    three.wait()
    newer = standing(three)
    with pytest.raises(RollbackRefused, match=r'"second\.txt"') as caught:
        three.rollback(undo="rollback-1")
    assert standing(three) == newer
    Path("second.txt").write_text("second 1")
    Path("third.txt").write_text("third 1")
    with pytest.raises(RollbackRefused, match=r'"second", "third" ran again since rollback-1') as caught:
        three.rollback(undo="rollback-1")
    said = str(caught.value)
    assert f"rollback {three.id} --undo second --undo third" in said
    number = said.partition("--to ")[2].split(";")[0]
    Path("second.txt").write_text("second 2")
    Path("third.txt").write_text("third 2")
    report = three.rollback(to=number)
    assert (report.results, report.commands) == (("second", "third"), ())
    assert standing(three)[:3] == before[:3]
    assert files() == before[-1]
    three.rollback(undo="rollback")
    assert standing(three)[:3] == newer[:3]
    assert files() == newer[-1]
    assert ran() == [*NAMES, "second", "third"]


def test_what_is_newer_can_be_kept_beside(three):
    """With both kept, newer results and files stay and the earlier files are put beside them."""
    three.rollback(to="second")
    three.resume()
    three.wait()
    report = three.rollback(undo="rollback-1", keep_both=True)
    assert (report.stayed, report.beside) == (("third",), ("third.rollback-1.txt",))
    assert (Path("third.txt").read_text(), Path("third.rollback-1.txt").read_text()) == ("third 2", "third 1")
    assert three.result.outputs["third"] == 2


def test_two_rollbacks_are_undone_in_any_order(three):
    """Undoing the earlier one leaves what the later one took, in the shared state too."""
    before = standing(three)
    three.rollback(undo="second")
    three.rollback(undo="third")
    three.rollback(undo="rollback-1")
    assert three.state.shared == {"done": ["first", "second"], "sum": 2}
    assert set(files()) == {"first.txt", "second.txt"}
    report = three.rollback(undo="rollback-2")
    assert report.ended == ""
    assert standing(three)[:3] == before[:3]
    three.resume()
    assert three.wait().state == "completed"
    assert ran() == list(NAMES)


def test_an_undone_rollback_of_a_failed_run_leaves_it_failed(project):
    """What had failed has failed again, with the same failure, and what excused it excuses it again."""
    (project / "steps.py").write_text(STEPS)
    failing = {"call": "steps:fails", "after": "first", "writes": ["fails.txt"], "retries": 0, "exclusive": True}
    commands = {"first": COMMANDS["first"], "fails": {**failing, "optional": True}, "core": failing}
    run = flow(commands).start(wait=False)
    run.wait(check=False)
    before = standing(run)
    assert before[3] == "failed"
    assert before[6]
    run.rollback(to="start")
    report = run.rollback(undo="rollback")
    assert set(report.results) == {"first", "fails", "core"}
    assert standing(run) == before


def test_a_rollback_of_a_run_under_way_is_undone_while_it_goes_on(project, until):
    """Both bring the run to rest; the command that was undone and given back is not started again."""
    (project / "steps.py").write_text(STEPS)
    waiting = {"call": "steps:waits", "after": "first", "writes": ["waits.txt"]}
    run = flow({**COMMANDS, "waits": waiting}, slots=2).start(wait=False)
    until(lambda: run.result.outputs.get("third"))
    told = []
    asking = threading.Thread(target=lambda: told.append(run.rollback(undo="third")))
    asking.start()
    until(lambda: run.state.run.rollback is not None)
    Path("go").touch()
    asking.join(30)
    assert told[0].commands == ("third",)
    assert run.is_running
    report = run.rollback(undo=told[0].undo)
    assert (report.results, report.ended) == (("third",), "")
    run.resume()
    run.wait()
    assert sorted(ran()) == ["first", "second", "third", "waits"]
    assert run.state.shared["sum"] == 4
    assert replay(read(run.folder / "journal.jsonl"), policies=POLICIES).same


OWNER = """\
from orchestrator_nb import Workflow
Workflow.load("flow.json").start(wait=False).wait(check=False)
"""


def test_a_run_of_another_process_is_brought_to_rest_and_goes_on(project, until):
    """Who asks for a rollback while commands run elsewhere waits for their end, and gets the report; the owner lives on
    and goes on when it is told to, from any process."""
    (project / "steps.py").write_text(STEPS)
    waiting = {"call": "steps:waits", "after": "first", "writes": ["waits.txt"]}
    flow({**COMMANDS, "waits": waiting}, slots=2)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        until(lambda: Path("third.txt").exists() and "third" in attach("latest").result.outputs)
        run, told = attach("latest"), []
        asking = threading.Thread(target=lambda: told.append(run.rollback(undo="third")))
        asking.start()
        until(lambda: run.state.run.rollback is not None)
        assert Path("third.txt").exists()
        Path("go").touch()
        asking.join(30)
        assert (told[0].commands, told[0].removed) == (("third",), ("third.txt",))
        assert (run.state.run.state, Path("waits.txt").exists(), owner.poll()) == ("paused", True, None)
        code = "from orchestrator_nb.cli.main import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", code, "rollback", "--undo", "rollback"],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert "has its result again: third" in done.stdout, done.stderr
        assert owner.poll() is None
        run.resume()
        assert run.wait().state == "completed"
    finally:
        owner.kill()
        owner.communicate()
    assert sorted(ran()) == ["first", "second", "third", "waits"]


def test_a_rollback_without_files_is_undone_too(project):
    """Where no files are kept, outputs and shared state go back and forth all the same."""
    (project / "steps.py").write_text(STEPS)
    run = flow(checkpoints="off").start(wait=False)
    run.wait()
    before = standing(run)
    report = run.rollback(to="first")
    assert (report.removed, report.undo) == ((), "rollback-1")
    run.rollback(undo=report.undo)
    assert standing(run) == before


def test_what_cannot_be_undone_is_said(three):
    """A number that there is not, a checkpoint that is no rollback, and several at once are refused by name."""
    with pytest.raises(UsageError, match='no rollback "rollback-1"; there are: none'):
        three.rollback(undo="rollback-1")
    with pytest.raises(UsageError, match=r"checkpoint of kind command: undo .* use to \(--to 3\)"):
        three.rollback(undo="3")
    three.rollback(undo="third")
    with pytest.raises(UsageError, match="one at a time"):
        three.rollback(undo=["rollback-1", "second"])


CUT = """\
import os, signal, sys
from orchestrator_nb import attach

left = int(sys.argv[1])
here = os.getcwd() + os.sep

def watch(event, arguments):
    global left
    if event in ("os.rename", "os.link") and any(
        os.fspath(path).startswith(here) and os.fspath(path).endswith(".txt")
        for path in arguments[:2] if isinstance(path, (str, os.PathLike))
    ):
        left -= 1
    if left < 0 and event != "os.kill":
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
attach("latest").rollback(**{sys.argv[2]: sys.argv[3]})
"""


def cut(after, how, what):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", CUT, str(after), how, what], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == -9, done.stderr
    return attach("latest")


@pytest.mark.parametrize("after", [0, 1])
def test_an_undoing_that_is_killed_is_finished_at_the_next_start(three, after):
    """The wish is in the journal: whoever goes on with the run gives everything back, and nothing runs again."""
    before = standing(three)
    three.rollback(to="first")
    run = cut(after, "undo", "rollback-1")
    assert run.state.run.rollback is not None
    run.resume()
    run.wait()
    assert standing(run)[:4] == before[:4]
    assert files() == before[-1]
    assert ran() == list(NAMES)


@pytest.mark.parametrize("after", [0, 1])
def test_a_rollback_that_was_killed_and_finished_is_undone_as_a_whole(three, after):
    """All that it took in several goes comes back, and its report names all of it."""
    before = standing(three)
    run = cut(after, "to", "first")
    report = run.rollback(to="first")
    assert set(report.removed) == {"second.txt", "third.txt"}
    assert len(run.state.rollbacks) == 1
    run.rollback(undo="rollback-1")
    assert standing(run) == before


def test_another_rollback_after_one_that_was_killed_does_both(three):
    """What was begun is finished first, then what is asked for now is done."""
    run = cut(0, "undo", "third")
    report = run.rollback(to="first")
    assert [back.what for back in run.state.rollbacks] == ["without third", "to first"]
    assert report.commands == ("second",)
    assert set(files()) == {"first.txt"}
