"""Where runs are kept: finding the store, naming runs, opening and listing their folders."""

from __future__ import annotations

import os
import re
import secrets
import time
from pathlib import Path

from orchestrator_nb.errors import RunNotFound, StoreError

NAME = "orchestrator-runs"
VARIABLE = "ORCHESTRATOR_NB_STORE"
JOURNAL = "journal.jsonl"

_RUN = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,159}$")


def find_store(given: str | os.PathLike[str] | None = None, *, start: Path | None = None) -> Path:
    """Return the store's folder, which need not exist yet.

    It is the one given, else the one that the environment variable ORCHESTRATOR_NB_STORE names, else an
    ``orchestrator-runs`` folder found upwards from `start` (the working directory), else one at the project's root:
    the nearest folder upwards with a ``.git`` or a ``pyproject.toml``, else `start` itself.
    """
    named = given if given is not None else os.environ.get(VARIABLE)
    if named:
        return Path(named).absolute()
    here = (start or Path.cwd()).absolute()
    upwards = [here, *here.parents]
    for folder in upwards:
        if (folder / NAME).is_dir():
            return folder / NAME
    for folder in upwards:
        if (folder / ".git").exists() or (folder / "pyproject.toml").is_file():
            return folder / NAME
    return here / NAME


def create_run(store: Path, workflow: str) -> Path:
    """Make the folder of a new run and return it; its name is the run's id. Raises StoreError."""
    try:
        store.mkdir(parents=True, exist_ok=True)
        ignore = store / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
        while True:
            stamp = time.strftime("%Y%m%d-%H%M%S")
            folder = store / f"{workflow}-{stamp}-{secrets.token_hex(2)}"
            try:
                folder.mkdir(mode=0o700)
            except FileExistsError:
                continue
            return folder
    except OSError as error:
        raise StoreError(f'the store "{store}" cannot be written: {error.strerror or error}') from error


def find_run(store: Path, run: str) -> Path:
    """Return the folder of a run: by its id, by the beginning of its id if only one fits, or "latest".

    Raises RunNotFound naming the nearest ones.
    """
    runs = list_runs(store)
    if not runs:
        raise RunNotFound(f'there are no runs in "{store}"')
    if run == "latest":
        return runs[0]
    if not _RUN.match(run):
        raise RunNotFound(f"{run!r} is not the id of a run; an id has letters, digits, '_', '.' and '-'")
    named = [folder for folder in runs if folder.name == run] or [f for f in runs if f.name.startswith(run)]
    if len(named) == 1:
        return named[0]
    if named:
        raise RunNotFound(f'"{run}" may be any of {", ".join(folder.name for folder in named[:5])}')
    from difflib import get_close_matches

    near = get_close_matches(run, [folder.name for folder in runs], n=3, cutoff=0.4) or [runs[0].name]
    raise RunNotFound(f'there is no run "{run}" in "{store}"; the nearest: {", ".join(near)}')


def list_runs(store: Path) -> list[Path]:
    """Return the folders of all runs, the latest first: by the time in their journal's first line, then by name."""
    try:
        folders = [folder for folder in store.iterdir() if (folder / JOURNAL).is_file()]
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
