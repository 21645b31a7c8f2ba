from __future__ import annotations

import asyncio
import contextvars
import os
import threading
import time
from pathlib import Path

import pytest

from orchestrator_nb import context
from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.errors import Cancelled, CommandError
from orchestrator_nb.events import (
    ArtifactRecorded,
    AttemptAbandoned,
    AttemptFailed,
    AttemptReturned,
    MetricRecorded,
    NoticeGiven,
    OutputRecorded,
    Stored,
)
from orchestrator_nb.executors.attempt import LocalAttempt, Surroundings
from orchestrator_nb.ports import Work


def test_a_callable_runs_on_a_thread_of_this_process(bench):
    """Without anything of its own a callable runs here, on a daemon thread, and its value is stored."""
    seen = []

    def step():
        seen.append((os.getpid(), threading.current_thread()))
        return {"rows": 3}

    bench.call(step)
    answer = bench.wait()
    assert isinstance(answer, AttemptReturned)
    assert answer.result == Stored(form="json", value={"rows": 3})
    assert answer.log is None
    assert 0 <= answer.seconds < 5
    assert seen[0][0] == os.getpid()
    assert seen[0][1] is not threading.main_thread()
    assert seen[0][1].daemon


def test_threads_are_used_again(bench):
    """Attempts one after the other share a thread; it grows to as many as there are at a time."""
    threads = set()

    def step():
        threads.add(threading.get_ident())

    for attempt in range(1, 6):
        bench.call(step, attempt=attempt)
        bench.wait(attempt=attempt)
        deadline = time.monotonic() + 5
        while bench.executor._workers._idle == 0 and time.monotonic() < deadline:
            time.sleep(0.001)
    assert len(threads) == 1


def test_all_that_is_submitted_runs_at_a_time(bench):
    """How many run is the scheduler's business: twenty that wait for each other all get a thread."""
    barrier = threading.Barrier(20)
    for number in range(20):
        bench.call(lambda: barrier.wait(20), command=f"c{number}")
    for number in range(20):
        assert isinstance(bench.wait(f"c{number}"), AttemptReturned)


def test_an_attempt_runs_in_a_context_of_its_own(bench):
    """A context variable that one command sets is not met by the next."""
    variable = contextvars.ContextVar("variable", default="untouched")

    def step():
        before = variable.get()
        variable.set("touched")
        return before

    for attempt in (1, 2):
        bench.call(step, attempt=attempt)
        assert bench.wait(attempt=attempt).result.value == "untouched"


def test_a_coroutine_function_runs(bench):
    """An async function is run to its end, and what its tasks print is the attempt's."""

    async def step():
        await asyncio.gather(*(asyncio.create_task(say(word)) for word in ("a", "b")))
        return 7

    async def say(word):
        print(word)

    bench.call(step)
    answer = bench.wait()
    assert answer.result.value == 7
    assert bench.log(answer) == "a\nb\n"


def test_what_is_printed_is_in_the_attempts_log(bench, capsys):
    """Printed text goes to the log that the answer names, and not to the process."""
    bench.call(lambda: print("inside"))
    answer = bench.wait()
    assert answer.log == "logs/step.1.log"
    assert bench.log(answer) == "inside\n"
    assert capsys.readouterr().out == ""


def test_what_a_command_tells_is_reported_before_its_answer(bench, tmp_path):
    """Outputs, metrics and files come in the order in which they were told; progress goes to who watches."""
    (tmp_path / "plot.txt").write_text("x")

    def step():
        context.record("rows", 3)
        context.metric("rmse", 1.5)
        context.progress(0.5, "half")
        context.artifact(tmp_path / "plot.txt")
        context.shared["best"] = context.shared["count"] + 1

    bench.call(step, shared={"count": 1})
    answer = bench.wait()
    rows, rmse, plot, last = bench.events
    assert isinstance(rows, OutputRecorded)
    assert (rows.name, rows.value.value) == ("rows", 3)
    assert isinstance(rmse, MetricRecorded)
    assert (rmse.name, rmse.value) == ("rmse", 1.5)
    assert isinstance(plot, ArtifactRecorded)
    assert (plot.name, plot.value.form, plot.value.size) == ("plot.txt", "file", 1)
    assert last is answer
    assert answer.shared == {"best": 2}
    assert bench.said == [("step", 1, 0.5, "half")]


def test_a_context_reads_what_the_attempt_was_given(bench):
    """Upstream results, parameters and what the run is called can be read from inside."""

    def step():
        return [
            context.upstream["clean"], context.parameters["day"], context.run_id == bench.run,
            context.workflow_id, context.command, context.attempt, context.quality_requirements, dict(context.partial),
        ]  # fmt: skip

    bench.call(step, inputs={"clean": Stored(form="json", value=5)}, values={"day": "monday"})
    assert bench.wait().result.value == [5, "monday", True, "flow", "step", 1, None, {}]


