"""Resuming: after a failure, an interrupt, a death, a change, and with results that lived in the process only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

from orchestrator_nb import RunFailed, Workflow, attach, context
from orchestrator_nb import events as e
from orchestrator_nb.errors import RunNotFound, RunRefused
from orchestrator_nb.journal.file import read
from orchestrator_nb.orchestrator.attaching import resume_run

pytestmark = pytest.mark.usefixtures("project")


def _events(run: Any, kind: type[e.Event]) -> list[Any]:
    return [event for event in read(run.folder / "journal.jsonl") if isinstance(event, kind)]


def test_fail_edit_resume_runs_only_what_is_missing(project: Path) -> None:
    """The code of today is taken for what has not succeeded, and the change is recorded."""
    steps = project / "steps.py"
    steps.write_text("ran = []\ndef first():\n    return 1\n\ndef second(first):\n    raise ValueError('not yet')\n")
    (project / "flow.yaml").write_text(
        "workflow: w\ncommands:\n  first: {call: 'steps:first'}\n  second: {call: 'steps:second'}\n"
    )
    flow = Workflow.load(project / "flow.yaml")
    with pytest.raises(RunFailed, match="orchestrator-nb resume w-"):
        flow.run()
    steps.write_text("ran = []\ndef first():\n    return 1\n\ndef second(first):\n    return first + 1\n")
    run = resume_run("latest")
    result = run.wait()
    assert result.outputs["second"] == 2
    assert [(event.command, event.attempt) for event in _events(run, e.AttemptStarted)] == [
        ("first", 1),
        ("second", 1),
        ("second", 2),
    ]
    assert _events(run, e.DefinitionChanged)[0].changes == ('"second" has changed',)
    assert result.commands["second"].generation == 2


def test_a_change_in_what_succeeded_is_refused_unless_accepted(project: Path) -> None:
    """Results that the code of today would not give are kept only when asked to."""
    steps = project / "steps.py"
    steps.write_text("def first():\n    return 1\n\ndef second(first):\n    raise ValueError('not yet')\n")
    (project / "flow.yaml").write_text(
        "workflow: w\ncommands:\n  first: {call: 'steps:first'}\n  second: {call: 'steps:second'}\n"
    )
    Workflow.load(project / "flow.yaml").run(check=False)
    steps.write_text("def first():\n    return 100\n\ndef second(first):\n    return first\n")
    with pytest.raises(RunRefused, match='"first" succeeded in this run and changed since'):
        resume_run("latest")
    assert resume_run("latest", accept_changes=True).wait().outputs["second"] == 1


def test_a_completed_run_is_only_looked_at() -> None:
    """There is nothing to do, and nothing is done."""
    flow = Workflow("w")
    flow.command(lambda: 1, id="a")
    run = flow.start()
    size = (run.folder / "journal.jsonl").stat().st_size
    again = flow.resume()
    assert again.result.outputs["a"] == 1
    assert (run.folder / "journal.jsonl").stat().st_size == size


def test_a_run_whose_owner_died_at_its_very_end_gets_its_manifest() -> None:
    """The last write of the journal makes it complete; whoever resumes it does what its owner did not come to."""
    flow = Workflow("w")
    flow.command(lambda: 1, id="a")
    run = flow.start()
    manifest = run.folder / "manifest.json"
    whole = manifest.read_bytes()
    manifest.unlink()
    flow.resume()
    assert manifest.read_bytes() == whole
    manifest.write_bytes(whole.replace(b'"completed"', b'"failed"'))
    flow.resume()
    assert manifest.read_bytes() == whole


def test_an_interrupt_pauses_durably_and_resume_goes_on() -> None:
    """What was under way runs again, what was done does not."""
    flow = Workflow("w")
    began = threading.Event()
    runs: list[str] = []

    @flow.command
    def quick() -> int:
        runs.append("quick")
        return 1

    @flow.command
    def slow(quick: int) -> int:
        runs.append("slow")
        began.set()
        if len(runs) == 2:
            while True:
                context.progress(0.5)
        return quick + 1

    run = flow.start(wait=False)
    assert began.wait(20)
    run.interrupt("test", grace=0.1)
    with pytest.raises(RunFailed, match=r"flow\.resume\(\)"):
        run.wait()
    assert attach("latest").state.run.state == "paused"
    assert flow.resume().result.outputs["slow"] == 2
    assert runs == ["quick", "slow", "slow"]


def test_a_keyboard_interrupt_while_waiting_pauses_the_run(project: Path) -> None:
    """Ctrl-C in a program that waits for its run leaves a run that can be resumed, and no child behind."""
    (project / "program.py").write_text(
        "import sys, threading, time, traceback\n"
        "from orchestrator_nb import Workflow\n"
        "main = threading.get_ident()\n"
        "def say():\n"  # said while the main thread waits
        "    while not any(\n"
        "        f.f_code.co_name == 'wait' and 'orchestrator_nb' in f.f_code.co_filename\n"
        "        for f, _ in traceback.walk_stack(sys._current_frames()[main])\n"
        "    ):\n"
        "        time.sleep(0.01)\n"
        "    time.sleep(0.2)\n"
        "    print('running', flush=True)\n"
        "flow = Workflow('w')\n"
        "flow.command(lambda: 1, id='quick')\n"
        "flow.shell([sys.executable, '-c', 'import time; print(1, flush=True); time.sleep(600)'], id='slow')\n"
        "run = flow.start(wait=False)\n"
        "while run.state.commands.get('slow') is None or run.state.commands['slow'].state != 'running':\n"
        "    time.sleep(0.01)\n"
        "threading.Thread(target=say).start()\n"
        "run.wait()\n"
    )
    program = subprocess.Popen(
        [sys.executable, "program.py"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_environment()
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "running\n"
    program.send_signal(signal.SIGINT)
    _, errors = program.communicate(timeout=60)
    assert "is paused" in errors
    run = attach("latest")
    assert run.state.run.state == "paused"
    assert run.state.commands["slow"].state == "pending"
    assert run.state.commands["quick"].state == "succeeded"
    assert not run.is_running


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def _lives(pid: int) -> bool:
    """Tell whether a process runs; one that only waits to be collected by whoever adopted it does not."""
    import psutil

    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_what_a_dead_owner_left_is_ended_before_anything_starts(project: Path) -> None:
    """After kill -9 of the owner, a shell command of it is gone when the run has been resumed."""
    (project / "flow.yaml").write_text(
        "workflow: w\ncommands:\n  slow: {shell: [sh, -c, 'echo $$ >> pids; sleep 600']}\n"
    )
    code = "from orchestrator_nb import Workflow; Workflow.load('flow.yaml').run()"
    owner = subprocess.Popen([sys.executable, "-c", code], env=_environment())
    pids = project / "pids"
    deadline = threading.Event()
    for _ in range(2000):
        if pids.exists() and pids.read_text().strip():
            break
        deadline.wait(0.01)
    left = int(pids.read_text())
    owner.kill()
    owner.wait()
    assert _lives(left)
    (project / "flow.yaml").write_text("workflow: w\ncommands:\n  slow: {shell: [sh, -c, 'echo done']}\n")
    assert resume_run("latest").wait().outputs["slow"]["stdout"] == "done"
    assert not _lives(left)


def test_a_live_result_is_made_again_only_when_it_is_needed() -> None:
    """The one exception to never running again what succeeded."""
    made: list[str] = []
    broken = True

    class Model:
        factor = 3

    flow = Workflow("w")

    @flow.command
    def data() -> int:
        made.append("data")
        return 5

    @flow.command
    def model(data: int) -> Model:
        made.append("model")
        return Model()

    @flow.command
    def use(model: Model, data: int) -> int:
        if broken:
            raise ValueError("not yet")
        return model.factor * data

    with pytest.raises(RunFailed):
        flow.run()
    broken = False
    run = flow.resume()
    assert run.result.outputs["use"] == 15
    assert made == ["data", "model", "model"]
    reopened = {event.command: event.reason for event in _events(run, e.CommandReopened)}
    assert "its live result died with its process" in reopened["model"]
    assert "data" not in reopened


def test_functions_of_a_session_are_refused_elsewhere_and_bound_again_here() -> None:
    """A run that needs them says where to go on."""
    flow = Workflow("w")
    answers = [ValueError("first"), 2]

    def work() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    flow.command(work)
    flow.run(check=False)
    with pytest.raises(RunRefused, match=r"flow\.resume\(\)"):
        resume_run("latest")
    assert flow.resume().result.outputs["work"] == 2


def test_a_run_that_somebody_owns_is_refused_by_name() -> None:
    """Two owners never write one journal."""
    flow = Workflow("w")
    go_on = threading.Event()
    flow.command(lambda: go_on.wait(20), id="a")
    run = flow.start(wait=False)
    with pytest.raises(RunRefused, match="this process already"):
        flow.resume(run.id)
    go_on.set()
    run.wait()


def test_an_unknown_run_is_answered_with_the_nearest() -> None:
    """A typing mistake in a run's name costs nothing."""
    flow = Workflow("w")
    flow.command(lambda: 1, id="a")
    run = flow.start()
    with pytest.raises(RunNotFound, match=run.id):
        flow.resume(run.id + "x")


