"""The verbs about the files of a run in the course of time: checkpoints and rollback."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated, Any

import typer

from orchestrator_nb.cli.options import Json, RunName, Store


def checkpoints(
    run: RunName = "latest",
    show: Annotated[
        str | None, typer.Option(metavar="NAME", help="What changed in one: its number, name, command or commit.")
    ] = None,
    diff: Annotated[
        tuple[str, str] | None, typer.Option(metavar="NAME NAME", help="What differs between two.", show_default=False)
    ] = None,
    path: Annotated[
        str | None, typer.Option(metavar="FILE", help="With --diff: by cells, rows or lines of one file.")
    ] = None,
    export: Annotated[
        str | None, typer.Option(metavar="NAME", help="Put the files of one elsewhere: with --branch or --folder.")
    ] = None,
    branch: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --export: a new branch of the repository.")
    ] = None,
    folder: Annotated[str | None, typer.Option(metavar="FOLDER", help="With --export: a folder, empty or new.")] = None,
    as_json: Json = False,
    store: Store = None,
) -> None:
    """List the checkpoints of a run, show what changed in one or what differs between two, or export one."""
    from orchestrator_nb.errors import UsageError
    from orchestrator_nb.orchestrator.attaching import attach

    if export is None and (branch or folder):
        raise UsageError("--branch and --folder say where a checkpoint is exported to: --export NAME is missing")
    if path is not None and not (diff is not None and any(diff)):
        raise UsageError("--path names a file to be compared: --diff NAME NAME is missing")
    found = attach(run, store=store).checkpoints()
    if export is not None:
        where = found.export(export, folder=folder, branch=branch)
        print(json.dumps({"run": found.run, "exported": where}) if as_json else f"exported to {where}")
    elif diff is not None and any(diff):
        _tell(found.diff(*diff, path=path), as_json=as_json)
    elif show is not None:
        one = found.find(show)
        if as_json:
            print(json.dumps({**found.plain(one), "changes": _plain(found.changes(show))}, ensure_ascii=False))
            return
        from orchestrator_nb.checkpoints.record import headline_of

        print(f"{one.id}  {one.commit[:12]}\n{headline_of(one)}\n")
        _tell(found.changes(show), as_json=False)
        for name, why in one.skipped:
            print(f"left out  {name}: {why}")
    elif as_json:
        print(json.dumps({"run": found.run, "checkpoints": found.as_plain(), "note": found.note}, ensure_ascii=False))
    else:
        print(found)


def rollback(
    run: RunName = "latest",
    to: Annotated[
        str | None,
        typer.Option(metavar="NAME", help='A command (the moment after it), a checkpoint, or "start".'),
    ] = None,
    undo: Annotated[
        list[str] | None, typer.Option(metavar="COMMAND", help="Undo a command, or a rollback; may be repeated.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")] = False,
    keep_both: Annotated[
        bool, typer.Option("--keep-both", help="Leave files that were changed since, the earlier ones beside them.")
    ] = False,
    check: Annotated[
        str | None,
        typer.Option(
            metavar="PROGRAM", help="Step back over the commands until this program ends with 0, run in a copy."
        ),
    ] = None,
    as_json: Json = False,
    store: Store = None,
) -> None:
    """Take a run back: its files, outputs and shared state. What was undone runs again when the run is resumed.

    The present is kept before, so that a rollback can be undone. Files that somebody changed since are never
    overwritten: it is refused then, with exit code 6.
    """
    from orchestrator_nb.orchestrator.attaching import attach

    if check is not None:
        if to is not None or undo or dry_run:
            from orchestrator_nb.errors import UsageError

            raise UsageError(
                "--check finds by itself how far to go back: it goes with none of --to, --undo and --dry-run"
            )
        _step_back(attach(run, store=store), check, keep_both=keep_both, as_json=as_json)
        return
    report = attach(run, store=store).rollback(to=to, undo=undo or (), dry_run=dry_run, keep_both=keep_both)
    if as_json:
        print(json.dumps(report.as_plain(), ensure_ascii=False))
        return
    print(report)
    if report.done and not report.ended:
        print(f"go on with: orchestrator-nb resume {report.run}")


def _step_back(found: Any, check: str, *, keep_both: bool, as_json: bool) -> None:
    """Step back until the check passes, and tell of each step. Raises CheckpointError where none does."""
    import shlex
    import shutil
    import subprocess
    from pathlib import Path

    from orchestrator_nb.errors import CheckpointError, UsageError

    program = shlex.split(check)
    if not program or ("/" not in program[0] and shutil.which(program[0]) is None):
        raise UsageError(f'--check names a program with its arguments; "{check}" is none that can be found')

    def passes(folder: Path) -> bool:
        return subprocess.run(program, cwd=folder, stdout=2, check=False).returncode == 0

    levels, report = found.rollback_step_by_step(check=passes, keep_both=keep_both)
    if as_json:
        plain = [{"to": each.target.id, "passed": each.passed, "commands": each.commands} for each in levels]
        print(json.dumps({"levels": plain, "rollback": report and report.as_plain()}, ensure_ascii=False))
    else:
        for each in levels:
            print(each)
    if report is None:
        raise CheckpointError(f"the check passes at none of {len(levels)} steps back; nothing was changed")
    if not as_json:
        print(report)
        print(f"go on with: orchestrator-nb resume {report.run}")


def _tell(found: Any, *, as_json: bool) -> None:
    plain = _plain(found)
    if as_json:
        print(json.dumps(plain, ensure_ascii=False))
        return
    rows = plain if isinstance(plain, list) else [plain]
    if not rows:
        print("nothing differs")
    for row in rows:
        print(_line(row))


def _line(row: Any) -> str:
    from orchestrator_nb.orchestrator.display.shown import as_text

    if isinstance(row, str):
        return as_text(row)
    if "path" in row:
        return as_text(f"{row['kind']:<8} {row['path']}")
    return as_text("\n".join(_of_table(row) if "rows" in row else _of_cell(row)))


def _of_cell(cell: dict[str, Any]) -> list[str]:
    """Return the lines that tell how a cell of a notebook differs."""
    gone = [f"  - {line}" for line in cell["before"].splitlines()]
    come = [f"  + {line}" for line in cell["after"].splitlines()]
    return [f"cell {cell['cell']}: {cell['kind']}", *gone, *come]


def _of_table(table: dict[str, Any]) -> list[str]:
    """Return the lines that tell how a table differs."""
    rows, now, come, gone = (table[name] for name in ("rows_before", "rows_after", "added", "removed"))
    lines = [f"{rows} rows before, {now} after: {come} added, {gone} removed"]
    lines += [
        f"columns {word}: {', '.join(table[f'columns_{word}'])}"
        for word in ("added", "removed")
        if table[f"columns_{word}"]
    ]
    shown = [f"  {row}" for row in table["rows"]]
    more = come + gone - len(shown)
    return [*lines, *shown, *([f"  and {more} more"] if more > 0 else [])]


def _plain(found: Any) -> Any:
    if isinstance(found, tuple | list):
        return [_plain(each) for each in found]
    return dataclasses.asdict(found) if dataclasses.is_dataclass(found) and not isinstance(found, type) else found
