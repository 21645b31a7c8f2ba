"""Checkpoints and rollbacks of real runs in real repositories: what is kept when, and what goes back with what."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator_nb import RunFailed, Workflow, WorkflowOrchestrator, attach
from orchestrator_nb import events as e
from orchestrator_nb.checkpoints.place import find_place
from orchestrator_nb.checkpoints.store import CheckpointStore
from orchestrator_nb.cli.main import run_command_line
from orchestrator_nb.engine.replay import replay
from orchestrator_nb.errors import CheckpointError, RollbackRefused, UsageError
from orchestrator_nb.journal.file import read
from orchestrator_nb.orchestrator.session import POLICIES
from orchestrator_nb.orchestrator.store.prune import delete_runs, doomed_runs

STEPS = """\
import time
from pathlib import Path

from orchestrator_nb import context


def note(name):
    with open("ran", "a") as file:
        file.write(name + "\\n")


def clean():
    note("clean")
    Path("clean.txt").write_text("clean")
    Path("out").mkdir(exist_ok=True)
    for number in range(3):
        Path(f"out/{number}.csv").write_text(str(number))
    return {"rows": 3}


def model(clean):
    note("model")
    Path("model.txt").write_text("model")
    Path("notes.txt").write_text("by the model")
    context.shared["rows"] = clean["rows"]
    return {"rmse": 1.5}


def waits(clean):
    note("waits")
    Path("waits.txt").write_text("begun")
    while not Path("go").exists():
        time.sleep(0.01)
    Path("waits.txt").write_text("done")


def fails(clean):
    note("fails")
    Path("fails.txt").write_text("half")
    Path("notes.txt").write_text("spoilt")
    raise ValueError("no")


def leaks(clean):
    note("leaks")
    Path("notes.txt").write_text("leaked")
    raise PermissionError("compliance: personal data in the output")


def shares(clean, name):
    Path(name).touch()
    while not (Path("one").exists() and Path("two").exists()):
        time.sleep(0.01)
    Path(f"{name}.txt").write_text(name)
    context.shared["by"] = name


def publish(model):
    note("publish")
    return "done"
"""
COMMANDS = {
    "clean": {"call": "steps:clean", "writes": ["clean.txt", "out/*.csv"]},
    "model": {"call": "steps:model", "after": "clean", "writes": ["model.txt", "notes.txt"]},
    "publish": {"call": "steps:publish", "after": "model"},
}


def git(*arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(["git", *arguments], capture_output=True, env=environment, text=True, check=True)
    return done.stdout


@pytest.fixture
def repository(project):
    """A project in a repository of its own, with a file that the user has committed."""
    (project / "steps.py").write_text(STEPS)
    (project / "notes.txt").write_text("by hand")
    (project / ".gitignore").write_text("out/\n__pycache__/\nran\ngo\n")
    git("init", "-q", "-b", "main")
    git("-c", "user.email=a@example.org", "-c", "user.name=a", "add", "-A")
    git("-c", "user.email=a@example.org", "-c", "user.name=a", "commit", "-qm", "begin")
    return project


def flow(commands=COMMANDS, **options):
    return Workflow.load({"workflow": "sales", "commands": commands, **options})


def boundaries(run):
    return [event.command or event.boundary for event in run.state.checkpoints]


def typed(capsys, *arguments):
    """Type a line, and return what it said and its exit code."""
    capsys.readouterr()
    code = run_command_line(arguments)
    said = capsys.readouterr()
    return subprocess.CompletedProcess(arguments, code, said.out, said.err)


def ran():
    return Path("ran").read_text().split() if Path("ran").exists() else []


def test_a_run_keeps_its_files_at_its_start_after_each_command_and_at_its_end(repository):
    """A command's checkpoint holds what it declares, is recorded before its downstream starts, and has the known form."""
    run = flow().start(wait=False)
    run.wait()
    assert boundaries(run) == ["start", "clean", "model", "completion"]
    events = list(read(run.folder / "journal.jsonl"))
    order = [(type(event).__name__, getattr(event, "command", None)) for event in events]
    assert order.index(("CheckpointTaken", "clean")) < order.index(("AttemptStarted", "model"))
    assert replay(events, policies=POLICIES).same

    listed = run.checkpoints()
    assert [each.name for each in listed] == [
        "workflow_start_sales", "command_completion_clean", "command_completion_model", "workflow_complete_sales",
    ]  # fmt: skip
    assert {"clean.txt", "out/0.csv", "out/2.csv"} <= set(listed.files("clean"))
    assert "model.txt" not in listed.files("clean")
    assert listed.read("start", "notes.txt") == b"by hand"
    assert [each.path for each in listed.diff("clean", "model")] == ["model.txt", "notes.txt"]
    assert listed["clean"].position < listed["model"].position
    assert [event.message for event in run.state.checkpoints][1].startswith("WORKFLOW-STEP: clean completed in sales")
    assert "command_completion_model" in repr(listed)
    assert list(listed.frame()["boundary"]) == ["start", "command", "command", "completion"]
    assert git("status", "--porcelain", "--untracked-files=no") == " M notes.txt\n"


def test_a_run_without_declared_files_keeps_none(repository):
    """Nothing of it could be given back, so nothing is taken, and the list says why."""
    run = flow({"publish": {"call": "steps:publish", "parameters": {"model": 1}}}).start(wait=False)
    run.wait()
    assert boundaries(run) == []
    assert "declares a file" in repr(run.checkpoints())
    assert not (find_place(repository, runs=run.folder.parent).folder / "ready").exists()


