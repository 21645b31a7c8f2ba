"""Looking at a run while it goes on: what does not hold is told at once, and what does is not."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_nb import Workflow, attach, context
from orchestrator_nb import events as e
from orchestrator_nb.cli.main import run_command_line
from orchestrator_nb.engine.simulation import Outcome
from orchestrator_nb.engine.simulator import simulate
from orchestrator_nb.journal.file import JournalFile, read
from orchestrator_nb.orchestrator.store.invariants import Invariants
from orchestrator_nb.orchestrator.store.live_audit import watch_run
from orchestrator_nb.recovery.optional import Optional
from orchestrator_nb.recovery.retry import Retry

BEGUN = (
    e.RunStarted(at=1.0, run="r", workflow="w", slots=1),
    e.RunPlanned(at=1.0, commands={"a": {}, "b": {}, "c": {"needs": {"cpu": 1, "gpu": 2}}}, pools={"cpu": 1, "gpu": 1}),
)


def start(command, attempt=1, at=2.0):
    return e.AttemptStarted(at=at, command=command, attempt=attempt)


def success(command, attempt=1, at=3.0):
    return e.CommandSucceeded(at=at, command=command, attempt=attempt)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ([start("a"), start("b")], "2 slots are taken, of 1"),
        ([start("c")], '2 of "gpu" is taken, of 1'),
        ([start("a"), success("a"), success("a")], "has succeeded twice"),
        ([start("a"), success("a"), start("a", 2)], "though the command had succeeded"),
        ([start("a", 2), success("a", 2), e.CommandReopened(at=3.0, command="a", reason=""), start("a")], "attempt 2 had begun"),
        ([start("a"), start("a", 2)], "while another attempt of the command runs"),
        ([start("a"), e.RunEnded(at=3.0, state="completed")], 'has ended as completed while "a" runs'),
        ([e.RunEnded(at=3.0, state="failed"), start("a")], "after the run had ended"),
        ([start("a", at=500.0), success("a", at=3.0)], "497 s earlier than a fact before it"),
    ],
)  # fmt: skip
def test_each_violation_is_told_once(tmp_path, facts, said):
    """With its place and what to do; the facts before it are right."""
    invariants = Invariants(tmp_path)
    findings = [finding for fact in (*BEGUN, *facts) for finding in invariants.take([fact])]
    assert len(findings) == 1, findings
    assert said in findings[0].what
    assert findings[0].repair
    assert "journal.jsonl" in findings[0].place


@given(st.data())
def test_a_run_as_it_should_be_violates_nothing(data):
    """Whatever fails, is tried again or takes from pools: the real loop keeps to what is looked at."""
    slots = data.draw(st.integers(1, 3))
    commands, outcomes = {}, {}
    for number in range(data.draw(st.integers(1, 8))):
        needs = {"cpu": data.draw(st.integers(0, slots)), "db": data.draw(st.integers(0, 2))}
        before = [f"c{earlier}" for earlier in range(number) if data.draw(st.booleans())]
        commands[f"c{number}"] = {"upstream": before, "needs": needs, "retries": 2}
        failed = Outcome(failure=e.Failure(kind="exception", message="no", types=("builtins.ConnectionError",)))
        outcomes[f"c{number}"] = [failed] * data.draw(st.integers(0, 3))
    plan = e.RunPlanned(at=0.0, commands=commands, pools={"cpu": slots, "db": 2})
    run = simulate(plan, slots=slots, outcomes=outcomes, policies=(Retry(), Optional()))
    invariants = Invariants(Path("nowhere"))
    assert [finding for event in run.events for finding in invariants.take([event])] == []


def test_a_journal_that_gives_out_more_than_there_is_is_told_by_whoever_watches(tmp_path):
    """The chain and the fold are right; only the count of what is held tells."""
    folder = tmp_path / "r"
    folder.mkdir()
    journal = JournalFile(folder / "journal.jsonl", durable=False, clock=lambda: 1.0)
    journal.append([*BEGUN, start("a"), start("b")])
    journal.close()
    assert any("2 slots are taken, of 1" in finding.what for finding in watch_run(folder))


def test_a_run_that_is_right_is_told_nothing_of(project):
    """From its first fact to its last, gates, retries, shared tables and resumes included."""
    flow = Workflow("w", monitoring={"audit": True}, slots=2)
    flow.command(lambda: context.shared.update(a=1), id="a", gates=["seconds >= 0"])
    flow.command(
        lambda: 1 / (context.attempt - 1) if context.attempt == 1 else 1, id="b", after="a", retries=1, retry_delay=0.01
    )
    flow.command(lambda: Path("go").stat().st_size, id="c", after="b", retries=0)
    failed = flow.start(wait=True, check=False)
    Path("go").touch()
    run = flow.resume(check=False)
    assert failed.id == run.id
    assert run.result.state == "completed"
    assert not [notice.text for notice in run.state.notices if notice.text.startswith("audit")]
    assert list(watch_run(run.folder)) == []


def test_an_artifact_that_changes_under_a_run_is_recorded_while_it_goes_on(project, until):
    """By the owner itself, where the definition wants it: a notice that names the command and the repair."""
    go = threading.Event()
    flow = Workflow("w", monitoring={"audit": True})
    flow.command(lambda: Path("big.txt").write_text("x" * 100) and Path("big.txt"), id="give")
    flow.command(lambda: go.wait(50), id="waits", after="give")
    run = flow.start(wait=False)
    until(lambda: run.state.commands.get("waits") is not None and run.state.commands["waits"].state == "running")
    (artifact,) = (path for path in (run.folder / "artifacts").glob("??/*"))
    os.chmod(artifact, 0o600)
    artifact.write_text("y" * 100)
    until(lambda: any("audit: " in notice.text for notice in run.state.notices))
    go.set()
    run.wait(check=False)
    told = [event.text for event in read(run.folder / "journal.jsonl") if isinstance(event, e.NoticeGiven)]
    assert [text for text in told if "is damaged" in text and '"give"' in text and "--from give" in text]


def test_the_command_line_watches_until_the_run_is_over(project, capsys):
    """What it finds it prints; the exit code says whether there was anything."""
    flow = Workflow("w")
    flow.command(lambda: Path("big.txt").write_text("x" * 100) and Path("big.txt"), id="give")
    run = flow.start(wait=True)
    capsys.readouterr()
    assert run_command_line(["audit", "--watch"]) == 0
    assert capsys.readouterr().out == f"{run.id}: as it was recorded\n"
    (artifact,) = (path for path in (run.folder / "artifacts").glob("??/*"))
    os.chmod(artifact, 0o600)
    artifact.write_text("y" * 100)
    assert run_command_line(["audit", "latest", "--watch"]) == 1
    assert "is damaged" in capsys.readouterr().out
    assert run_command_line(["audit", "--watch", "--all"]) == 2


def test_who_watches_a_live_run_has_its_owner_record_it(project, until):
    """The notice is in the journal while the run goes on."""
    go = threading.Event()
    flow = Workflow("w")
    flow.command(lambda: Path("big.txt").write_text("x" * 100) and Path("big.txt"), id="give")
    flow.command(lambda: go.wait(50), id="waits", after="give")
    run = flow.start(wait=False)
    until(lambda: run.state.commands.get("waits") is not None and run.state.commands["waits"].state == "running")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    code = "from orchestrator_nb.cli.main import main; main()"
    watcher = subprocess.Popen(
        [sys.executable, "-c", code, "audit", run.id, "--watch"], env=environment, stdout=subprocess.PIPE, text=True
    )
    (artifact,) = (path for path in (run.folder / "artifacts").glob("??/*"))
    os.chmod(artifact, 0o600)
    artifact.write_text("y" * 100)
    until(lambda: any("audit: " in notice.text for notice in attach(run.id).state.notices))
    go.set()
    run.wait(check=False)
    printed, _ = watcher.communicate(timeout=30)
    assert watcher.returncode == 1
    assert "is damaged" in printed


def test_nobody_pays_for_it_who_does_not_want_it(project):
    """Neither the thread nor the module is there."""
    code = (
        "import sys\nfrom orchestrator_nb import Workflow\nflow = Workflow('w')\nflow.command(lambda: 1, id='a')\n"
        "flow.run()\nprint('orchestrator_nb.orchestrator.store.live_audit' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
