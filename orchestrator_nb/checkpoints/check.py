"""Whether the checkpoints that a run's journal tells of are in their store, and whole."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from orchestrator_nb.checkpoints.listing import references_in
from orchestrator_nb.checkpoints.place import find_place
from orchestrator_nb.checkpoints.record import ref_of
from orchestrator_nb.checkpoints.retention import let_go
from orchestrator_nb.checkpoints.store import CheckpointStore
from orchestrator_nb.data.finding import Finding
from orchestrator_nb.errors import CheckpointError
from orchestrator_nb.events import CheckpointTaken, RolledBack

_GONE = "the run and its results are as they were, but nobody can go back to that moment"
_MOST = 20
"""So many lines of git are told."""
_HARMLESS = re.compile(r"^(dangling|notice:|warning:|Checking|$)")
_ANY_REF = re.compile(r"refs/runs/[^/\s]+/")


def check_checkpoints(
    project: Path, *, runs: Path, run: str, taken: Sequence[CheckpointTaken], rolled_back: Sequence[RolledBack]
) -> Iterator[Finding]:
    """Yield what is wrong with the checkpoints of a run; the store is only read.

    `project` is the folder of its definition, `runs` the store of the runs. Looked at are the references against the
    journal, and every object of the store against its hash. What retention has let go of is not missed: the store has
    a note of that.
    """
    if not taken and not rolled_back:
        return
    try:
        place = find_place(project, runs=runs)
        if not (place.folder / "ready").is_file():
            what = f"the store of its {len(taken)} checkpoints is not there"
            yield Finding(place=str(place.folder), what=what, repair=f"put it back from a backup; {_GONE}")
            return
        store = CheckpointStore(place)
        damages, found = list(_damages(store, run)), _references(store, run)
    except (CheckpointError, OSError) as error:
        what = f"its checkpoints cannot be read: {error}"
        yield Finding(place=str(project), what=what, repair="put the project's folder back, or go on without them")
        return
    yield from damages
    yield from _missing(store, run, found, taken, rolled_back)


def _references(store: CheckpointStore, run: str) -> dict[str, str]:
    """Return the commits that the references of a run lead to, by the id of the checkpoint."""
    there = references_in(store.folder, ref_of(run))
    return {f"{run}/{name.rpartition('/')[2]}": commit for name, commit in there.items()}


def _damages(store: CheckpointStore, run: str) -> Iterator[Finding]:
    """Yield what git finds when it reads every reference and every object."""
    own = ref_of(run)
    told = store.git.says("fsck", "--full", "--no-dangling", "--no-progress")
    for line in [line for line in told if not _HARMLESS.match(line)][:_MOST]:
        other = _ANY_REF.search(line)
        if other is not None and other.group() != own:
            continue  # of another run
        reference = re.search(rf"{re.escape(own)}\d+", line)
        git = f"git --git-dir={os.fspath(store.folder)}"
        repair = f"put the file back from a backup; {_GONE}"
        if reference is not None:
            repair = f"{repair}; without it: {git} update-ref -d {reference.group()}"
        yield Finding(place=str(store.folder), what=f"git says: {line}", repair=repair)


def _missing(
    store: CheckpointStore,
    run: str,
    found: dict[str, str],
    taken: Sequence[CheckpointTaken],
    rolled_back: Sequence[RolledBack],
) -> Iterator[Finding]:
    """Yield what the journal tells of and the store has not, or has as something else."""
    gone = let_go(store, run)
    for event in taken:
        there = found.get(event.id)
        if there is not None and there != event.commit and (event.id, event.commit) not in gone:
            what = f'"{event.id}" is the commit "{there[:12]}"; it was "{event.commit[:12]}" when it was taken'
            repair = f"somebody has changed the reference: git --git-dir={store.folder} update-ref {_ref(event.id)} {event.commit}"
            yield Finding(place=str(store.folder), what=what, repair=repair)
    needed = {event.safety for event in rolled_back} | {event.outcome for event in rolled_back}
    needed -= {name for name, _ in gone}
    needed |= {event.id for event in taken if (event.id, event.commit) not in gone}
    for name in sorted(needed - found.keys() - {""}):
        commit = next((event.commit for event in taken if event.id == name), "")
        repair = f"put the store back from a backup; {_GONE}"
        if commit:
            repair = f"git --git-dir={store.folder} update-ref {_ref(name)} {commit}, while git still has that commit; else {repair}"
        what = f'the checkpoint "{name}" of "{run}" is lost: the journal tells that it was taken'
        yield Finding(place=str(store.folder), what=what, repair=repair)


def _ref(name: str) -> str:
    run, _, number = name.rpartition("/")
    return f"{ref_of(run)}{number}"
