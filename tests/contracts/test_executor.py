"""What every `Executor` promises, wherever the work happens: on a thread, in a child process, in a program."""

from __future__ import annotations

import sys
import threading
import time
import uuid
from pathlib import Path

import pytest

from orchestrator_nb.commands.callable import CallableCommand
from orchestrator_nb.commands.processes import end_leftovers
from orchestrator_nb.commands.shell import ShellCommand
from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.data.live import LiveResults
from orchestrator_nb.data.stored import load
from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.events import AttemptAbandoned, AttemptFailed, AttemptReturned
from orchestrator_nb.executors.local import LocalExecutor
from orchestrator_nb.ports import Work

ANSWERS = (AttemptReturned, AttemptFailed, AttemptAbandoned)


def says(text):
    print(text)


def fails(text):
    print(text)
    raise OSError(text)


def stays(text):
    from orchestrator_nb import context

    Path(text).write_text("on\n")
    while True:
        context.progress(0.5)
        time.sleep(0.01)


PROGRAMS = {
    "says": "import sys; print(sys.argv[1])",
    "fails": "import sys; print(sys.argv[1]); sys.exit(1)",
    "stays": "import sys, time; open(sys.argv[1], 'w').write('on\\n'); time.sleep(600)",
}
FUNCTIONS = {"says": says, "fails": fails, "stays": stays}