def test_checkpoints_can_be_off_or_at_some_moments_only(repository):
    """Off takes none and a rollback is of outputs only; with commands alone the beginning is kept all the same."""
    run = flow(checkpoints="off").start(wait=False)
    run.wait()
    assert boundaries(run) == []
    report = run.rollback(to="clean")
    assert (report.commands, report.removed) == (("model", "publish"), ())
    run = flow(checkpoints={"at": ["command"]}).start(wait=False)
    run.wait()
    assert boundaries(run) == ["start", "clean", "model"]
    assert run.checkpoints()["start"].whole is False


def test_going_back_to_a_command_takes_back_files_outputs_and_shared_state(repository):
    """What came after it is gone and runs again when the run is resumed; what was before it is as it was."""
    run = flow().start(wait=False)
    run.wait()
    assert run.state.shared == {"rows": 3}
    shown = run.rollback(to="clean", dry_run=True)
    assert (shown.done, shown.restored, shown.removed) == (False, ("notes.txt",), ("model.txt",))
    assert Path("model.txt").exists()

    report = run.rollback(to="clean")
    assert (report.done, report.restored, report.removed) == (True, shown.restored, shown.removed)
    assert report.commands == ("model", "publish")
    assert Path("notes.txt").read_text() == "by hand"
    assert not Path("model.txt").exists()
    assert run.state.shared == {}
    assert run.result.outputs == {"clean": {"rows": 3}}
    assert attach(run.id).state.run.state == "paused"

    run.resume()
    run.wait()
    assert ran() == ["clean", "model", "publish", "model", "publish"]
    assert (Path("notes.txt").read_text(), run.state.shared) == ("by the model", {"rows": 3})
    assert run.state.commands["clean"].generation == 1
    assert replay(read(run.folder / "journal.jsonl"), policies=POLICIES).same


def test_undoing_a_command_leaves_all_others(repository):
    """Only its files go back and only it runs again; the report names who had used what is gone."""
    run = flow().start(wait=False)
    run.wait()
    report = run.rollback(undo="model")
    assert (report.commands, report.advice) == (("model",), ("publish",))
    assert (Path("clean.txt").exists(), Path("model.txt").exists()) == (True, False)
    assert "publish" in str(report)
    run.resume()
    run.wait()
    assert ran() == ["clean", "model", "publish", "model"]


def test_a_rollback_is_undone_by_its_number(repository):
    """The files come back as they were before it."""
    run = flow().start(wait=False)
    run.wait()
    report = run.rollback(to="start")
    assert not Path("clean.txt").exists()
    assert not Path("out/1.csv").exists()
    run.rollback(undo=report.undo)
    assert Path("clean.txt").read_text() == "clean"
    assert Path("out/1.csv").read_text() == "1"
    assert Path("notes.txt").read_text() == "by the model"


def test_what_somebody_edited_since_is_refused_or_kept_beside(repository):
    """Nothing is overwritten: the rollback is refused as a whole, or the earlier content is put beside the edit."""
    run = flow().start(wait=False)
    run.wait()
    Path("notes.txt").write_text("edited since")
    with pytest.raises(RollbackRefused, match=r'"notes\.txt": changed since'):
        run.rollback(to="clean")
    assert Path("model.txt").exists()
    assert attach(run.id).state.run.state == "completed"
    report = run.rollback(to="clean", keep_both=True)
    assert Path("notes.txt").read_text() == "edited since"
    assert Path("notes.rollback-1.txt").read_text() == "by hand"
    assert report.beside == ("notes.rollback-1.txt",)


def test_what_a_failed_command_left_goes_back(repository):
    """A selective rollback of a command that failed takes away what its attempt had written."""
    commands = {**COMMANDS, "fails": {"call": "steps:fails", "after": "clean", "writes": ["fails.txt", "notes.txt"]}}
    run = flow({name: commands[name] for name in ("clean", "fails")}).start(wait=False)
    run.wait(check=False)
    report = run.rollback(undo="fails")
    assert (report.restored, report.removed) == (("notes.txt",), ("fails.txt",))
    assert Path("notes.txt").read_text() == "by hand"
    assert run.state.commands["fails"].state == "pending"


@pytest.mark.parametrize("how", ["automatic", "ask"])
def test_what_a_failed_command_left_goes_by_itself_or_is_proposed(repository, how):
    """By policy only its files go back, and it stays failed; or a person is told what to type."""
    commands = {**COMMANDS, "fails": {"call": "steps:fails", "after": "clean", "writes": ["fails.txt", "notes.txt"]}}
    run = flow({name: commands[name] for name in ("clean", "fails")}, checkpoints={"rollback": how}).start(wait=False)
    run.wait(check=False)
    assert run.state.commands["fails"].state == "failed"
    assert run.state.run.state == "failed"
    assert Path("clean.txt").exists()
    assert replay(read(run.folder / "journal.jsonl"), policies=POLICIES).same
    if how == "automatic":
        assert (Path("notes.txt").read_text(), Path("fails.txt").exists()) == ("by hand", False)
        assert [each.commands for each in run.state.rollbacks] == [()]
        [notice] = [notice.text for notice in run.state.notices if "by itself" in notice.text]
        assert 'because of no: restored "notes.txt", removed "fails.txt"' in notice
        assert (
            f"orchestrator-nb resume {run.id}; to undo it: orchestrator-nb rollback {run.id} --undo rollback-1"
            in notice
        )
        run.rollback(undo="rollback-1")
        assert (Path("notes.txt").read_text(), Path("fails.txt").read_text()) == ("spoilt", "half")
        assert run.state.run.state == "failed"
    else:
        assert Path("fails.txt").exists()
        assert any(f"rollback {run.id} --undo fails" in notice.text for notice in run.state.notices)


