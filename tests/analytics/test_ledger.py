"""Ledgers: sums made of them are those of the full frames, whatever is chosen and wherever the rows come from."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator_nb import events as e
from orchestrator_nb.analytics import cache, digest, ledger
from orchestrator_nb.analytics.history import History
from orchestrator_nb.analytics.marks import changes
from orchestrator_nb.analytics.material import Material
from orchestrator_nb.journal.file import JournalFile
from orchestrator_nb.journal.store import JOURNAL

BEGIN = 1_767_225_600.0
COMMANDS = ("clean", "model", "stats", "late")
KINDS = ["ran", "kernel", "waited", "lost"]

Attempt = tuple[str, float, float]
"""How an attempt ends, after how many seconds, and how long its kernel took to start."""

ATTEMPT = st.tuples(
    st.sampled_from(["returned", "failed", "interrupted", "running"]), st.floats(0.01, 50.0), st.sampled_from([0.0, 0.25])
)  # fmt: skip
RUN = st.fixed_dictionaries(
    {
        "workflow": st.sampled_from(["sales", "other"]),
        "day": st.integers(0, 3),
        "tags": st.sampled_from([[], ["etl"], ["etl", "ml"]]),
        "code": st.sampled_from("ab"),
        "tried": st.lists(st.lists(ATTEMPT, min_size=1, max_size=3), min_size=1, max_size=len(COMMANDS)),
    }
)


def _facts(run: str, of: dict) -> list[e.Event]:
    """Return the facts of a run whose commands are tried one after the other, each a second after the one before."""
    at = BEGIN + 86_400 * of["day"] + 3_600 * int(run[-4:], 16)
    names = COMMANDS[: len(of["tried"])]
    plan = {name: {"kind": "call", "tags": of["tags"], "fingerprint": of["code"] + name} for name in names}
    found: list[e.Event] = [
        e.RunStarted(at=at, run=run, workflow=of["workflow"], slots=2, owner={"pid": 1}),
        e.RunPlanned(at=at, commands=plan),
    ]
    for name, attempts in zip(names, of["tried"], strict=True):
        for number, (outcome, seconds, kernel) in enumerate(attempts, start=1):
            own = {"command": name, "attempt": number}
            at += 1.0
            found.append(e.AttemptStarted(at=at, **own))
            if kernel:
                found.append(e.KernelStarted(at=at, **own, way="forked", seconds=kernel))
            if outcome == "running":
                break
            at += seconds
            if outcome == "returned":
                found += [e.AttemptReturned(at=at, **own, seconds=seconds), e.CommandSucceeded(at=at, **own)]
                break
            if outcome == "interrupted":
                found.append(e.AttemptInterrupted(at=at, **own, reason="left"))
                continue
            failure = e.Failure(kind="exception", message=f"no {seconds:.0f}", types=("builtins.OSError",))
            found.append(e.AttemptFailed(at=at, **own, seconds=seconds, failure=failure))
            if number == len(attempts):
                break
            found += [
                e.RetryScheduled(at=at, command=name, due=at + 1, retry=number, retries=9),
                e.RetryDue(at=at + 1, command=name),
            ]
            at += 1.0
    return found


def _write(store: Path, number: int, of: dict) -> None:
    run = f"{of['workflow']}-20260101-000000-{number:04x}"
    (store / run).mkdir(parents=True, exist_ok=True)
    journal = JournalFile(store / run / JOURNAL, durable=False, clock=time.time)
    journal.append(_facts(run, of))
    journal.close()


# ── the same from full frames, as slowly and plainly as it can be said ──────────────────────────────────────────────


def _expected(history: History, runs: pd.DataFrame) -> dict[str, object]:
    """Return what the attempts of these runs come to, worked out of the whole frame."""
    attempts = history.attempts()
    of = attempts[attempts["run"].isin(runs["run"])].copy()
    for name in ("run", "workflow", "command", "outcome"):
        of[name] = of[name].astype(str)
    ended = of["seconds"].notna()
    good = of["outcome"].isin(["returned", "reused"]) & ended
    seconds = of["seconds"].fillna(0.0)
    kernel = np.minimum(of["kernel_seconds"].fillna(0.0), seconds)
    parts = {
        "ran": (seconds - kernel).where(good, 0.0), "kernel": kernel.where(good, 0.0),
        "waited": of["waited"].where(ended, 0.0), "lost": seconds.where(~good, 0.0),
    }  # fmt: skip
    sums = of.assign(**parts)[ended].groupby(["run", "command"])[KINDS].sum()
    lost = of[of["outcome"].isin(["failed", "crashed", "abandoned", "interrupted"])].groupby("run")["seconds"].sum()
    bad = of[of["outcome"].isin(["failed", "crashed"])][["run", "command"]].drop_duplicates()
    trouble = of.merge(bad, on=["run", "command"])
    return {
        "spent": {key: pytest.approx(list(row)) for key, row in zip(sums.index, sums.to_numpy(), strict=True)},
        "returned": _bag(of[(of["outcome"] == "returned") & ended], ("run", "command", "started", "seconds")),
        "trouble": _bag(trouble, ("run", "command", "attempt", "outcome")),
        "failed": of[of["outcome"] == "failed"].groupby(["run", "command"]).size().to_dict(),
        "tried": of[of["attempt"] == 1].groupby(["workflow", "command"]).size().to_dict(),
        "waste": {run: pytest.approx(value) for run, value in lost.items() if value},
        "changes": _changes(history, runs),
    }


def _changes(history: History, runs: pd.DataFrame) -> list[tuple[str, str]]:
    commands = history.commands()
    of = commands[commands["run"].isin(runs["run"]) & commands["started"].notna()]
    found: dict[str, list[str]] = {}
    for _, rows in of.groupby([of["workflow"].astype(str), of["command"].astype(str)]):
        before = None
        for row in rows.sort_values("started", kind="stable").itertuples():
            if before not in (None, row.fingerprint):
                found.setdefault(row.run, []).append(row.command)
            before = row.fingerprint
    told = {
        run: ", ".join(sorted(names)[:3]) + (" and 1 more" if len(names) > 3 else "") for run, names in found.items()
    }
    return sorted(told.items())


def _bag(rows: pd.DataFrame, columns: tuple[str, ...]) -> list[tuple]:
    return sorted(rows[list(columns)].astype(object).itertuples(index=False, name=None))


def _found(material: Material) -> dict[str, object]:
    """Return the same of the ledgers."""
    of = material.digest
    changed = changes(material._ledgers["commands"], material._names)
    spent = of.spent.set_index(["run", "command"])[KINDS]
    return {
        "spent": {key: list(row) for key, row in zip(spent.index, spent.to_numpy(), strict=True)},
        "returned": _bag(of.returned, ("run", "command", "started", "seconds")),
        "trouble": _bag(of.trouble, ("run", "command", "attempt", "outcome")),
        "failed": of.failed.groupby(["run", "command"])["count"].sum().to_dict(),
        "tried": dict(of.tried),
        "waste": dict(of.waste),
        "changes": sorted(zip(changed["run"], changed["command"], strict=True)),
    }


FILTERS = st.sampled_from(
    [
        {}, {"workflow": "sales"}, {"since": BEGIN + 86_400}, {"since": BEGIN + 5_000, "until": BEGIN + 2 * 86_400 + 7_000},
        {"tag": "ml"}, {"tag": "etl", "workflow": "other"}, {"workflow": "nobody"}, {"state": "executing"},
    ]
)  # fmt: skip


@pytest.fixture(scope="module")
def _small() -> Iterator[None]:
    """Let files be worth their while for a few rows, and be kept although many rows are not in them."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cache, "WORTH", 1)
        patched.setattr("orchestrator_nb.analytics.frames.STALE", 100.0)
        yield