class Executor:
    """An executor under test, the place where its work happens, and what it has reported."""

    def __init__(self, place, folder):
        self.place = place
        self.folder = folder
        self.run = uuid.uuid4().hex
        self.events = []
        self.functions = {}
        self._changed = threading.Condition()
        self.it = LocalExecutor(
            commands={"call": CallableCommand(self.functions), "shell": ShellCommand()},
            run_folder=folder / "run", live=LiveResults(),
        )  # fmt: skip
        self.it.start(self._report)

    def _report(self, event):
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def submit(self, behaviour, text="hello", *, command="step", attempt=1, timeout=None):
        """Submit a command of that behaviour."""
        if self.place == "shell":
            fields = {"shell": ["python", "-c", PROGRAMS[behaviour], text]}
        else:
            self.functions[command] = FUNCTIONS[behaviour]
            fields = {"call": f"session:{behaviour}", "parameters": {"text": text}, "isolation": self.place}
        work = Work(
            run=self.run, workflow="flow", command=command, attempt=attempt, generation=1, timeout=timeout,
            definition=CommandDefinition(id=command, **fields), folder=self.folder, run_folder=self.folder / "run",
        )  # fmt: skip
        self.it.submit(work)

    def answers(self, count=1, seconds=30.0):
        """Return the answers when there are so many."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while len(found := [event for event in self.events if isinstance(event, ANSWERS)]) < count:
                assert self._changed.wait(max(0.0, deadline - time.monotonic())), f"only {self.events}"
            return found

    def until_it_stays(self, path):
        """Wait until the command that stays has begun."""
        deadline = time.monotonic() + 30
        while not (path.exists() and path.read_text()):
            assert time.monotonic() < deadline, self.events
            time.sleep(0.01)


@pytest.fixture(params=["thread", "process", "shell"])
def executor(request, tmp_path):
    made = Executor(request.param, tmp_path)
    yield made
    made.it.close()
    end_leftovers(made.folder / "run")


def test_success_is_answered_once_and_last(executor):
    """Work that succeeds is answered with one AttemptReturned, which is its last event."""
    executor.submit("says")
    [answer] = executor.answers()
    assert isinstance(answer, AttemptReturned)
    assert (answer.command, answer.attempt) == ("step", 1)
    assert answer.seconds >= 0
    assert (executor.folder / "run" / answer.log).read_text() == "hello\n"
    assert executor.events[-1] is answer


def test_results_are_there_when_they_are_told(executor):
    """What an answer names can be read at once, by anyone."""
    executor.submit("says")
    [answer] = executor.answers()
    value = load(answer.result, artifacts=Artifacts(executor.folder / "run" / "artifacts"), live=None)
    assert value == ({"exit_code": 0, "stdout": "hello"} if executor.place == "shell" else None)


def test_failure_is_answered_with_its_reason(executor):
    """Work that fails is answered with one AttemptFailed that says what is known."""
    executor.submit("fails")
    [answer] = executor.answers()
    assert isinstance(answer, AttemptFailed)
    assert "hello" in answer.failure.message
    assert answer.failure.kind == ("exit_code" if executor.place == "shell" else "exception")
    assert not answer.crashed
    assert (executor.folder / "run" / answer.log).read_text() == "hello\n"


def test_the_same_attempt_is_not_taken_twice(executor):
    """Submitting an attempt that is there, or was, does nothing; the next attempt of the command runs."""
    executor.submit("says")
    executor.submit("says")
    executor.answers()
    executor.submit("says")
    executor.submit("says", attempt=2)
    assert [answer.attempt for answer in executor.answers(2)] == [1, 2]


def test_submitting_and_ending_return_at_once(executor):
    """Neither call waits for the work."""
    path = executor.folder / "on"
    begun = time.monotonic()
    executor.submit("stays", str(path))
    assert time.monotonic() - begun < 0.5
    executor.until_it_stays(path)
    begun = time.monotonic()
    executor.it.end("step", 1, "cancelled", 10.0)
    assert time.monotonic() - begun < 0.5
    executor.answers()


def test_what_is_ended_is_answered_with_the_reason(executor):
    """An attempt that is asked to end is answered with an AttemptFailed of that kind."""
    path = executor.folder / "on"
    executor.submit("stays", str(path))
    executor.until_it_stays(path)
    executor.it.end("step", 1, "cancelled", 10.0)
    [answer] = executor.answers()
    assert isinstance(answer, AttemptFailed)
    assert answer.failure.kind == "cancelled"
    assert not answer.crashed


def test_the_end_may_be_asked_for_before_the_work_has_begun(executor):
    """An attempt that is ended right after it was submitted is answered like any other."""
    executor.submit("stays", str(executor.folder / "on"))
    executor.it.end("step", 1, "cancelled", 10.0)
    [answer] = executor.answers()
    assert answer.failure.kind == "cancelled"


def test_ending_what_is_not_there_does_nothing(executor):
    """An attempt that is unknown, or answered, is not ended and not answered again."""
    executor.it.end("nobody", 1, "cancelled", 0.0)
    executor.submit("says")
    executor.answers()
    executor.it.end("step", 1, "cancelled", 0.0)
    executor.submit("says", attempt=2)
    assert len(executor.answers(2)) == 2
    assert len(executor.events) == 2


def test_a_timeout_ends_what_can_be_ended(executor):
    """What runs in a process is ended at its timeout and answered as such; a thread goes on."""
    path = executor.folder / "on"
    executor.submit("stays", str(path), timeout=0.5)
    if executor.place == "thread":
        executor.until_it_stays(path)
        time.sleep(0.6)  # the time that is not to be kept has to pass
        assert not executor.events
        executor.it.end("step", 1, "timeout", 10.0)
    [answer] = executor.answers()
    assert answer.failure.kind == "timeout"
    assert 0.5 <= answer.seconds < 0.5 + 20.0


def test_attempts_run_side_by_side(executor):
    """Several attempts are under way at a time, each answered once."""
    paths = [executor.folder / f"on{number}" for number in range(3)]
    for number, path in enumerate(paths):
        executor.submit("stays", str(path), command=f"c{number}")
    for path in paths:
        executor.until_it_stays(path)
    for number in range(3):
        executor.it.end(f"c{number}", 1, "cancelled", 10.0)
    assert sorted(answer.command for answer in executor.answers(3)) == ["c0", "c1", "c2"]


def test_nothing_is_reported_after_closing(executor):
    """Closing lets go of what runs, returns soon, and ends the reports; closing again does nothing."""
    path = executor.folder / "on"
    executor.submit("stays", str(path))
    executor.until_it_stays(path)
    begun = time.monotonic()
    executor.it.close()
    assert time.monotonic() - begun < 12
    executor.it.close()
    executor.submit("says", command="late")
    assert executor.events == []
    if executor.place != "thread":
        assert end_leftovers(executor.folder / "run") == []
    assert sys.stdout is not None
