"""kill -9 while a retry is waited for, while a decision is open, and between a decision and its effect."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator_nb import attach
from orchestrator_nb import events as e
from orchestrator_nb.errors import OrchestratorError
from orchestrator_nb.journal.file import read
from orchestrator_nb.orchestrator.attaching import resume_run
from orchestrator_nb.orchestrator.run import Run

FLOW = """\
workflow: waiting
recovery: {escalation: {guided: 1h}}
commands:
  before: {call: 'steps:before'}
  passing: {call: 'steps:passing', after: [before], retries: 1, retry_delay: 3.0}
  broken: {call: 'steps:broken', after: [before], retries: 0, parameters: {size: 9}}
  after: {call: 'steps:after', after: [passing, broken]}
"""

STEPS = """\
from pathlib import Path

from orchestrator_nb import context


def ledger():
    with open("ledger", "a") as file:
        file.write(f"{context.command} {context.attempt}\\n")


def before():
    ledger()
    return 1


def passing():
    ledger()
    if context.attempt == 1:
        raise ConnectionError("not yet")


def broken(size):
    ledger()
    if size > 5:
        raise ValueError("too much")
    return size


def after(broken):
    ledger()
    return broken
"""

OWNER = "from orchestrator_nb import Workflow; Workflow.load('flow.yaml').start(wait=False, decide='wait').wait(check=False)"

KILLED = """\
import os, signal
from orchestrator_nb import attach
from orchestrator_nb import events as e
from orchestrator_nb.{module} import {owner}

real = {owner}.{name}


def dying(self, facts):
    about = any(isinstance(fact, e.{fact}) for fact in facts)
    if about and {when!r} == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    result = real(self, facts)
    if about:
        os.kill(os.getpid(), signal.SIGKILL)
    return result


{owner}.{name} = dying
{code}
"""
"""A process that dies right before or after the turn with such a fact is written, before it takes effect."""

DECIDING = "attach('latest').decide(1, 'retry', parameters={'size': 2})"
LIVING = """
import time
from orchestrator_nb import Workflow
run = Workflow.load('flow.yaml').start(wait=False, decide='wait')
for event in run.watch():
    if isinstance(event, e.DecisionRequested):
        break
while run.state.commands['passing'].state != 'succeeded':  # what is under way at the death runs again
    time.sleep(0.01)
run.decide(1, 'retry', parameters={'size': 2})
run.wait()
"""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


@pytest.fixture
def flow(project: Path) -> Path:
    """The folder of a workflow with a command that is tried again and one that people are asked about."""
    (project / "steps.py").write_text(STEPS)
    (project / "flow.yaml").write_text(FLOW)
    return project


@pytest.fixture
def start(flow: Path) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Start a process with this code; it is gone at the end of the test."""
    begun: list[subprocess.Popen[bytes]] = []

    def begin(code: str) -> subprocess.Popen[bytes]:
        path = os.pathsep.join(place for place in sys.path if place)
        begun.append(subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}))
        return begun[-1]

    yield begin
    for process in begun:
        process.kill()
        process.wait()


def facts(run: Run, kind: type[e.Event]) -> list[e.Event]:
    return [event for event in read(run.folder / "journal.jsonl") if isinstance(event, kind)]


def recorded(process: subprocess.Popen[bytes], *kinds: type[e.Event]) -> Run:
    """Return the run of the process as soon as its journal has facts of all these kinds."""
    end = time.monotonic() + 40
    while True:
        try:
            run = attach("latest")
            if all(facts(run, kind) for kind in kinds):
                return run
        except (OrchestratorError, FileNotFoundError):
            pass
        assert process.poll() is None, "it ended too early"
        assert time.monotonic() < end, "it was not recorded in time"
        time.sleep(0.02)


def ledger() -> list[str]:
    return sorted(Path("ledger").read_text().split("\n")[:-1])


EVERYTHING = ["after 1", "before 1", "broken 1", "broken 2", "passing 1", "passing 2"]
"""What has run, each attempt once, when a run has gone its way."""