def test_a_live_result_stays_in_this_process(bench):
    """What has no stored form is kept for consumers on threads."""
    lock = threading.Lock()
    bench.call(lambda: lock)
    result = bench.wait().result
    assert result.form == "live"
    assert bench.live.get(result.name) is lock


def failing(error):
    def step():
        raise error

    return step


class Wrong(ValueError):
    pass


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "types", "message"),
    [
        (Wrong("so"), (f"{__name__}.Wrong", "ValueError", "Exception"), "so"),
        (SystemExit(3), ("SystemExit",), "3"),
        (KeyboardInterrupt(), ("KeyboardInterrupt",), "KeyboardInterrupt"),
        (GeneratorExit(), ("GeneratorExit",), "GeneratorExit"),
        (Mute(), (f"{__name__}.Mute", "Exception"), "Mute (its text cannot be shown: RuntimeError)"),
    ],
)
def test_whatever_is_raised_is_a_failure(bench, error, types, message):
    """No exception harms the worker: each is told with its types, its message and where it was raised."""
    bench.call(failing(error))
    answer = bench.wait()
    assert isinstance(answer, AttemptFailed)
    assert not answer.crashed
    failure = answer.failure
    assert (failure.kind, failure.message) == ("exception", message)
    assert failure.types[: len(types)] == types
    assert "test_local.py" in failure.traceback
    assert "orchestrator_nb" + os.sep + "executors" + os.sep not in failure.traceback
    assert failure.exit_code == (3 if isinstance(error, SystemExit) else None)
    bench.call(lambda: "alive", attempt=2)
    assert bench.wait(attempt=2).result.value == "alive"


def test_a_deep_recursion_has_a_bounded_traceback(bench):
    """A traceback is at most 64 KiB long."""
    source = "def step(n):\n    x = n; " + "y = x; " * 40 + "return other(n + 1)\ndef other(n):\n    return step(n)\n"
    names = {}
    exec(source, names)
    bench.call(lambda: names["step"](0))
    failure = bench.wait().failure
    assert failure.types[0] == "RecursionError"
    assert 0 < len(failure.traceback) < 66_000


def test_what_a_command_type_knows_is_told(bench):
    """The fields of a CommandError are the fields of the failure."""
    bench.call(failing(CommandError("cell 3 failed", kind="kernel_died", cell=3, types=["MemoryError"])))
    answer = bench.wait()
    assert (answer.failure.kind, answer.failure.cell, answer.failure.types) == ("kernel_died", 3, ("MemoryError",))
    assert answer.crashed


def test_a_refused_result_is_a_failure_of_its_own_kind(bench):
    """A value that would come back as something else is refused, naming the place."""
    bench.call(lambda: {"pair": (1, 2)})
    failure = bench.wait().failure
    assert failure.kind == "result_refused"
    assert "pair" in failure.message


def test_an_unknown_type_of_command_is_a_failure(bench):
    """A type that no installed package brings is answered like any failure, naming it and those that there are."""
    bench.submit({"id": "step", "type": "fortran"})
    failure = bench.wait().failure
    assert failure.kind == "not_started"
    assert '"fortran"' in failure.message
    assert "call, shell" in failure.message


def test_a_thread_learns_of_its_end_at_its_next_call(bench):
    """Asked to end, the next call of `context` raises Cancelled, which no `except Exception` eats."""
    going = threading.Event()

    def step():
        while True:
            try:
                context.progress(0.0)
                going.set()
            except Exception:
                pass

    bench.call(step)
    assert going.wait(10)
    bench.executor.end("step", 1, "cancelled", 20.0)
    answer = bench.wait()
    assert isinstance(answer, AttemptFailed)
    assert answer.failure.kind == "cancelled"


def test_a_thread_that_does_not_end_is_abandoned(bench):
    """After the grace it is given up; what it does then is dropped, and its prints stay out of the process."""
    going, let_go, done = threading.Event(), threading.Event(), threading.Event()

    def step():
        print("before")
        going.set()
        let_go.wait(20)
        print("after")
        try:
            context.record("late", 1)
        except Cancelled:
            done.set()
        return "late"

    bench.call(step)
    assert going.wait(10)
    bench.executor.end("step", 1, "cancelled", 0.1)
    answer = bench.wait()
    assert isinstance(answer, AttemptAbandoned)
    assert answer.failure.kind == "cancelled"
    assert answer.seconds >= 0.1
    let_go.set()
    assert done.wait(10)
    bench.call(lambda: None, command="other")
    bench.wait("other")
    assert [event for event in bench.events if event.command == "step"] == [answer]
    log = bench.run_folder / "logs" / "step.1.log"
    assert log.read_text().startswith("before\n")