@pytest.mark.parametrize("answer", ["roll back", "fail"])
def test_who_is_asked_about_a_failure_also_says_what_becomes_of_its_files(repository, until, answer):
    """One answer gives it up and undoes what it left, another leaves it; an edit made before the answer is nobody's."""
    commands = {
        "clean": COMMANDS["clean"],
        "fails": {"call": "steps:fails", "after": "clean", "writes": ["fails.txt", "notes.txt"], "retries": 0},
    }
    asking = {"recovery": {"escalation": {"guided": "10m"}}, "checkpoints": {"rollback": "ask"}}
    run = flow(commands, **asking).start(wait=False, decide="wait")
    until(lambda: [taken for taken in run.state.checkpoints if taken.boundary == "left"])
    [decision] = run.decisions()
    assert decision.options == ("retry", "skip", "fail", "roll back")
    assert "undo what it left" in str(decision)
    Path("notes.txt").write_text("mended by hand")
    run.decide(1, answer)
    run.wait(check=False)
    assert (run.state.run.state, run.state.commands["fails"].state) == ("failed", "failed")
    assert [taken.command for taken in run.state.checkpoints if taken.boundary == "left"] == ["fails"]
    assert not [notice for notice in run.state.notices if "--undo fails" in notice.text]
    assert Path("notes.txt").read_text() == "mended by hand"
    assert Path("fails.txt").exists() == (answer == "fail")
    assert [back.beside for back in run.state.rollbacks] == (
        [("notes.rollback-1.txt",)] if answer == "roll back" else []
    )
    assert replay(read(run.folder / "journal.jsonl"), policies=POLICIES).same


@pytest.mark.parametrize("where", ["roll back", "rollback"])
def test_nobody_has_to_answer_for_the_files_to_go_back(repository, where):
    """It is the default of the escalation: taken at once where defaults are, and nothing else has to be switched on."""
    commands = {
        "clean": COMMANDS["clean"],
        "fails": {"call": "steps:fails", "after": "clean", "writes": ["fails.txt", "notes.txt"], "retries": 0},
    }
    asking = {"recovery": {"escalation": {"guided": "10m", "default": where}}}
    run = flow(commands, **asking).start(wait=False, decide="now")
    run.wait(check=False)
    [decision] = run.decisions()
    assert (decision.answer, decision.by_default) == ("roll back", True)
    assert (run.state.run.state, run.state.commands["fails"].state) == ("failed", "failed")
    assert (Path("notes.txt").read_text(), Path("fails.txt").exists()) == ("by hand", False)
    assert replay(read(run.folder / "journal.jsonl"), policies=POLICIES).same


def test_where_there_is_nothing_to_go_back_to_it_is_given_up(repository):
    """The default to roll back is then the default to fail: nobody is waited for."""
    commands = {"clean": COMMANDS["clean"], "fails": {"call": "steps:fails", "after": "clean", "retries": 0}}
    asking = {"recovery": {"escalation": {"default": "roll back"}}}
    run = flow(commands, **asking).start(wait=False, decide="now")
    run.wait(check=False)
    [decision] = run.decisions()
    assert (decision.answer, run.state.commands["fails"].state) == ("fail", "failed")


def test_a_rollback_that_was_answered_while_nobody_drove_the_run_is_done_first(repository):
    """The answer is durable: the next owner takes the files back, then the command is tried again."""
    commands = {
        "clean": COMMANDS["clean"],
        "fails": {"call": "steps:fails", "after": "clean", "writes": ["fails.txt", "notes.txt"], "retries": 0},
    }
    asking = {"recovery": {"escalation": {"guided": "10m"}}, "checkpoints": {"rollback": "ask"}}
    Path("flow.json").write_text(json.dumps({"workflow": "sales", "commands": commands, **asking}))
    assert Workflow.load("flow.json").run(check=False, decide="park").state == "paused"
    run = attach("latest")
    run.decide(1, "roll back")
    assert run.state.run.rollback.undo == ("fails",)
    run.resume(decide="park")
    run.wait(check=False)
    [back] = run.state.rollbacks
    assert (back.restored, back.removed) == (("notes.txt",), ("fails.txt",))


def test_what_a_bad_verdict_of_a_gate_comes_to_goes_back_too(repository):
    """A command whose gate does not hold has failed: what it wrote goes back by itself, where that is wanted."""
    commands = {"clean": COMMANDS["clean"], "model": {**COMMANDS["model"], "gates": ["rmse < 1"], "retries": 0}}
    run = flow(commands, checkpoints={"rollback": "automatic"}).start(wait=False)
    run.wait(check=False)
    assert run.state.commands["model"].state == "failed"
    assert [gate.verdict for gate in run.state.commands["model"].gates.values()] == ["failed"]
    [back] = run.state.rollbacks
    assert (back.restored, back.removed) == (("notes.txt",), ("model.txt",))
    assert (Path("notes.txt").read_text(), Path("model.txt").exists()) == ("by hand", False)
    assert Path("clean.txt").read_text() == "clean"
    assert run.state.shared == {}
    assert replay(read(run.folder / "journal.jsonl"), policies=POLICIES).same


