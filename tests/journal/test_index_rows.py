"""The rows of the index: they are the fold of the journal, however many steps it was read in."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from orchestrator_nb import events as e
from orchestrator_nb.engine.endings import Reopen
from orchestrator_nb.journal.file import JournalFile
from orchestrator_nb.journal.index import journals, schema
from orchestrator_nb.journal.index.index import Index
from orchestrator_nb.journal.index.rows import new_run
from orchestrator_nb.journal.store import JOURNAL
from orchestrator_nb.state.run_state import RunState, fold
from orchestrator_nb.state.transitions import IllegalTransition

RUN = "w-20260101-000000-0000"
PLAN = {"a": {"kind": "call"}, "b": {"kind": "notebook", "upstream": ["a"]}, "c": {"kind": "shell", "optional": True}}
OTHER_PLAN = {
    "c": {"kind": "shell", "fingerprint": "f"},
    "a": {"kind": "call"},
    "d": {"kind": "call", "upstream": ["c"]},
}
FAILURE = e.Failure(kind="exception", message="no", types=("builtins.ValueError", "builtins.Exception"))


def _options(name: str, attempt: int, at: float, state: RunState) -> list[e.Event]:
    """Return events that may come next; most of them are illegal at any time."""
    earlier = [generation for of, generation in state.lives if of == name]
    asked = e.RolledBack(at=at, rollback="x", what="", results={name: max(earlier)}) if earlier else None
    restorings = [fact for fact in Reopen()(asked, state) if isinstance(fact, e.CommandRestored)] if asked else []
    one, of = {"at": at, "command": name}, {"at": at, "command": name, "attempt": attempt}
    return [
        e.AttemptStarted(at=at, command=name, attempt=attempt + 1),
        e.AttemptReturned(**of, seconds=at / 8, result=e.Stored(form="parquet", size=7), notebook="n", log="l"),
        e.CommandSucceeded(**of),
        e.AttemptStarted(at=at, command=name, attempt=attempt + 1),
        e.AttemptFailed(**of, seconds=0.5, failure=FAILURE, crashed=attempt % 2 == 0, log="l"),
        e.RetryScheduled(**one, due=at + 1, retry=attempt, retries=3),
        e.RetryDue(**one),
        e.AttemptAbandoned(**of, seconds=2.0, failure=FAILURE),
        e.AttemptInterrupted(**of, reason="paused", lost=attempt % 2 == 1),
        e.CellStarted(**of, cell=attempt, number=1, of=3),
        e.CellFinished(**of, cell=attempt, status="completed", seconds=0.25, outputs=2),
        e.MetricRecorded(**of, name="rmse", value=at),
        e.MetricRecorded(**of, name="rows", value=3.0),
        e.OutputRecorded(**of, name="o", value=e.Stored(form="json", value=1)),
        e.CommandFailed(**one, reason="enough"),
        e.CommandCrashed(**one, reason="gone"),
        e.CommandSkipped(**one, reason="as told"),
        e.UpstreamFailed(**one, upstream=("a",)),
        e.CommandCancelled(**one, reason="stopped"),
        e.CommandReopened(**one, reason="again"),
        *restorings,
        e.RunEnded(at=at, state="failed", reason="a failed", again=True),
        e.DeviationRecorded(**one, text="optional"),
        e.NoticeGiven(**of, text="look"),
        e.RunPaused(at=at, reason="wait", leaving=attempt % 2 == 0),
        e.RunResumed(at=at, owner={"pid": attempt}, slots=attempt or None),
        e.RunPlanned(at=at, commands=OTHER_PLAN),
        e.RunPlanned(at=at, commands=PLAN),
        e.RunStopping(at=at, reason="not today"),
        e.RunCompleting(at=at),
        e.RunEnded(at=at, state="completed"),
        e.RunEnded(at=at, state="failed", reason="a failed"),
        e.RunEnded(at=at, state="stopped", reason="not today"),
        e.DefinitionChanged(at=at, changes=("a",)),
        e.ReuseDeclined(**of, reason="its code changed"),
        e.CommandReused(**of, origin="r", reason="reused from r", notebook="n"),
        e.CommandReused(**one, origin="r", reason="not selected", log="l"),
        e.CommandAccepted(**one, key="k"),
    ]


@st.composite
def turns(draw: st.DrawFn) -> list[list[e.Event]]:
    """Journals of legal events, as turns."""
    begun = e.RunStarted(
        at=1.0,
        run=RUN,
        workflow="w",
        parameters={"day": "x"},
        settings={"context": {"k": 1}},
        slots=2,
        owner={"pid": 1},
        parent="p",
    )
    state = fold([begun, e.RunPlanned(at=1.0, commands=PLAN)])
    found: list[list[e.Event]] = [[begun], [e.RunPlanned(at=1.0, commands=PLAN)]]
    for number, (choice, name, joined) in enumerate(
        draw(st.lists(st.tuples(st.integers(0, 37), st.sampled_from("abcd"), st.booleans()), max_size=40))
    ):
        record = state.commands.get(name)
        options = _options(name, record.attempt if record else 0, 2.0 + number, state)
        # What is legal at the moment is rare among all that there is: from the one drawn on, the first that is.
        for event in (options + options)[choice : choice + 8]:
            try:
                state.apply(event)
            except IllegalTransition:
                continue
            if joined:
                found[-1].append(event)
            else:
                found.append([event])
            break
    return found


def _rows(index: Index) -> dict[str, list[dict]]:
    """Return every row of the index but what may differ between two equal ones."""
    found = {}
    for name, table in schema.metadata.tables.items():
        query = select(*(c for c in table.c if c.name != "stamp")).order_by(*table.primary_key)
        found[name] = index.read(query)
    return found


def _check(rows: dict[str, list[dict]], state: RunState, events: list[e.Event]) -> None:
    (run,) = rows["runs"]
    record = state.run
    for name in (
        "workflow",
        "state",
        "parameters",
        "settings",
        "durability",
        "slots",
        "owner",
        "reason",
        "leaving",
        "started",
    ):
        assert run[name] == getattr(record, name), name
    assert (run["ended"], run["generation"], run["parent"]) == (record.ended, record.generation, "p")
    assert run["phase"] == state.phase
    assert run["deviations"] == {name: list(texts) for name, texts in state.deviations.items()}
    assert {name: run[name] for name in schema.COUNTED} == {name: state.counts.get(name, 0) for name in schema.COUNTED}
    assert run["commands"] == len(state.commands)
    assert run["notices"] == len(state.notices) == len(rows["notices"])
    assert [row["text"] for row in rows["notices"]] == [notice.text for notice in state.notices]
    kinds = [type(event).__name__ for event in events]
    assert run["events"] == len(kinds)
    assert (run["attempts"], run["retries"]) == (kinds.count("AttemptStarted"), kinds.count("RetryScheduled"))
    assert run["resumes"] == kinds.count("RunResumed")
    assert len(rows["metrics"]) == kinds.count("MetricRecorded")
    commands = {row["command"]: row for row in rows["commands"]}
    assert sorted(commands, key=lambda name: commands[name]["position"]) == list(state.commands)
    for name, row in commands.items():
        known, planned = state.commands[name], state.planned[name]
        for field in ("state", "generation", "attempt", "retry", "returned", "deaths", "started", "ended", "seconds",
                      "due", "reason", "notebook", "log"):  # fmt: skip
            assert row[field] == getattr(known, field), (name, field)
        for field in ("kind", "optional", "fingerprint", "program"):
            assert row[field] == getattr(planned, field), (name, field)
        assert row["upstream"] == list(planned.upstream)
        assert ((row["cell"], row["cells"]) if row["cells"] else None) == known.cell
        failure = known.failure
        assert row["failure_message"] == (failure.message if failure else None)
        assert row["failure_type"] == (failure.types[0] if failure else None)


FORGIVEN = [
    [e.RunStarted(at=1.0, run=RUN, workflow="w", slots=2, parent="p"), e.RunPlanned(at=1.0, commands=PLAN)],
    [e.CommandFailed(at=2.0, command="a", failure=e.Failure(kind="condition", message="no such value", types=("X",)))],
    [e.DeviationRecorded(at=3.0, command="b", text="optional"), e.RunPlanned(at=4.0, commands=OTHER_PLAN)],
]
"""A command that fails before it starts, and one that is excused and then leaves the plan."""


@given(turns())
@example(FORGIVEN)
@settings(max_examples=12)
def test_the_rows_are_the_fold_however_they_were_read(found: list[list[e.Event]]) -> None:
    """Read in one go, turn by turn, or in small chunks, the rows are the same, and agree with the state's records."""
    with tempfile.TemporaryDirectory() as place:
        stepwise, at_once = Path(place, "stepwise"), Path(place, "at-once")
        for store in (stepwise, at_once):
            (store / RUN).mkdir(parents=True)
        index = Index(stepwise)
        journal = JournalFile(stepwise / RUN / JOURNAL, durable=False, clock=time.time)
        for turn in found:
            journal.append(turn)
            index.update()
        rows = _rows(index)
        index.close()
        journal.close()
        (at_once / RUN / JOURNAL).write_bytes((stepwise / RUN / JOURNAL).read_bytes())
        index = Index(at_once)
        assert _rows(index) == rows
        index.close()
    events = [event for turn in found for event in turn]
    _check(rows, fold(events), events)