def test_what_was_waited_for_is_waited_for_again(start: Callable[[str], subprocess.Popen[bytes]]) -> None:
    """The owner dies while a retry is due and a decision is open: both are as they were, and nothing runs twice."""
    process = start(OWNER)
    run = recorded(process, e.RetryScheduled, e.DecisionRequested)
    process.send_signal(signal.SIGKILL)
    process.wait()
    record = run.state.commands["passing"]
    assert (record.state, record.retry) == ("waiting", 1)
    assert [decision.number for decision in run.decisions() if decision.is_open] == [1]
    run.decide(1, "retry", parameters={"size": 2})
    result = resume_run(run.id, wait=False, decide="park").wait(60, check=False)
    assert (result.state, result.outputs["after"]) == ("completed", 2)
    assert ledger() == EVERYTHING
    assert len(facts(run, e.DecisionRequested)) == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_decision_without_an_owner_is_whole_or_not_there(
    start: Callable[[str], subprocess.Popen[bytes]], when: str
) -> None:
    """Whoever decides dies right before or after the write: there is nothing of it, or the decision with its effect."""
    process = start(OWNER)
    run = recorded(process, e.RetryScheduled, e.DecisionRequested)
    process.send_signal(signal.SIGKILL)
    process.wait()
    code = KILLED.format(
        module="journal.file", owner="JournalFile", name="append", fact="DecisionMade", when=when, code=DECIDING
    )
    assert start(code).wait(40) == -signal.SIGKILL
    made = facts(run, e.DecisionMade)
    assert len(made) == (when == "after")
    if not made:
        run.decide(1, "retry", parameters={"size": 2})
    result = resume_run(run.id, wait=False, decide="park").wait(60, check=False)
    assert (result.state, result.outputs["after"]) == ("completed", 2)
    assert ledger() == EVERYTHING


def test_a_decision_that_was_recorded_takes_effect_though_its_owner_died(
    start: Callable[[str], subprocess.Popen[bytes]],
) -> None:
    """The owner dies between the write and whatever would have followed: the next one goes on from the decision."""
    code = KILLED.format(
        module="journal.file", owner="JournalFile", name="append", fact="DecisionMade", when="after", code=LIVING
    )
    assert start(code).wait(60) == -signal.SIGKILL
    run = attach("latest")
    assert len(facts(run, e.DecisionMade)) == 1
    assert run.state.commands["broken"].state == "waiting"
    result = resume_run(run.id, wait=False, decide="park").wait(60, check=False)
    assert (result.state, result.outputs["after"]) == ("completed", 2)
    assert ledger() == EVERYTHING


def test_a_retry_that_was_put_off_is_looked_at_again(
    start: Callable[[str], subprocess.Popen[bytes]], flow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner dies while a retry is put off for a host that is away: the next owner looks once more, and the command
    runs when the host is back."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    steps = f"""
def fetch():
    ledger()
    if context.attempt == 1:
        raise ConnectionError("http://127.0.0.1:{port}/ is away")
    return "there"
"""
    (flow / "steps.py").write_text(STEPS + steps)
    (flow / "flow.yaml").write_text(
        "workflow: waiting\ncommands:\n  fetch: {call: 'steps:fetch', retries: 1, retry_delay: 0.01}\n"
    )
    process = start(OWNER)
    run = recorded(process, e.ResourcesProbed)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert run.state.commands["fetch"].state == "waiting"
    with socket.create_server(("127.0.0.1", port)):
        result = resume_run(run.id, wait=False, decide="park").wait(60, check=False)
    assert (result.state, result.outputs["fetch"]) == ("completed", "there")
    assert ledger() == ["fetch 1", "fetch 2"]
    looks = facts(run, e.ResourcesProbed)
    assert isinstance(looks[-1], e.ResourcesProbed)
    assert list(looks[-1].hosts.values()) == [""]


def test_a_look_that_was_due_and_never_came_is_taken_again(
    start: Callable[[str], subprocess.Popen[bytes]], flow: Path
) -> None:
    """The owner dies right after it has recorded that the look before a retry is due: the next one, on another host,
    looks, tells that it is another, and the retry is made once."""
    (flow / "flow.yaml").write_text(
        "workflow: waiting\ncommands:\n  passing: {call: 'steps:passing', retries: 1, retry_delay: 0.01}\n"
    )
    named = "os.uname_result((os.uname()[0], 'elsewhere', *os.uname()[2:]))"
    elsewhere = f"import os; there = {named}; os.uname = lambda: there\n{OWNER}"
    code = KILLED.format(
        module="journal.file", owner="JournalFile", name="append", fact="ProbeDue", when="after", code=elsewhere
    )
    assert start(code).wait(60) == -signal.SIGKILL
    run = attach("latest")
    assert (len(facts(run, e.ProbeDue)), facts(run, e.ResourcesProbed), facts(run, e.RetryDue)) == (1, [], [])
    assert run.state.commands["passing"].state == "waiting"
    result = resume_run(run.id, wait=False, decide="park").wait(60, check=False)
    assert (result.state, ledger()) == ("completed", ["passing 1", "passing 2"])
    assert len(facts(run, e.ProbeDue)) == 2
    (look,) = facts(run, e.ResourcesProbed)
    assert isinstance(look, e.ResourcesProbed)
    assert f'the host changed since: "elsewhere" then, "{socket.gethostname()}" now' in look.changed
    assert len(facts(run, e.RetryDue)) == 1