def test_what_a_conflict_over_the_shared_state_comes_to_goes_back_too(repository):
    """A command whose change of a value is refused, since another one changed it, has failed: its files go back."""
    side = {"call": "steps:shares", "after": "clean", "retries": 0}
    commands = {
        "clean": COMMANDS["clean"],
        "one": {**side, "parameters": {"name": "one"}, "writes": ["one.txt"]},
        "two": {**side, "parameters": {"name": "two"}, "writes": ["two.txt"]},
    }
    run = flow(commands, checkpoints={"rollback": "automatic"}, merge={"*": "fail"}, slots=2).start(wait=False)
    run.wait(check=False)
    states = {name: run.state.commands[name].state for name in ("one", "two")}
    assert sorted(states.values()) == ["failed", "succeeded"]
    [lost] = [name for name, state in states.items() if state == "failed"]
    assert run.state.commands[lost].failure.kind == "conflict"
    [back] = run.state.rollbacks
    assert (back.what, back.removed) == (f"without {lost}", (f"{lost}.txt",))
    kept = {f"{name}.txt" for name in states if name != lost}
    assert {path.name for path in Path().glob("*.txt")} == {"clean.txt", "notes.txt", *kept}
    assert any("was changed by another command" in notice.text for notice in run.state.notices)


def test_cascading_failures_propose_to_go_back_step_by_step(repository):
    """A notice and the story of the failure say what to type, and what is typed does it."""
    held = {name: {"call": "steps:publish", "parameters": {"model": 1}, "after": "fails"} for name in ("x", "y", "z")}
    commands = {"clean": COMMANDS["clean"], "fails": {"call": "steps:fails", "after": "clean", "writes": ["fails.txt"]}}
    run = flow({**commands, **held}, checkpoints={"rollback": "ask"}).start(wait=False)
    with pytest.raises(RunFailed, match=r"rollback_step_by_step\(check=") as caught:
        run.wait()
    assert "go back step by step" in caught.value.result.next_steps[0]
    [notice] = [notice.text for notice in run.state.notices if "step by step" in notice.text]
    assert notice.startswith('3 commands did not run because of "fails"')
    assert replay(read(run.folder / "journal.jsonl"), policies=POLICIES).same
    levels, report = attach(run.id).rollback_step_by_step(check=lambda folder: not (folder / "fails.txt").exists())
    assert ([level.passed for level in levels], report.removed) == ([True], ("fails.txt",))


def test_a_critical_error_takes_the_run_back_to_its_last_checkpoint(repository, until):
    """The run goes back at once and waits for a person, who is told of the cause; what was good stays."""
    commands = {"clean": COMMANDS["clean"], "leaks": {"call": "steps:leaks", "after": "clean", "writes": ["notes.txt"]}}
    rules = [{"message": "compliance", "kind": "compliance_violation"}]
    run = flow(commands, recovery={"rules": rules}).start(wait=False)
    until(lambda: run.state.rollbacks)
    assert Path("notes.txt").read_text() == "by hand"
    assert Path("clean.txt").read_text() == "clean"
    assert run.state.run.state == "paused"
    assert run.state.commands["clean"].state == "succeeded"
    said = [notice.text for notice in run.state.notices if "compliance: personal data" in notice.text]
    assert ["the run goes back to" in said[0], "the run went back by itself, to " in said[1]] == [True, True]
    assert 'restored "notes.txt"' in said[1]
    run.stop("the test is over")


def test_an_edit_after_a_failure_belongs_to_whoever_made_it(repository):
    """What a command left is kept when it fails; what somebody writes into the same file later is never taken for it."""
    commands = {**COMMANDS, "fails": {"call": "steps:fails", "after": "clean", "writes": ["fails.txt", "notes.txt"]}}
    run = flow({name: commands[name] for name in ("clean", "fails")}).start(wait=False)
    run.wait(check=False)
    Path("notes.txt").write_text("mended by hand")
    with pytest.raises(RollbackRefused, match=r'"notes\.txt": changed since'):
        run.rollback(undo="fails")
    assert Path("notes.txt").read_text() == "mended by hand"
    assert Path("fails.txt").read_text() == "half"


def test_a_run_under_way_comes_to_rest_first(repository, until):
    """Commands under way come to their end, the run goes back and is paused, and goes on when it is resumed."""
    commands = {**COMMANDS, "waits": {"call": "steps:waits", "after": "clean", "writes": ["waits.txt"]}}
    run = flow(commands, slots=2).start(wait=False)
    until(lambda: run.result.outputs.get("publish") and Path("waits.txt").exists())
    import threading

    told = []
    asking = threading.Thread(target=lambda: told.append(run.rollback(undo="model")))
    asking.start()
    until(lambda: run.state.run.state == "paused")
    assert Path("model.txt").exists()
    Path("go").touch()
    asking.join(30)
    [report] = told
    assert (report.commands, report.removed) == (("model",), ("model.txt",))
    assert Path("waits.txt").read_text() == "done"
    assert run.state.run.state == "paused"
    run.resume()
    run.wait()
    assert sorted(ran()) == ["clean", "model", "model", "publish", "waits"]


