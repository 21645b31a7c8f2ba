"""Control from another process: through the inbox, durably, and with a plain answer where nobody is there."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from orchestrator_nb import Workflow, attach, context
from orchestrator_nb import events as e
from orchestrator_nb.errors import RunNotRunning, RunRefused, RunUnanswered, UsageError
from orchestrator_nb.journal.file import Position, read, scan
from orchestrator_nb.journal.inbox import FOLDER
from orchestrator_nb.orchestrator.control.asking import ask_owner

posix = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


def facts(run, kind):
    return [event for event in read(run.folder / "journal.jsonl") if isinstance(event, kind)]


def test_pause_resume_and_stop_from_another_process(owner, until):
    """Each returns when it is recorded with who asked; pause lets what runs come to its end and starts nothing."""
    process, run = owner()
    run.pause("look at it")
    assert run.state.run.state == "paused"
    paused = facts(run, e.RunPaused)[0]
    assert (paused.reason, paused.by["pid"], len(paused.request)) == ("look at it", os.getpid(), 32)
    Path("go").touch()
    until(lambda: run.state.commands["slow"].state == "succeeded")
    assert run.state.commands["last"].state == "pending"
    assert run.is_running
    run.resume()
    assert run.wait(30).outputs["last"] == 3
    assert list((run.folder / FOLDER).iterdir()) == []
    process.wait(30)


def test_stop_from_another_process_ends_the_run(owner):
    """The run is stopped with the reason, and its owner is gone."""
    process, run = owner()
    run.stop("enough", grace=0.1)
    result = run.wait(30, check=False)
    assert (result.state, result.reason, result.exit_code) == ("stopped", "enough", 5)
    assert facts(run, e.RunStopping)[0].by["pid"] == os.getpid()
    process.wait(30)


def test_interrupt_from_another_process_leaves_a_run_to_be_resumed_here(owner):
    """The owner leaves; `resume` of the attached run takes it up in this process."""
    process, run = owner()
    run.interrupt("move it", grace=0.1)
    process.wait(30)
    assert (run.state.run.state, run.is_running) == ("paused", False)
    Path("go").touch()
    run.resume()
    assert run.wait(30).outputs["last"] == 3
    assert len(facts(run, e.AttemptStarted)) == 4


def test_nobody_there_is_answered_by_name(flow):
    """Pause and stop of a run that nobody drives say so, and leave nothing behind."""
    Path("go").touch()
    Workflow.load("flow.yaml").run()
    run = attach("latest")
    for ask in (run.pause, lambda: run.stop("why"), lambda: run.interrupt("why")):
        with pytest.raises(RunNotRunning, match="is not running: it is completed"):
            ask()
    assert not (run.folder / FOLDER).exists()


def test_a_finished_run_of_this_process_is_not_running():
    """The same answer from the process that owned it; an interrupt that comes too late is nothing."""
    flow = Workflow("w")
    flow.command(lambda: 1, id="a")
    run = flow.start()
    run.interrupt("too late")
    with pytest.raises(RunNotRunning):
        run.pause()
    with pytest.raises(RunNotRunning):
        run.stop("too late")


@posix
def test_a_frozen_owner_is_told_of_and_the_request_never_takes_effect(owner, until):
    """A sender gives up in time, withdraws, and the owner goes on as if nothing had been asked when it wakes."""
    process, run = owner()
    process.send_signal(signal.SIGSTOP)
    with pytest.raises(RunUnanswered, match=r"suspended.*withdrawn.*--take-over"):
        ask_owner(run.folder, "stop", {"reason": "now"}, since=_end(run), wait=0.5)
    process.send_signal(signal.SIGCONT)
    Path("go").touch()
    assert run.wait(30).state == "completed"
    assert facts(run, e.RunStopping) == []


def _end(run):
    *_, (_, position) = scan(run.folder / "journal.jsonl")
    return position


def test_a_second_stop_with_less_grace_ends_what_does_not_end(project):
    """Asked again, the new grace counts."""
    flow = Workflow("w")
    flow.shell(["sh", "-c", "trap '' INT TERM; echo on; while true; do sleep 0.1; done"], id="deaf")
    run = flow.start(wait=False)
    log = run.folder / "logs" / "deaf.1.log"
    end = time.monotonic() + 20
    while not log.exists() and time.monotonic() < end:
        time.sleep(0.01)
    run.stop("please", grace=60.0)
    begun = time.monotonic()
    run.stop("now", grace=0.0)
    assert run.wait(30, check=False).state == "stopped"
    assert time.monotonic() - begun < 15


def test_what_is_no_request_is_ignored_and_said(owner, until):
    """Torn, oversized, foreign, unknown, duplicate and late files get a notice; the run goes on."""
    process, run = owner()
    inbox = run.folder / FOLDER
    inbox.mkdir(exist_ok=True)
    good = {
        "format": 1, "run": run.id, "kind": "tell", "arguments": {"text": "hello"}, "by": {}, "until": time.time() + 60,
    }  # fmt: skip

    def put(name, content):
        part = inbox / f".{name}.part"
        part.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        part.rename(inbox / name)

    def request(number):
        return f"{number:032x}"

    wrong = {
        "torn, or not written": b'{"format": 1, "ru',
        "expected at most 65,536": b" " * 70_000,
        "there is no request 'dance'": {**good, "kind": "dance"},
        "has to be seconds": {**good, "kind": "stop", "arguments": {"reason": "x", "grace": "long"}},
        "of another id or to another run": {**good, "run": "other"},
        "its format is 7": {**good, "format": 7},
        "stopped waiting": {**good, "until": time.time() - 1},
        "of the wrong type": {**good, "arguments": []},
    }
    for number, content in enumerate(wrong.values(), start=1):
        document = {"request": request(number), **content} if isinstance(content, dict) else content
        put(f"{request(number)}.json", document)
    put("nonsense", b"{}")
    (inbox / f"{request(99)}.json").mkdir()
    put(f"{request(50)}.json", {"request": request(50), **good})

    def said(text):
        return any(text in notice.text for notice in run.state.notices)

    until(lambda: said("hello"))
    put(f"{request(50)}.json", {"request": request(50), **good})
    for text in (*wrong, "its name is not that of a request", "not a regular file", "taken before"):
        until(lambda text=text: said(text), 10)
    assert sum(notice.text == "hello" for notice in run.state.notices) == 1
    assert run.state.run.state == "executing"
    Path("go").touch()
    assert run.wait(30).state == "completed"
    process.wait(30)


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="needs the right to give files away")
def test_a_request_of_another_user_is_ignored(owner, until):
    """Whoever it pretends to be: the file's owner counts."""
    _, run = owner()
    inbox = run.folder / FOLDER
    inbox.mkdir(exist_ok=True)
    part = inbox / ".part"
    part.write_text("{}")
    os.chown(part, 65534, 65534)
    part.rename(inbox / f"{'a' * 32}.json")
    until(lambda: any("belongs to user 65534" in notice.text for notice in run.state.notices))
    assert run.state.run.state == "executing"


