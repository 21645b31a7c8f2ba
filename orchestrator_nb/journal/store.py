"""Where runs are kept: finding the store, naming runs, opening and listing their folders."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from orchestrator_nb.data.disk import write_error
from orchestrator_nb.errors import RunNotFound, StoreError
from orchestrator_nb.values import token

NAME = "orchestrator-runs"
VARIABLE = "ORCHESTRATOR_NB_STORE"
JOURNAL = "journal.jsonl"

_PART = r"-\d{8}-\d{6}-[0-9a-f]{4}\."
_ID_END = r"-\d{8}-\d{6}-[0-9a-f]{4}$"
_RUN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,159}$"


def find_store(given: str | os.PathLike[str] | None = None, *, start: Path | None = None) -> Path:
    """Return the store's folder, which need not exist yet.

    It is the one given, else the one that the environment variable ORCHESTRATOR_NB_STORE names, else an
    ``orchestrator-runs`` folder found upwards from `start` (the working directory), else one at the project's root:
    the nearest folder upwards with a ``.git`` or a ``pyproject.toml``, else `start` itself.
    """
    named = given if given is not None else os.environ.get(VARIABLE)
    if named:
        return Path(named).absolute()
    here = (start or Path.cwd()).resolve()
    upwards = [here, *here.parents]
    for folder in upwards:
        if (folder / NAME).is_dir():
            return folder / NAME
    for folder in upwards:
        if (folder / ".git").exists() or (folder / "pyproject.toml").is_file():
            return folder / NAME
    return here / NAME


def prepare_store(store: Path) -> None:
    """Make the store's folder where there is none. Raises StoreError."""
    try:
        store.mkdir(parents=True, exist_ok=True)
        ignore = store / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise write_error(f'the store "{store}" cannot be written', store, error) from error


def create_run(store: Path, workflow: str, *, run: str | None = None) -> Path:
    """Make the folder of a new run and return it; its name is the run's id: `run`, which may be there and has no
    journal yet, else a new one. Raises StoreError."""
    prepare_store(store)
    try:
        if run is not None:
            (store / run).mkdir(mode=0o700, exist_ok=True)
            return store / run
        while True:
            stamp = time.strftime("%Y%m%d-%H%M%S")
            folder = store / f"{workflow}-{stamp}-{token(2)}"
            try:
                folder.mkdir(mode=0o700)
            except FileExistsError:
                continue
            return folder
    except OSError as error:
        raise write_error(f'the store "{store}" cannot be written', store, error) from error


def find_run(store: Path, run: str, *, workflow: str | None = None) -> Path:
    """Return the folder of a run: by its id, by the beginning of its id if only one fits, or "latest", which is that of
    `workflow` where one is named.

    A run that is a part of another is found by its whole id, or where no other fits. Raises RunNotFound naming the nearest ones.
    """
    if run != "latest" and re.match(_RUN, run) and (store / run / JOURNAL).is_file() and run in os.listdir(store):
        return store / run  # its whole id: the journals of the others need not be looked into
    runs = list_runs(store)
    if not runs:
        raise RunNotFound(f'there are no runs in "{store}"')
    whole = [folder for folder in runs if not is_part(folder.name)] or runs
    if run == "latest":
        whole = [folder for folder in whole if workflow in (None, re.sub(_ID_END, "", folder.name))]
        if not whole:
            raise RunNotFound(f'there are no runs of "{workflow}" in "{store}"')
        return whole[0]
    if not re.match(_RUN, run):
        raise RunNotFound(f"{run!r} is not the id of a run; an id has letters, digits, '_', '.' and '-'")
    named = [folder for folder in whole if folder.name.startswith(run)]
    named = named or [folder for folder in runs if folder.name.startswith(run)]
    if len(named) == 1:
        return named[0]
    if named:
        raise RunNotFound(f'"{run}" may be any of {", ".join(folder.name for folder in named[:5])}')
    from difflib import get_close_matches

    near = get_close_matches(run, [folder.name for folder in runs], n=3, cutoff=0.4) or [runs[0].name]
    raise RunNotFound(f'there is no run "{run}" in "{store}"; the nearest: {", ".join(near)}')


def is_part(run: str) -> bool:
    """Whether a run is a part of another, whose id its own begins with."""
    return re.search(_PART, run) is not None


def list_runs(store: Path, *, workflow: str | None = None) -> list[Path]:
    """Return the folders of all runs, the latest first: by the time in their journal's first line, then by name.

    With a `workflow` only its own, without those that are parts of other runs.
    """
    try:
        folders = [
            folder
            for folder in store.iterdir()
            if workflow in (None, re.sub(_ID_END, "", folder.name)) and (folder / JOURNAL).is_file()
        ]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f'the store "{store}" cannot be read: {error.strerror or error}') from error
    return sorted(folders, key=lambda folder: (_begun(folder), folder.name), reverse=True)


def _begun(folder: Path) -> float:
    try:
        with open(folder / JOURNAL, "rb") as file:
            found = re.search(rb'"at":([0-9.]+)', file.readline(65536))
    except OSError:
        return 0.0
    return float(found.group(1)) if found else 0.0