def test_others_go_on_while_the_files_of_a_command_are_kept(repository, until):
    """A checkpoint that takes long holds back what comes after its command, and nothing else."""
    held = {"call": "steps:waits", "after": "clean", "writes": ["waits.txt"]}
    commands = {
        "clean": COMMANDS["clean"],
        "waits": held,
        "after_it": {"call": "steps:publish", "parameters": {"model": 1}, "after": "waits"},
        **{
            name: {"call": "steps:publish", "parameters": {"model": 1}, "after": before}
            for name, before in (("x", "clean"), ("y", "x"), ("z", "y"))
        },
    }
    run = flow(commands, slots=2).start(wait=False)
    until(lambda: Path("waits.txt").exists())
    store = CheckpointStore(find_place(repository, runs=run.folder.parent))
    with store.lock():
        Path("go").touch()
        until(lambda: run.state.commands["waits"].returned and "z" in run.result.outputs)
        assert run.state.due == {"waits": ("checkpoint",)}
        assert run.state.commands["after_it"].state == "pending"
    run.wait()
    assert boundaries(run) == ["start", "clean", "waits", "completion"]


def test_a_rollback_says_where_the_repository_was_and_leaves_it_where_it_is(repository):
    """Between a run and its rollback somebody may have changed to another branch: it is told, and nothing is moved."""
    run = flow().start(wait=False)
    run.wait()
    git("switch", "-qc", "later")
    report = run.rollback(to="clean")
    assert "your repository was on main at " in str(report)
    assert " and is on later at " in str(report)
    assert git("branch", "--show-current") == "later\n"
    assert run.rollback(undo="rollback").note == ""


def test_without_git_or_a_repository_a_run_goes_on(project, monkeypatch):
    """Without a repository files are kept beside the runs; without the program the run says so once and completes."""
    (project / "steps.py").write_text(STEPS)
    Path("notes.txt").write_text("by hand")
    run = flow().start(wait=False)
    run.wait()
    assert boundaries(run) == ["start", "clean", "model", "completion"]
    assert not (project / ".git").exists()
    report = run.rollback(to="start")
    assert Path("notes.txt").read_text() == "by hand", report

    code = (
        "from orchestrator_nb import Workflow; import json, sys\n"
        "run = Workflow.load(json.loads(sys.argv[1])).start(wait=False)\n"
        "print(run.wait(check=False).state, run.checkpoints())\n"
        "print([(type(event).__name__, event.reason) for event in run.watch() if 'Skipped' in type(event).__name__])"
    )
    monkeypatch.setenv("PATH", str(project / "nowhere"))
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps({"workflow": "sales", "commands": COMMANDS})],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )  # fmt: skip
    assert done.stdout.startswith("completed"), done.stderr
    assert done.stdout.count("checkpoints need the program git") == 2
    assert "checkpoints: off" in done.stdout


def test_names_that_lead_nowhere_are_said(repository):
    """The nearest ones are named, and nothing has changed."""
    run = flow().start(wait=False)
    run.wait()
    with pytest.raises(CheckpointError, match='no checkpoint "modle"'):
        run.rollback(to="modle")
    with pytest.raises(UsageError, match='no command "modle"; did you mean "model"'):
        run.rollback(undo=["modle"])
    with pytest.raises(UsageError, match="either a moment"):
        run.rollback()
    assert attach(run.id).state.run.state == "completed"


def test_checkpoints_of_old_runs_are_forgotten(repository):
    """At the end of a run those of its workflow that are beyond the count go, but the first and the last."""
    options = {"keep": 2, "keep_for": "none"}
    first = flow(checkpoints=options).start(wait=False)
    first.wait()
    assert [each.kind for each in first.checkpoints()] == ["start", "command", "completion"]
    assert first.checkpoints()[1].subject == "model"
    with pytest.raises(CheckpointError):
        first.rollback(to="clean")


def test_excluded_and_large_files_are_left_out_and_named(repository):
    """What is excluded or beyond the limit is in no checkpoint, is never touched, and is named."""
    Path("big.bin").write_bytes(b"x" * 3000)
    Path("raw").mkdir()
    Path("raw/a.txt").write_text("raw")
    run = flow(checkpoints={"exclude": "raw/*", "size_limit": 2000}).start(wait=False)
    run.wait()
    files = run.checkpoints().files("start")
    assert "big.bin" not in files
    assert "raw/a.txt" not in files
    left_out = run.state.checkpoints[0].left_out
    assert left_out == {"big.bin": "3000 bytes, the limit is 2000", "raw/a.txt": "it is excluded"}
    run.rollback(to="start")
    assert Path("raw/a.txt").read_text() == "raw"


def test_an_included_file_is_kept_although_it_is_ignored(repository):
    """Ignored files are kept where they are asked for by name."""
    Path("out").mkdir()
    Path("out/mine.bin").write_text("mine")
    run = flow(checkpoints={"include": ["out/mine.bin"]}).start(wait=False)
    run.wait()
    assert "out/mine.bin" in run.checkpoints().files("start")


def test_a_rollback_that_was_cut_is_completed_by_the_next_owner(repository, until):
    """With the intention in the journal and no process left, resuming the run carries it out before anything else."""
    run = flow().start(wait=False)
    run.wait()
    from orchestrator_nb.journal.file import JournalFile

    journal = JournalFile(run.folder / "journal.jsonl", clock=time.time)
    journal.append([e.RollbackAsked(at=1.0, rollback="x", to="clean")])
    journal.close()
    again = flow().resume(wait=False)
    again.wait()
    assert [each.what for each in again.state.rollbacks] == ["to clean"]
    assert ran() == ["clean", "model", "publish", "model", "publish"]


