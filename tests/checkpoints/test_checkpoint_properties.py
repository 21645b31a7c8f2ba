"""Random work and random rollbacks: every rollback can be undone to the last byte, and none touches what is not its own."""

from __future__ import annotations

import os
import shutil
import tempfile
from functools import partial
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from orchestrator_nb import Run, Workflow, context
from orchestrator_nb.checkpoints.planning import back_to, before_rollback, without
from orchestrator_nb.checkpoints.rollback import roll_back, unfinished
from orchestrator_nb.checkpoints.snapshot import take
from orchestrator_nb.checkpoints.store import CheckpointStore, open_store
from orchestrator_nb.errors import CheckpointError, UsageError
from orchestrator_nb.state.transitions import FINAL

PATHS = ("a", "b", "d", "d/x", "d/y", "e/f/g", "o.log", "e")
EDITS = st.lists(
    st.tuples(st.sampled_from(PATHS), st.sampled_from([None, "", "1", "two", "1\r\n", "link"])), min_size=1, max_size=4
)
MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("command"), EDITS),
        st.tuples(st.just("person"), EDITS),
        st.tuples(st.sampled_from(["back", "without"]), st.integers(0, 5)),
    ),
    min_size=2,
    max_size=6,
)


def change(folder: Path, edits: list[tuple[str, str | None]]) -> list[str]:
    """Write, delete and link; a file takes the place of a folder and the reverse. Return the paths that changed."""
    before = look(folder)
    for path, content in edits:
        full = folder / path
        for parent in reversed(full.relative_to(folder).parents[:-1]):
            if (folder / parent).is_symlink() or (folder / parent).is_file():
                (folder / parent).unlink()
        full.parent.mkdir(parents=True, exist_ok=True)
        if full.is_dir() and not full.is_symlink():
            shutil.rmtree(full)
        elif os.path.lexists(full):
            full.unlink()
        if content == "link":
            full.symlink_to("a")
        elif content is not None:
            full.write_bytes(content.encode())
    after = look(folder)
    return [path for path in {*before, *after} if before.get(path) != after.get(path)]


def look(folder: Path) -> dict[str, object]:
    """Return every file and link below the folder."""
    found: dict[str, object] = {}
    for where, folders, files in os.walk(folder):
        for name in (*files, *folders):
            path = Path(where, name)
            if path.is_symlink():
                found[path.relative_to(folder).as_posix()] = path.readlink()
            elif path.is_file():
                found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found


def goal_of(store: CheckpointStore, kind: str, number: int):
    """Return a goal for a random rollback."""
    checkpoints = store.checkpoints("run")
    if kind == "back":
        return back_to(store, checkpoints[number % len(checkpoints)])
    return without(store, "run", [f"c{number}"])


@settings(max_examples=15)
@example(moves=[("command", [("d", "link")]), ("back", 0)], policy="keep-both")
@given(moves=MOVES, policy=st.sampled_from(["keep-both", "keep-mine", "refuse"]))
def test_every_rollback_can_be_undone_and_a_refused_one_changes_nothing(moves, policy):
    """Whatever commands and people did, undoing all rollbacks, the last first, gives the exact files before each."""
    base = Path(tempfile.mkdtemp())
    try:
        folder = base / "project"
        folder.mkdir()
        (folder / ".gitignore").write_text("*.log\n")
        change(folder, [("a", "1"), ("d/x", "1"), ("o.log", "1")])
        store = open_store(folder, runs=base / "runs", durable=False)
        take(store, run="run", kind="start", workflow="w", declared=PATHS)
        for number, (kind, what) in enumerate(moves):
            if kind == "person":
                change(folder, what)
                continue
            if kind == "command":
                paths = change(folder, what)
                take(store, run="run", kind="command", workflow="w", subject=f"c{number}", declared=paths, whole=False)
                continue
            before = look(folder)
            try:
                done = roll_back(store, goal_of(store, kind, what), policy=policy)
            except CheckpointError:
                assert look(folder) == before
                continue
            assert done.late == done.rescued == ()
            after = look(folder)
            touched = {step.path for step in done.plan.steps}
            assert {path for path in {*before, *after} if before.get(path) != after.get(path)} == touched
            assert unfinished(store) == ()
            undone = roll_back(store, before_rollback(store, done.outcome))
            assert undone.plan.conflicts == ()
            assert look(folder) == before
            roll_back(store, before_rollback(store, undone.outcome))
            assert look(folder) == after
    finally:
        shutil.rmtree(base)


def act(folder: Path, edit: list[tuple[str, str | None]], number: int) -> int:
    """Be a command: change files and the shared state, and give a result."""
    change(folder, edit)
    context.shared[f"by_{number}"] = number
    context.shared["last"] = number
    return number


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("person"), EDITS),
        st.tuples(st.just("back"), st.sampled_from(["start", "c0", "c1", "c2"])),
        st.tuples(st.just("without"), st.sampled_from(["c0", "c1", "c2"])),
        st.tuples(st.just("resume"), st.none()),
    ),
    min_size=1,
    max_size=4,
)


def standing(run: Run) -> tuple[object, ...]:
    """Return what a run has come to: what its commands gave and what they share, which of them succeeded, how it ended."""
    state = run.state
    records = {name: replace(record, generation=0, attempt=0) for name, record in state.commands.items()}
    done = {name: record for name, record in records.items() if record.state in FINAL}
    return done, run.result.outputs, state.shared, (state.run.state if state.run.state == "completed" else None)


@settings(max_examples=8)
@example(edits=[[("a", "two")]] * 3, steps=[("back", "start"), ("resume", None), ("without", "c1"), ("back", "c0")])
@given(edits=st.lists(EDITS, min_size=3, max_size=3), steps=STEPS)
def test_every_rollback_of_a_run_can_be_undone(edits, steps):
    """Random commands of a real run, random edits, resumes and rollbacks: a refused one changes nothing, undoing gives
    back every file, and every result, output and shared value with it."""
    base = Path(tempfile.mkdtemp())
    try:
        folder = base / "project"
        folder.mkdir()
        change(folder, [("a", "1"), ("d/x", "1"), ("o.log", "1")])
        flow = Workflow("w", folder=folder, durability="process")
        for number, edit in enumerate(edits):
            writes = sorted({f"./{path}" for path, _ in edit})
            before = f"c{number - 1}" if number else ()
            work = partial(act, folder, edit, number)
            flow.command(work, id=f"c{number}", writes=writes, after=before)
        run = flow.start(wait=False, store=base / "runs")
        run.wait()
        for kind, what in steps:
            if kind == "person":
                change(folder, what)
                continue
            if kind == "resume":
                run.resume()
                run.wait()
                continue
            before, stood = look(folder), standing(run)
            asked = {"to": what} if kind == "back" else {"undo": what}
            try:
                report = run.rollback(**asked)
            except (CheckpointError, UsageError):
                assert (look(folder), standing(run)) == (before, stood)
                continue
            after, stands = look(folder), standing(run)
            touched = {*report.restored, *report.removed}
            assert {path for path in {*before, *after} if before.get(path) != after.get(path)} == touched
            undone = run.rollback(undo=report.undo)
            assert (look(folder), standing(run)) == (before, stood)
            run.rollback(undo=undone.undo)
            assert (look(folder), standing(run)) == (after, stands)
    finally:
        shutil.rmtree(base)