@pytest.mark.usefixtures("_small")
@settings(max_examples=25, deadline=None)
@given(
    first=st.lists(RUN, min_size=1, max_size=6),
    later=st.lists(RUN, max_size=3),
    gone=st.booleans(),
    again=st.booleans(),
    filters=FILTERS,
)
def test_sums_of_ledgers_are_those_of_the_full_frames(
    first: list, later: list, gone: bool, again: bool, filters: dict
) -> None:
    """With filters by date, workflow and tag; of the file alone, and of one that some runs are newer than, or gone from."""
    with tempfile.TemporaryDirectory() as place:
        store = Path(place) / "runs"
        for number, of in enumerate(first):
            _write(store, number, of)
        history = History(store)
        Material(history, {}, {})
        assert ledger.path_of(store, "attempts").exists()
        before = ledger.path_of(store, "attempts").stat().st_mtime_ns
        for number, of in enumerate(later, start=len(first)):
            _write(store, number, of)
        if gone and len(first) > 1:
            shutil.rmtree(store / f"{first[0]['workflow']}-20260101-000000-0000")
        if again:  # the last run of the file is another one now, under the same name
            place_of = store / f"{first[-1]['workflow']}-20260101-000000-{len(first) - 1:04x}"
            shutil.rmtree(place_of, ignore_errors=True)
            _write(store, len(first) - 1, {**first[-1], "day": 3 - first[-1]["day"], "code": "c"})
        material = Material(history, filters, {})
        assert _found(material) == _expected(history, material.runs)
        assert ledger.path_of(store, "attempts").stat().st_mtime_ns == before


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("damage", ["cut", "other", "empty", "rows", "gone"])
def test_a_file_that_is_damaged_is_written_anew(store: Path, damage: str) -> None:
    """Cut short, of somebody else, of nought bytes, with rows of no run, deleted: the sums are true, and it is there again."""
    history = History(store)
    whole = _found(Material(history, {}, {}))
    path = ledger.path_of(store, "attempts")
    text = path.read_bytes()
    damaged: dict[str, Callable[[], object]] = {
        "cut": lambda: path.write_bytes(text[: len(text) // 2]),
        "other": lambda: path.write_bytes(b"no arrow"),
        "empty": lambda: path.write_bytes(bytes(len(text))),
        "rows": lambda: _of_no_run(path),
        "gone": path.unlink,
    }
    damaged[damage]()
    assert ledger.read(path, "attempts") is None
    assert _found(Material(history, {}, {})) == whole
    assert ledger.read(path, "attempts") is not None


def _of_no_run(path: Path) -> None:
    """Write the ledger with a run fewer than it has rows of."""
    kept, chains = ledger.read(path, "attempts") or pytest.fail("there is none")
    known = list(kept.runs)[:-1]
    chains = {run: chains[run] for run in known}
    ledger.write(path, "attempts", ledger.replace(kept, runs=known), chains)


@pytest.mark.usefixtures("_small")
def test_a_file_that_is_stale_is_written_anew(
    store: Path, named, facts, write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once too many rows are not in it, all are, and the runs that are gone are not."""
    history = History(store)
    Material(history, {}, {})
    monkeypatch.setattr("orchestrator_nb.analytics.frames.STALE", 0.1)
    shutil.rmtree(store / named(1))
    write(named(4), facts(named(4), BEGIN + 3 * 86_400))
    material = Material(history, {}, {})
    assert _found(material) == _expected(history, material.runs)
    found = ledger.read(ledger.path_of(store, "attempts"), "attempts")
    assert found is not None
    assert set(found[1]) == {named(2), named(3, "other"), named(4)}


def test_commands_beyond_the_most_are_summed_from_ledgers_too(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With so few told apart, all others are one; nothing is lost."""
    whole = digest.Digest(_attempts(store), History(store).runs()).spent[KINDS].sum()
    monkeypatch.setattr(digest, "MOST_COMMANDS", 1)
    few = digest.Digest(_attempts(store), History(store).runs())
    assert set(few.spent["command"]) == {"model", digest.OTHERS}
    assert few.spent[KINDS].sum().tolist() == pytest.approx(whole.tolist())


@pytest.mark.parametrize("seed", range(5))
def test_trouble_is_all_attempts_of_a_command_in_a_run_in_which_one_failed(seed: int) -> None:
    """Also where a later generation failed, and where numbers of attempts begin again with it or go on."""
    chance = np.random.default_rng(seed)
    rows: list[tuple[str, str, int, int, str]] = []
    for run, command in ((f"r{place}", name) for place in range(30) for name in COMMANDS[:2]):
        attempt = 0
        for generation in range(1, int(chance.integers(2, 4))):
            attempt = 0 if chance.random() < 0.5 else attempt
            for _ in range(int(chance.integers(1, 3))):
                attempt += 1
                outcome = "failed" if chance.random() < 0.2 else "returned"
                rows.append((run, command, generation, attempt, outcome))
    chance.shuffle(rows)
    frame = pd.DataFrame(rows, columns=["run", "command", "generation", "attempt", "outcome"])
    whole = frame.assign(
        workflow="w", started=pd.to_datetime(np.arange(len(frame)), unit="s", utc=True), seconds=1.0, waited=0.0,
        kernel_seconds=0.0, failure_kind="exception", failure_type="builtins.OSError", failure_message="no",
    )  # fmt: skip
    names = {name: "category" for name in whole.columns if whole[name].dtype in ("object", "str")}
    table = pa.Table.from_pandas(whole.astype(names).astype({"failure_message": "str"}), preserve_index=False)
    runs = whole.drop_duplicates("run").sort_values("run")
    found = digest.Digest(ledger.ledger(table), runs).trouble
    failed = set(zip(*(frame[frame["outcome"] == "failed"][name] for name in ("run", "command")), strict=True))
    wanted = sorted(row for row in map(tuple, frame.to_numpy().tolist()) if (row[0], row[1]) in failed)
    assert wanted
    assert sorted(zip(*(found[name] for name in frame.columns), strict=True)) == wanted


def _attempts(store: Path) -> ledger.Ledger:
    return Material(History(store), {}, {})._ledgers["attempts"]