def test_secrets_stay_out_of_checkpoints_and_are_never_touched(repository):
    """Files that are secrets by their names are in none, tracked or in a declared folder, and stay as they are."""
    Path(".env").write_text("TOKEN=1")
    Path("out").mkdir()
    Path("out/key.pem").write_text("private")
    git("add", "-f", ".env")
    git("-c", "user.email=a@example.org", "-c", "user.name=a", "commit", "-qm", "by mistake")
    commands = {**COMMANDS, "clean": {"call": "steps:clean", "writes": ["clean.txt", "./out"]}}
    run = flow(commands).start(wait=False)
    run.wait()
    Path(".env").write_text("TOKEN=2")
    listed = run.checkpoints()
    assert not [path for each in listed for path in listed.files(each.id) if ".env" in path or ".pem" in path]
    report = run.rollback(to="start")
    assert set(report.removed) >= {"out/0.csv", "out/1.csv", "clean.txt"}
    assert (Path(".env").read_text(), Path("out/key.pem").read_text()) == ("TOKEN=2", "private")


def test_runs_at_once_in_one_repository_lose_nothing(repository):
    """Four runs side by side keep all their checkpoints, and taking one back leaves the files of the others."""
    code = "from pathlib import Path\n\n\ndef write(name):\n    for n in range(5):\n        Path(f'{name}.{n}').write_text(name)\n"
    Path("writing.py").write_text(code)
    runs = [
        Workflow.load({
            "workflow": f"w{number}",
            "commands": {
                f"c{step}": {
                    "call": "writing:write", "parameters": {"name": f"f{number}{step}"}, "writes": [f"f{number}{step}.*"],
                    "after": [f"c{step - 1}"] if step else [],
                }
                for step in range(3)
            },
        }).start(wait=False)
        for number in range(4)
    ]  # fmt: skip
    for run in runs:
        run.wait()
        assert boundaries(run) == ["start", "c0", "c1", "c2", "completion"]
        assert len(run.checkpoints()) == 5
    report = runs[1].rollback(to="start")
    assert len(report.removed) == 15
    assert {path.name[:2] for path in Path().glob("f[0-9]*")} == {"f0", "f2", "f3"}
    assert len(list(Path().glob("f[0-9]*"))) == 45


CUT = """\
import os, signal, sys, time
from pathlib import Path
from orchestrator_nb import Workflow, attach
from orchestrator_nb.orchestrator.attaching import resume_run

what, left = sys.argv[1], int(sys.argv[2])
here = os.getcwd() + os.sep

def watch(event, arguments):
    global left
    if what == "keep":
        counts = event == "subprocess.Popen" and "git" in str(arguments[1]) and Path("model.txt").exists()
    else:
        counts = event in ("os.rename", "os.link") and any(
            os.fspath(path).startswith(here) and ".git" + os.sep not in os.fspath(path)[len(here):]
            and "store" not in os.fspath(path)
            for path in arguments[:2] if isinstance(path, (str, os.PathLike))
        )
    if counts:
        left -= 1
    if left < 0 and event != "os.kill":
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
if what == "keep":
    Workflow.load("flow.json").start(wait=False).wait()
else:
    attach("latest").rollback(to="start")
"""


def cut(what, after):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", CUT, what, str(after)], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == -9, done.stderr
    return attach("latest")


@pytest.mark.parametrize("after", [0, 1])
def test_a_kill_while_a_commands_files_are_kept_repeats_that_and_not_the_command(repository, after):
    """After kill -9 between the return of a command and its success, resuming takes the checkpoint and goes on."""
    Path("flow.json").write_text(json.dumps({"workflow": "sales", "commands": COMMANDS}))
    run = cut("keep", after)
    assert run.state.due == {"model": ("checkpoint",)}
    run.resume()
    run.wait()
    assert ran() == ["clean", "model", "publish"]
    assert boundaries(run) == ["start", "clean", "model", "recovery", "completion"]
    report = run.rollback(undo="model")
    assert (report.restored, report.removed) == (("notes.txt",), ("model.txt",))


@pytest.mark.parametrize("after", [0, 2, 4])
def test_a_rollback_that_is_killed_is_completed_when_the_run_is_resumed(repository, after):
    """Whichever file a kill -9 hits: the intention is in the journal, all files go back, and all of it runs again."""
    Path("flow.json").write_text(json.dumps({"workflow": "sales", "commands": COMMANDS}))
    first = Workflow.load("flow.json").start(wait=False)
    first.wait()
    run = cut("rollback", after)
    assert run.state.run.rollback is not None
    run.resume()
    run.wait()
    [back] = run.state.rollbacks
    assert back.commands == ("clean", "model", "publish")
    assert run.checkpoints().read(back.outcome, "notes.txt") == b"by hand"
    assert "model.txt" not in run.checkpoints().files(back.outcome)
    assert ran() == ["clean", "model", "publish"] * 2
    assert Path("notes.txt").read_text() == "by the model"