def test_a_request_that_means_nothing_now_is_answered(owner):
    """To resume what is not paused changes nothing, and whoever asked does not wait in vain."""
    _, run = owner()
    run.resume()
    assert "asked to resume, and there is nothing to do: the run is executing" in run.state.notices[-1].text


def test_watch_yields_every_fact_and_ends_with_the_run(owner):
    """A watcher in another process sees what the journal says, in order, the past included."""
    _, run = owner()
    seen = []
    for event in run.watch():
        seen.append(event)
        if isinstance(event, e.AttemptStarted) and event.command == "slow":
            Path("go").touch()
    assert seen == list(read(run.folder / "journal.jsonl"))
    assert isinstance(seen[-1], e.RunEnded)


def test_live_shows_progress_and_the_last_lines_to_other_processes(owner, until):
    """A watcher sees how far a command is; the file is gone with the owner, and status has it as a note."""
    process, run = owner()
    live = until(lambda: "fraction" in run.live().get("slow", {}) and run.live())
    assert live["slow"] == {"attempt": 1, "fraction": 0.25, "text": "a quarter", "lines": ["looking for a file"]}
    assert run.status().rows[1]["note"] == "25% a quarter"
    Path("go").touch()
    run.wait(30)
    process.wait(30)
    assert run.live() == {}
    assert not (run.folder / "live.json").exists()


def test_live_of_a_run_of_this_process(flow, until):
    """No file is needed where the owner is asked."""
    run = Workflow.load("flow.yaml").start(wait=False)
    assert until(lambda: run.live().get("slow", {}).get("text")) == "a quarter"
    Path("go").touch()
    run.wait(30)
    assert run.live() == {}