def test_a_stopped_run_can_be_resumed() -> None:
    """Stop is final until someone goes on."""
    flow = Workflow("w")
    began = threading.Event()
    waits = True

    @flow.command
    def a() -> int:
        began.set()
        while waits:
            context.progress(0.1)
        return 1

    run = flow.start(wait=False)
    assert began.wait(20)
    run.stop("enough")
    with pytest.raises(RunFailed) as caught:
        run.wait()
    assert caught.value.result.exit_code == 5
    waits = False
    assert flow.resume().result.outputs["a"] == 1


def test_what_an_attempt_recorded_before_it_failed_is_given_to_the_next() -> None:
    """State is preserved at a failed attempt."""
    flow = Workflow("w")
    seen: list[Any] = []

    @flow.command(retries=1, retry_delay=0.01)
    def work() -> None:
        seen.append(dict(context.partial))
        context.record("step", 3)
        if len(seen) == 1:
            raise ValueError("half way")

    flow.run()
    assert seen == [{}, {"step": 3}]


def test_what_dead_writers_left_is_removed_when_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half written files of the run and folders of kernels whose owner was killed do not pile up, and nobody is shown
    what was under way then."""
    temporary = tmp_path / "t"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    sockets = temporary / "onb-dead"
    sockets.mkdir()
    (sockets / "held").touch()
    os.utime(sockets, (1.0, 1.0))
    flow = Workflow("w")
    broken = True

    @flow.command
    def a() -> list[int]:
        if broken:
            raise ValueError("not yet")
        return list(range(20_000))  # too large for the journal

    run = flow.start(check=False)
    draft = run.folder / "artifacts" / ".draft-1-abc"
    draft.parent.mkdir(exist_ok=True)
    draft.write_bytes(b"half")
    half, shown = run.folder / ".manifest.json.0123abcd", run.folder / "live.json"
    half.write_bytes(b"{")
    shown.write_text('{"at": 1.0, "commands": {"a": {"attempt": 1}}}')
    broken = False
    result = flow.resume().result
    assert len(result.outputs["a"]) == 20_000
    assert not draft.exists()
    assert not half.exists()
    assert not shown.exists()
    assert not sockets.exists()