def test_edits_during_a_pause_belong_to_nobody_and_stay(repository, until):
    """What a person writes while the run is paused is kept apart: no rollback takes it for the work of a command."""
    commands = {
        "clean": COMMANDS["clean"], "waits": {"call": "steps:waits", "after": "clean", "writes": ["waits.txt"]},
        "model": {**COMMANDS["model"], "after": ["clean", "waits"]},
    }  # fmt: skip
    run = flow(commands).start(wait=False)
    until(lambda: Path("waits.txt").exists())
    run.pause()
    Path("go").touch()
    until(lambda: "pause" in boundaries(run))
    Path("clean.txt").write_text("clean, and mended by hand")
    Path("mine.txt").write_text("mine")
    run.resume()
    run.wait()
    with pytest.raises(RollbackRefused, match=r'"clean\.txt": changed since'):
        run.rollback(undo="clean")
    report = run.rollback(undo="model")
    assert "mine.txt" in report.unowned
    assert (Path("mine.txt").read_text(), Path("notes.txt").read_text()) == ("mine", "by hand")


def test_a_run_steps_back_until_a_check_passes(repository):
    """Each level is tried apart from the user's files; the first good one is gone back to, and the rest runs again."""
    run = flow().start(wait=False)
    run.wait()

    def good(folder):
        return (folder / "notes.txt").read_text() == "by hand"

    levels, report = run.rollback_step_by_step(check=good)
    assert [level.passed for level in levels] == [True]
    assert report.commands == ("model", "publish")
    assert Path("notes.txt").read_text() == "by hand"
    looked = []
    levels, report = run.rollback_step_by_step(decide=lambda level: looked.append(level.target.name) or "stop")
    assert (len(looked), report) == (1, None)


def test_stepping_back_goes_on_after_a_look_that_came_to_nothing(repository):
    """What was kept for a look, or for a rollback that was refused, is a moment of the run like any other."""
    run = flow().start(wait=False)
    run.wait()
    seen = []
    run.rollback_step_by_step(decide=lambda level: seen.append(str(level)) or "next")
    assert "1. back to command_completion_clean" in seen[0]
    assert "runs again: model, publish" in seen[0]
    assert "removed: model.txt" in seen[0]
    assert len(seen) == 2
    run.rollback(to="clean")
    run.rollback_step_by_step(decide=lambda level: "stop")
    run.resume()
    run.wait()
    levels, report = run.rollback_step_by_step(check=lambda folder: not (folder / "model.txt").exists())
    assert levels[0].target.kind in ("safety", "recovery")
    assert report.commands == ("model", "publish")
    assert run.rollback(undo="rollback").ended == "completed"
    safety = [each for each in run.checkpoints() if each.label == "step by step"]
    assert run.rollback(to=safety[0].id).ended == "completed"


def test_the_command_line_steps_back_until_a_program_passes(repository, capsys):
    """Each step is told; where none passes nothing is changed and the exit code says so."""
    run = flow().start(wait=False)
    run.wait()

    def back(check, *more):
        return typed(capsys, "rollback", run.id, "--check", check, *more)

    nowhere = back("test -e nowhere.txt")
    assert nowhere.returncode == 1
    assert "passes at none of 2 steps back; nothing was changed" in nowhere.stderr
    assert Path("model.txt").exists()
    assert (back("no-such-program").returncode, back("true", "--to", "clean").returncode) == (2, 2)
    done = back("test ! -e clean.txt")
    assert done.returncode == 0, done.stderr
    assert "1. back to command_completion_clean" in done.stdout
    assert "): does not pass" in done.stdout
    assert "2. back to workflow_start_sales" in done.stdout
    assert not Path("clean.txt").exists()


def test_the_checkpoint_of_a_gated_command_has_the_verdicts(repository):
    """It is taken after its gates have passed, and says so in the words that people look for."""
    commands = {"clean": {**COMMANDS["clean"], "gates": ["rows == 3"]}}
    run = flow(commands).start(wait=False)
    run.wait()
    kinds = [type(event).__name__ for event in run.watch()]
    assert kinds.index("GateChecked") < kinds.index("CheckpointTaken", 4) < kinds.index("CommandSucceeded")
    [verdict] = run.checkpoints()["clean"].more["gates"].values()
    assert verdict == "passed"
    place = find_place(repository, runs=run.folder.parent)
    told = subprocess.run(
        ["git", "-C", place.folder, "cat-file", "commit", run.checkpoints()["clean"].commit], capture_output=True
    )
    assert b"WORKFLOW-QUALITY:" in told.stdout


def test_a_gate_that_was_passed_has_a_checkpoint_of_its_own(repository):
    """It comes after that of its command and before the end of the run, has the known name and form, and its evidence."""
    commands = {
        **COMMANDS,
        "model": {**COMMANDS["model"], "gates": ["rmse < 3.5", {"expression": "rmse < 1", "blocking": False}]},
    }
    run = flow(commands, quality_requirements=["clean.rows == 3"]).start(wait=False)
    run.wait()
    assert [(each.boundary, each.command, each.gate) for each in run.state.checkpoints][2:] == [
        ("command", "model", ""), ("gate", "model", "rmse < 3.5"), ("gate", None, "clean.rows == 3"),
        ("completion", None, ""),
    ]  # fmt: skip
    listed = run.checkpoints()
    passed = listed["quality_validation_rmse < 3.5"]
    assert passed.more["evidence"] == {
        "verdict": "passed", "value": 1.5, "expected": "rmse < 3.5", "command": "model", "attempt": 1,
    }  # fmt: skip
    messages = [event.message for event in run.state.checkpoints if event.gate]
    assert messages[0] == "WORKFLOW-QUALITY: rmse < 3.5 passed in sales with evidence"
    assert listed.diff("model", passed.id) == ()
    assert replay(read(run.folder / "journal.jsonl"), policies=POLICIES).same
    report = run.rollback(to="quality_validation_rmse < 3.5")
    assert (report.commands, report.removed) == (("publish",), ())
    assert run.rollback(undo="model").removed == ("model.txt",)


