"""A small history whose figures can be worked out by hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from orchestrator_nb import events as e
from orchestrator_nb.journal.file import JournalFile
from orchestrator_nb.journal.store import JOURNAL

BEGIN = 1_767_225_600.0
"""The first of January 2026, UTC."""

FAILURE = e.Failure(kind="exception", message="the source is away", types=("builtins.TimeoutError", "builtins.OSError"))
USED = e.Used(cpu=8.0, memory=200_000_000, read=1_000, written=2_000_000, received=30_000, sent=4_000)

Write = Callable[..., Path]


def sales(run: str, at: float = BEGIN, *, stretch: float = 1.0, rmse: float = 3.0) -> list[e.Event]:
    """Return the facts of a run of 34 seconds on two slots, every moment stretched by the same factor.

    clean runs 10 s; then model, which fails after 5 s and runs 10 s in its second attempt, 3 s later; and stats, 10 s,
    which starts a second late; then publish, 4 s.
    """

    def after(seconds: float) -> float:
        return at + seconds * stretch

    def of(name: str, attempt: int = 1) -> dict:
        return {"command": name, "attempt": attempt}

    def returned(name: str, begun: float, ended: float, attempt: int = 1, **facts) -> list[e.Event]:
        seconds = (ended - begun) * stretch
        return [
            e.AttemptReturned(at=after(ended), **of(name, attempt), seconds=seconds, **facts),
            e.CommandSucceeded(at=after(ended), **of(name, attempt)),
        ]

    plan = {
        "clean": {"kind": "notebook", "tags": ["etl", "daily"]},
        "model": {"kind": "notebook", "upstream": ["clean"], "tags": ["ml"]},
        "stats": {"kind": "call", "upstream": ["clean"]},
        "publish": {"kind": "shell", "upstream": ["model", "stats"]},
    }
    return [
        e.RunStarted(
            at=at, run=run, workflow=run.split("-", maxsplit=1)[0], parameters={"day": "x"}, slots=2, owner={"pid": 1}
        ),
        e.RunPlanned(at=after(1), commands=plan),
        e.AttemptStarted(at=after(1), **of("clean")),
        e.KernelStarted(at=after(1), **of("clean"), way="forked", seconds=0.5 * stretch),
        e.CellStarted(at=after(2), **of("clean"), cell=0, number=1, of=1),
        e.CellFinished(
            at=after(10), **of("clean"), cell=0, status="completed", seconds=8.0 * stretch, peak_memory=150_000_000
        ),
        *returned("clean", 1, 11, used=USED),
        e.AttemptStarted(at=after(11), **of("model")),
        e.AttemptStarted(at=after(12), **of("stats")),
        e.AttemptFailed(at=after(16), **of("model"), seconds=5.0 * stretch, failure=FAILURE),
        e.RetryScheduled(at=after(16), command="model", due=after(18), retry=1, retries=3),
        e.RetryDue(at=after(18), command="model"),
        e.AttemptStarted(at=after(19), **of("model", 2)),
        *returned("stats", 12, 22),
        e.MetricRecorded(at=after(28), **of("model", 2), name="rmse", value=rmse),
        *returned("model", 19, 29, 2),
        e.AttemptStarted(at=after(29), **of("publish")),
        *returned("publish", 29, 33),
        e.RunCompleting(at=after(33)),
        e.RunEnded(at=after(34), state="completed"),
    ]


def name(number: int, workflow: str = "sales") -> str:
    """Return the id of the run of that number."""
    return f"{workflow}-20260101-000000-{number:04x}"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write the journal of a run into the store of the test, and return the store."""
    place = tmp_path / "runs"

    def written(run: str, facts: Sequence[e.Event]) -> Path:
        (place / run).mkdir(parents=True, exist_ok=True)
        journal = JournalFile(place / run / JOURNAL, durable=False, clock=time.time)
        for fact in facts:
            journal.append([fact])
        journal.close()
        return place

    return written


@pytest.fixture
def store(write: Write) -> Path:
    """A store with three runs a day apart: of 34 s, of 68 s, and one of another workflow that is under way."""
    write(name(1), sales(name(1)))
    write(name(2), sales(name(2), BEGIN + 86_400, stretch=2.0, rmse=4.0))
    return write(name(3, "other"), sales(name(3, "other"), BEGIN + 2 * 86_400)[:10])


@pytest.fixture
def facts() -> Callable[..., list[e.Event]]:
    """The facts of a run of the small history."""
    return sales


@pytest.fixture
def named() -> Callable[..., str]:
    """The ids of the runs of the small history."""
    return name


@pytest.fixture(scope="session")
def sales_facts() -> Callable[..., list[e.Event]]:
    """The same for stores that several tests share."""
    return sales