def test_why_tells_the_facts_and_the_cause(project):
    """Attempts, failures, retries of the command, and who is to blame upstream."""
    flow = Workflow("w")

    @flow.command(retries=1, retry_delay=0.01)
    def load():
        raise ConnectionError("no route")

    flow.command(lambda load: load, id="clean")
    flow.command(lambda clean: clean, id="model")
    run = flow.start(check=False)
    told = str(run.why("load"))
    for text in ("attempt 1 failed", "ConnectionError: no route", "retry 1 of 1 was set", "attempt 2", "given up"):
        assert text in told
    told = str(run.why("model"))
    assert '"model" is upstream failed' in told
    assert "cannot run, because clean did not succeed" in told
    assert "cause: load is failed: no route" in told
    with pytest.raises(UsageError, match='no command "modle"; it has load, clean, model'):
        run.why("modle")


def test_metrics_are_read_from_the_journal(project):
    """Times, waits, attempts and what commands measured."""
    flow = Workflow("w", slots=1)

    @flow.command
    def a():
        context.metric("rows", 3)
        time.sleep(0.05)

    flow.command(lambda: time.sleep(0.05), id="b")
    found = flow.start().metrics()
    assert found["state"] == "completed"
    assert found["attempts"] == 2
    assert found["commands"]["a"]["metrics"] == {"rows": 3.0}
    assert found["commands"]["b"]["wait"] >= 0.04
    assert found["busy"] == pytest.approx(sum(item["seconds"] for item in found["commands"].values()), abs=1e-5)
    assert found["seconds"] >= 0.09


def test_an_observer_may_pause_its_run(project):
    """Asked in the middle of a turn it does not wait for itself."""
    flow = Workflow("w")
    flow.command(lambda: 1, id="a")
    flow.command(lambda a: a, id="b")
    begun = threading.Event()
    runs = []

    def observer(events, state):
        if any(isinstance(event, e.AttemptStarted) and event.command == "a" for event in events):
            begun.wait(10)
            runs[0].pause("seen enough")

    runs.append(flow.start(wait=False, observers=(observer,)))
    begun.set()
    end = time.monotonic() + 20
    while runs[0].state.run.state != "paused" and time.monotonic() < end:
        time.sleep(0.01)
    assert runs[0].state.run.state == "paused"
    runs[0].resume()
    assert runs[0].wait(20).outputs["b"] == 1


@posix
def test_take_over_ends_a_frozen_owner_and_goes_on(owner):
    """Others are refused with its pid; take-over kills it, and what it was doing runs again here, and only here."""
    process, run = owner()
    process.send_signal(signal.SIGSTOP)
    with pytest.raises(RunRefused, match=f"owned by process {process.pid} on .*, which is suspended.*--take-over"):
        Workflow.load("flow.yaml").resume()
    Path("go").touch()
    run.resume(take_over=True)
    assert run.wait(30).outputs["last"] == 3
    process.communicate(timeout=10)
    assert process.returncode == -signal.SIGKILL
    interrupted = facts(run, e.AttemptInterrupted)
    assert [(event.command, event.lost) for event in interrupted] == [("slow", True)]


@posix
def test_a_command_in_flight_in_three_deaths_is_quarantined(owner):
    """It is not started a fourth time: given up as crashed with the reason; a further resume tries it again."""
    process, run = owner()
    for _ in range(2):
        process.kill()
        process.wait(30)
        process, run = owner(code=RESUME, options="wait=False")
    process.kill()
    process.wait(30)
    run.resume()
    result = run.wait(30, check=False)
    assert result.state == "failed"
    assert result.commands["slow"].state == "crashed"
    assert "quarantined: it was under way in 3 deaths" in result.commands["slow"].reason
    assert len([event for event in facts(run, e.AttemptStarted) if event.command == "slow"]) == 3
    Path("go").touch()
    run.resume()
    assert run.wait(30).outputs["last"] == 3


RESUME = "from orchestrator_nb.orchestrator.attaching import resume_run; resume_run({}).wait(check=False)"


def test_position_of_a_request_is_taken_before_it_is_put(owner):
    """A sender that reads from the very beginning finds its own answer, and no other's."""
    _, run = owner()
    run.pause("one")
    answer = ask_owner(run.folder, "resume", {"reason": "two"}, since=Position())
    assert isinstance(answer.event, e.RunResumed)
    assert answer.event.reason == "two"