@pytest.mark.parametrize(
    ("at", "taken"),
    [
        (["command"], ["start", "command", "command"]),
        (["gate"], ["start", "command", "gate"]),
        (["gate", "completion"], ["start", "command", "gate", "completion"]),
        (["start", "completion"], ["start", "completion"]),
    ],
    ids=" ".join,
)
def test_the_policy_says_at_which_boundaries_files_are_kept(repository, at, taken):
    """Only those named; a gate's needs that of its command, and each needs the beginning."""
    commands = {"clean": COMMANDS["clean"], "model": {**COMMANDS["model"], "gates": ["rmse < 3.5"]}}
    run = flow(commands, checkpoints={"at": at}).start(wait=False)
    run.wait()
    assert [each.boundary for each in run.state.checkpoints] == taken


def test_a_gate_without_a_checkpoint_of_its_command_has_none(repository):
    """A command that declares no file and shares nothing takes none, whatever its gates say."""
    commands = {
        "clean": COMMANDS["clean"],
        "publish": {"call": "steps:publish", "parameters": {"model": 1}, "gates": ["result == 'done'"]},
    }
    run = flow(commands).start(wait=False)
    run.wait()
    assert boundaries(run) == ["start", "clean", "completion"]


def test_a_deleted_run_takes_its_checkpoints_with_it(repository):
    """Pruning a run forgets what was kept for it, and nothing of other runs."""
    first, second = flow().start(wait=False), None
    first.wait()
    second = flow().start(wait=False)
    second.wait()
    assert delete_runs(second.folder.parent, doomed_runs(second.folder.parent, keep=1)) == {}
    place = find_place(repository, runs=second.folder.parent)
    left = {each.run for each in CheckpointStore(place).checkpoints()}
    assert left == {second.id}


def test_the_verbs_list_show_compare_and_go_back(repository, capsys):
    """The command line has the same as Python, as text and as JSON, and refuses with the exit code of a refusal."""
    run = flow().start(wait=False)
    run.wait()

    def verb(*arguments):
        return typed(capsys, *arguments)

    assert "command_completion_model" in verb("checkpoints").stdout
    told = json.loads(verb("checkpoints", "--json").stdout)
    assert [each["boundary"] for each in told["checkpoints"]] == ["start", "command", "command", "completion"]
    assert "changed  notes.txt" in verb("checkpoints", "--show", "model").stdout
    assert verb("checkpoints", "--diff", "start", "model", "--path", "notes.txt").stdout.endswith("+by the model\n")
    told = verb("checkpoints", "--diff", "clean", "model", "--path", "model.txt")
    assert (told.returncode, 'no file "model.txt"' in told.stderr) == (2, True)
    assert verb("checkpoints", "--diff", "start", "completion").stdout == verb("checkpoints", "--diff", "1", "4").stdout
    told = verb("checkpoints", "--show", "complexion")
    assert (told.returncode, "the nearest: completion" in told.stderr) == (2, True)
    assert verb("checkpoints", "--export", "clean", "--branch", "rescue").stdout == "exported to refs/heads/rescue\n"
    assert git("show", "rescue:clean.txt") == "clean"
    assert verb("checkpoints", "--export", "model", "--folder", "elsewhere").returncode == 0
    assert Path("elsewhere/notes.txt").read_text() == "by the model"
    told = verb("checkpoints", "--export", "model", "--folder", "elsewhere")
    assert (told.returncode, "is not empty" in told.stderr) == (1, True)
    assert verb("checkpoints", "--branch", "rescue").returncode == 2
    assert json.loads(verb("rollback", run.id, "--to", "clean", "--dry-run", "--json").stdout)["done"] is False
    Path("model.txt").write_text("edited")
    refused = verb("rollback", run.id, "--to", "clean")
    assert (refused.returncode, "changed since" in refused.stderr) == (6, True)
    done = verb("rollback", run.id, "--undo", "model", "--keep-both")
    assert done.returncode == 0, done.stderr
    assert "runs again: model" in done.stdout
    assert done.stdout.endswith(f"go on with: orchestrator-nb resume {run.id}\n")
    assert "rollback-1: without model" in verb("checkpoints").stdout
    undone = verb("rollback", "--undo", "rollback")
    assert "the run is completed again" in undone.stdout
    assert "go on with" not in undone.stdout
    assert Path("model.txt").read_text() == "edited"


def test_the_control_interface_goes_back_by_the_names_of_checkpoints(repository):
    """A workflow is rolled back to a checkpoint by the name that its boundary gives it."""

    async def story():
        orchestrator = WorkflowOrchestrator({"workflow": "sales", "commands": COMMANDS})
        await orchestrator.execute()
        return await orchestrator.rollback_workflow("sales", "command_completion_clean")

    report = asyncio.run(story())
    assert (report.commands, report.restored) == (("model", "publish"), ("notes.txt",))