def test_a_long_journal_is_written_in_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of rows, and turns of writing that end in the middle of a journal, change nothing in what is there."""
    names = [f"c{number}" for number in range(40)]
    events: list[e.Event] = [
        e.RunStarted(at=1.0, run=RUN, workflow="w", owner={"pid": 1}, parent="p"),
        e.RunPlanned(at=1.0, commands={name: {"kind": "call"} for name in names}),
    ]
    journal = JournalFile(_folder(tmp_path / "store") / JOURNAL, durable=False, clock=time.time)
    journal.append(events)
    for name in names:
        for event in (
            e.AttemptStarted(at=2.0, command=name, attempt=1),
            e.AttemptReturned(at=3.0, command=name, attempt=1, seconds=1.0),
            e.CommandSucceeded(at=3.0, command=name, attempt=1),
        ):
            journal.append([event])
            events.append(event)
    journal.close()
    monkeypatch.setattr(journals, "CHUNK", 7)
    monkeypatch.setattr("orchestrator_nb.journal.index.index.TURN", 0.0)
    index = Index(tmp_path / "store")
    done = index.update()
    assert done.bytes == (tmp_path / "store" / RUN / JOURNAL).stat().st_size
    assert done.runs > 10
    rows = _rows(index)
    index.close()
    _check(rows, fold(events), events)
    assert {row["outcome"] for row in rows["attempts"]} == {"returned"}
    assert rows["runs"][0]["busy"] == 40.0


def test_what_an_attempt_left_is_in_its_row(tmp_path: Path) -> None:
    """Attempts, cells and metrics have what was recorded of them, also when the end came in a later reading."""
    journal = JournalFile(_folder(tmp_path) / JOURNAL, durable=False, clock=time.time)
    index = Index(tmp_path)
    journal.append(
        [
            e.RunStarted(at=1.0, run=RUN, workflow="w"),
            e.RunPlanned(at=1.0, commands=PLAN),
            e.AttemptStarted(at=2.0, command="a", attempt=1),
            e.CellStarted(at=2.5, command="a", attempt=1, cell=4, number=1, of=2),
        ]
    )
    (cell,) = index.read(select(schema.cells))
    assert (cell["status"], cell["seconds"], cell["cell"], cell["number"], cell["of"]) == ("running", None, 4, 1, 2)
    journal.append([e.CellFinished(at=3.0, command="a", attempt=1, cell=4, status="failed", seconds=0.5, outputs=1)])
    journal.append([e.AttemptFailed(at=4.0, command="a", attempt=1, seconds=2.0, failure=FAILURE, crashed=True)])
    journal.append([e.RetryScheduled(at=4.0, command="a", due=5.0, retry=1, retries=3)])
    journal.append([e.RetryDue(at=5.0, command="a"), e.AttemptStarted(at=5.0, command="a", attempt=2)])
    journal.append([e.MetricRecorded(at=6.0, command="a", attempt=2, name="loss", value=0.5)])
    journal.append([e.MetricRecorded(at=7.0, command="a", attempt=2, name="loss", value=0.25)])
    journal.append(
        [e.AttemptReturned(at=8.0, command="a", attempt=2, seconds=3.0, result=e.Stored(form="npy", size=80))]
    )
    journal.close()
    (cell,) = index.read(select(schema.cells))
    assert (cell["status"], cell["seconds"], cell["ended"], cell["outputs"], cell["of"]) == ("failed", 0.5, 3.0, 1, 2)
    first, second = index.read(select(schema.attempts))
    assert (first["outcome"], first["seconds"], first["retry"], first["ended"]) == ("crashed", 2.0, 0, 4.0)
    assert (first["failure_type"], first["failure_message"]) == ("builtins.ValueError", "no")
    assert (second["outcome"], second["result_form"], second["result_size"], second["retry"]) == (
        "returned",
        "npy",
        80,
        1,
    )
    assert [row["value"] for row in index.read(select(schema.metrics))] == [0.5, 0.25]
    assert index.read(select(schema.runs))[0]["busy"] == 5.0
    index.close()


def test_a_new_row_has_every_column() -> None:
    """The row of a new run has exactly the columns of the table, its key left out."""
    assert new_run("r").keys() == set(schema.runs.c.keys()) - {"key"}


def test_every_column_says_what_it_holds_and_in_which_unit() -> None:
    """A number has its unit in brackets, everything else a description."""
    for table in schema.metadata.tables.values():
        for column in table.c:
            assert column.comment, f"{table.name}.{column.name}"
            if str(column.type) == "FLOAT" and column.name != "value":
                assert "(seconds" in column.comment, f"{table.name}.{column.name}"


def _folder(store: Path) -> Path:
    folder = store / RUN
    folder.mkdir(parents=True)
    return folder