def test_a_thread_that_finishes_within_the_grace_has_returned(bench):
    """Work that came to its end before it noticed that it should not have is not thrown away."""
    going, let_go = threading.Event(), threading.Event()

    def step():
        going.set()
        let_go.wait(20)
        return "done"

    bench.call(step)
    assert going.wait(10)
    bench.executor.end("step", 1, "cancelled", 20.0)
    let_go.set()
    assert bench.wait().result.value == "done"


def test_a_coroutine_can_be_ended_and_timed_out(bench):
    """A coroutine is cancelled where it waits, also by the workflow's default timeout."""

    async def step():
        await asyncio.sleep(600)

    bench.call(step, limit=0.1)
    answer = bench.wait()
    assert isinstance(answer, AttemptFailed)
    assert answer.failure.kind == "timeout"
    assert "0.1 s" in answer.failure.message


def test_the_default_timeout_leaves_a_thread_alone(bench):
    """A callable on a thread cannot be ended: the workflow's timeout passes without a word."""
    let_go = threading.Event()
    bench.call(lambda: let_go.wait(20), limit=0.05)
    bench.call(lambda: time.sleep(0.3), command="other")
    bench.wait("other")
    assert [event.command for event in bench.events] == ["other"]
    let_go.set()
    assert isinstance(bench.wait(), AttemptReturned)


def test_a_timeout_that_a_thread_cannot_keep_is_said(bench):
    """A command that wants both, a thread and a timeout, is told when the time has passed."""
    let_go = threading.Event()
    bench.call(lambda: let_go.wait(20), timeout=0.05, isolation="thread")
    notice = bench.wait_for(lambda event: isinstance(event, NoticeGiven))
    assert notice.command == "step"
    assert "isolation: process" in notice.text
    let_go.set()
    assert isinstance(bench.wait(), AttemptReturned)
    assert len(bench.events) == 2


def test_leaving_does_not_wait_for_a_thread(bench):
    """Closing returns although a thread is stuck, and nothing is reported afterwards."""
    going, let_go = threading.Event(), threading.Event()

    def step():
        going.set()
        let_go.wait(20)

    bench.call(step)
    assert going.wait(10)
    begun = time.monotonic()
    bench.executor.close()
    assert time.monotonic() - begun < 2
    let_go.set()
    bench.executor.close()
    assert bench.events == []


def test_after_closing_nothing_is_taken(bench):
    """Work that comes too late is not started."""
    ran = threading.Event()
    bench.executor.close()
    bench.call(ran.set)
    assert not ran.wait(0.1)


def test_an_attempt_without_work_costs_little(bench):
    """A callable that does nothing takes well under a tenth of a millisecond of this process's CPU."""
    count = 5000
    bench.call(int)
    bench.wait()
    begun = time.process_time()
    for attempt in range(2, count + 2):
        bench.call(int, attempt=attempt)
    bench.wait_for(lambda _event: len(bench.events) > count)
    # the definition and the work, made anew each time here, are most of it
    assert (time.process_time() - begun) / count < 0.0005


def test_paths_of_the_run_hold_what_was_told(bench):
    """Logs and artifacts are where the run keeps them."""
    bench.call(lambda: print("x") or b"\0bytes")
    answer = bench.wait()
    assert answer.result.form == "bytes"
    assert Path(bench.run_folder, "logs", "step.1.log").is_file()
    assert list(Path(bench.run_folder, "artifacts").rglob(f"{answer.result.artifact}*"))


def test_the_timeout_is_left_to_a_command_that_keeps_to_it_itself(tmp_path):
    """Only an attempt whose command does not say that it watches the time is watched by the executor."""
    timed = []
    around = Surroundings(
        report=timed.append, artifacts=Artifacts(tmp_path), live=None, clock=time.time, endable=timed.append
    )
    definition = CommandDefinition(id="step", notebook="step.ipynb")
    work = Work(
        run="r", workflow="w", command="step", attempt=1, generation=1, definition=definition, timeout=1.0,
        folder=tmp_path, run_folder=tmp_path,
    )  # fmt: skip
    attempts = [LocalAttempt(work, around), LocalAttempt(work, around)]
    attempts[0].on_end(lambda grace: None)
    attempts[1].on_end(lambda grace: None, timed=False)
    assert timed == [attempts[0]]
    assert all(attempt.can_be_ended for attempt in attempts)
