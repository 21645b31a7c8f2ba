"""A small real project to begin with: one notebook, one function, one definition."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from orchestrator_nb.errors import UsageError

TEMPLATE = "starter"
DEFINITION = "workflow.yaml"
NAME = "my-workflow"
"""What the template calls the workflow; replaced by the folder's name."""


def init(
    folder: Annotated[str, typer.Argument(metavar="[FOLDER]", help="Where to put the project.")] = "my-workflow",
) -> None:
    """Put a small project into a folder: a notebook, a function that takes its result, and the definition."""
    place = Path(folder)
    for path in write_project(place):
        print(path)
    print(
        f"\nrun it:       orchestrator-nb run {place / DEFINITION}\n"
        f"see the plan: orchestrator-nb plan {place / DEFINITION}"
    )


def write_project(folder: Path) -> list[Path]:
    """Write the template into a folder, with the workflow named after it, and return the files.

    Raises UsageError, before anything is written, when one of them is there, naming all of them.
    """
    from orchestrator_nb.definition.names import slug

    if folder.exists() and not folder.is_dir():
        raise UsageError(f'"{folder}" is a file; expected a folder, or a name that is free')
    name = slug(folder.absolute().name, default=NAME)
    source = files("orchestrator_nb") / "demo" / TEMPLATE
    wanted = {
        folder / item.name: item.read_text(encoding="utf-8").replace(NAME, name)
        for item in sorted(source.iterdir(), key=lambda entry: entry.name)
        if item.is_file()
    }
    present = [path for path in wanted if path.exists() or path.is_symlink()]
    if present:
        named = "\n".join(f"  {path}" for path in present)
        raise UsageError(f"these files are there already; nothing was written:\n{named}\nname another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in wanted.items():
            with path.open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)
    except OSError as error:
        raise UsageError(f'the project cannot be written to "{folder}": {error.strerror}') from error
    return list(wanted)
