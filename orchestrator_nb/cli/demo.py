"""The demo project: copied from the package into a folder of the user's, never over what is there."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from orchestrator_nb.errors import UsageError
from orchestrator_nb.orchestrator.display.result import RunResult

FOLDER = "orchestrator-demo"
DEFINITION = "penguins.yaml"


def copy_demo(folder: Path) -> list[Path]:
    """Copy the demo's files into a folder and return those that were not there before.

    Raises UsageError, before anything is written, when a file of that name is there and differs, naming all of them.
    """
    wanted = {folder / name: content for name, content in _demo_files()}
    if folder.exists() and not folder.is_dir():
        raise UsageError(f'"{folder}" is a file; expected a folder, or a name that is free')
    present = {path for path in wanted if path.exists() or path.is_symlink()}
    differing = [path for path in wanted if path in present and not _holds(path, wanted[path])]
    if differing:
        named = "\n".join(f"  {path}" for path in differing)
        raise UsageError(
            f"these files are there already and differ from the demo's; nothing was written:\n{named}\n"
            f'run what is there with "orchestrator-nb run {folder / DEFINITION}", or name another folder: '
            f"orchestrator-nb demo FOLDER"
        )
    missing = [path for path in wanted if path not in present]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in missing:
            with path.open("xb") as file:
                file.write(wanted[path])
    except OSError as error:
        raise UsageError(f'the demo cannot be written to "{folder}": {error.strerror}') from error
    return missing


def _demo_files() -> Iterator[tuple[str, bytes]]:
    source = files("orchestrator_nb") / "demo" / "penguins"
    for item in sorted(source.iterdir(), key=lambda entry: entry.name):
        if item.is_file():
            yield item.name, item.read_bytes()


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.is_file() and path.read_bytes() == content
    except OSError:
        return False


def what_next(result: RunResult, folder: Path) -> str:
    """Return what to look at and to type after the demo, as far as the run came."""
    definition = folder / DEFINITION
    lines = ["What next:"]
    report = folder / "report.html"
    if result.state == "completed" and report.is_file():
        lines.append(f"  open in a browser          {report}")
    lines += [
        f"  read the definition        {definition}",
        f"  see the plan               orchestrator-nb plan {definition}",
        f"  run it longer              orchestrator-nb run {definition} -p resamples 40000",
        "  kill it, then go on        orchestrator-nb resume latest",
    ]
    return "\n".join(lines)
