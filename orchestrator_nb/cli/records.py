"""The verbs about what is kept: the list of runs, and whether they are what their journals say."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator_nb.cli.options import Json, RunName, Store
from orchestrator_nb.drawing.columns import in_columns
from orchestrator_nb.errors import RunRefused, StoreError, UsageError

FOUND = 1
"""The exit code when an audit found something."""


def history(
    as_json: Json = False,
    workflow: Annotated[str | None, typer.Option(help="Only runs of this workflow.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, the latest first.")] = 20,
    store: Store = None,
) -> None:
    """List the runs of the store: id, workflow, state, start, duration."""
    from orchestrator_nb.drawing.glyphs import duration
    from orchestrator_nb.journal.store import find_store
    from orchestrator_nb.orchestrator.store.history import summaries

    place = find_store(store)
    runs = summaries(place, workflow=workflow, limit=limit, said=lambda text: print(text, file=sys.stderr))
    if as_json:
        print(json.dumps({"store": str(place), "runs": runs}, ensure_ascii=False))
        return
    if not runs:
        print(f'there are no runs in "{place}"')
        return
    rows = [("run", "workflow", "state", "started", "time", "done")]
    for row in runs:
        gone = not row["owned"] and row["state"] in ("initializing", "executing", "recovering", "degraded", "stopping")
        state = f"{row['state']}, its process is gone" if gone else row["state"]
        done = f"{row['succeeded']} of {row['commands']}"
        rows.append((row["run"], row["workflow"], state, _moment(row["started"]), duration(row["seconds"]), done))
    print("\n".join(in_columns(rows)))


def prune(
    keep: Annotated[int | None, typer.Option(min=0, help="Keep so many runs of each workflow, the latest.")] = None,
    older_than: Annotated[
        float | None, typer.Option(min=0.0, metavar="DAYS", help="Only runs in which nothing happened for so long.")
    ] = None,
    workflow: Annotated[str | None, typer.Option(help="Only runs of this workflow.")] = None,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Also runs that could go on, and damaged ones.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Delete them; without it they are only shown.")] = False,
    as_json: Json = False,
    store: Store = None,
) -> None:
    """Show which runs would be deleted, with their files; with --yes, delete them. What a process drives is kept.

    The exit code is 1 when one could not be deleted.
    """
    from orchestrator_nb.journal.store import find_store
    from orchestrator_nb.orchestrator.store.prune import delete_runs, doomed_runs

    place = find_store(store)
    found = doomed_runs(place, keep=keep, older_than=older_than, workflow=workflow, unfinished=unfinished)
    failed = delete_runs(place, found) if yes else {}
    if as_json:
        runs = [dataclasses.asdict(item) for item in found]
        print(json.dumps({"store": str(place), "runs": runs, "deleted": yes, "failed": failed}, ensure_ascii=False))
    else:
        _show_doomed(found, failed, deleted=yes)
    if failed:
        raise typer.Exit(FOUND)


def _show_doomed(found: list[Any], failed: dict[str, str], *, deleted: bool) -> None:
    from orchestrator_nb.drawing.glyphs import counted

    goes = [item for item in found if item.kept is None and item.run not in failed]
    if goes:
        rows = [("run", "state", "started", "MB")]
        rows += [(item.run, item.state, _moment(item.started), f"{item.size / 1e6:.1f}") for item in goes]
        print("\n".join(in_columns(rows)))
    for run, why in {**{item.run: item.kept for item in found if item.kept is not None}, **failed}.items():
        print(f"{run} is kept: {why}")
    size = f"{counted(len(goes), 'run')}, {sum(item.size for item in goes) / 1e6:.1f} MB"
    if deleted:
        print(f"deleted: {size}")
    else:
        print(f"to be deleted: {size}; nothing was deleted, --yes does it" if goes else "nothing is to be deleted")


def _moment(at: float | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at)) if at else ""


def audit(
    run: RunName = "latest",
    all_runs: Annotated[bool, typer.Option("--all", help="All runs of the store.")] = False,
    every: Annotated[
        str | None,
        typer.Option(
            metavar="SPAN", help="All runs, where so much time (7d) or so many runs (20) lie since the last time."
        ),
    ] = None,
    export: Annotated[
        Path | None, typer.Option("--export", metavar="FOLDER", help="Save what can be read of damaged runs there.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look while the run goes on, and tell what does not hold as it comes.")
    ] = False,
    as_json: Json = False,
    store: Store = None,
) -> None:
    """Check runs against their journals: the chain, the fold, every result against its hash and type, files, history.

    With --every it can be asked for as often as wanted, from cron: it looks when that is due. The exit code is 1 when something is found; each finding names the place, what is wrong, and the repair.
    """
    from orchestrator_nb.drawing.glyphs import counted
    from orchestrator_nb.journal.store import find_run, find_store
    from orchestrator_nb.orchestrator.store.audit import audit_run
    from orchestrator_nb.orchestrator.store.periodic import audit_store, why_due

    place = find_store(store)
    if watch:
        if all_runs or every is not None or export is not None:
            raise UsageError("--watch looks at one run while it goes on; leave out --all, --every and --export")
        _watch(find_run(place, run), as_json=as_json)
        return
    if every is not None and why_due(place, every) is None:
        print("{}" if as_json else f'"{place}" was looked at not long ago: no audit is due yet')
        return
    whole = audit_store(place) if all_runs or every is not None else None
    if whole is not None:
        found = whole.findings
    else:
        folder = find_run(place, run)
        found = {folder.name: audit_run(folder)}
    saved = []
    if export is not None:
        from orchestrator_nb.orchestrator.store.salvage import export_readable

        saved = [export_readable(place / name, export, findings) for name, findings in found.items() if findings]
    if as_json:
        print(json.dumps({name: [dataclasses.asdict(item) for item in items] for name, items in found.items()}))
    else:
        for name, items in found.items():
            print(f"{name}: " + (f"{len(items)} findings" if items else "as it was recorded"))
            for item in items:
                print(f"  {item}")
        for place_of_it in saved:
            print(f'what can be read of it is in "{place_of_it}"')
        if not found:
            print(f'there are no runs in "{place}"')
        elif whole is not None:
            print(
                f"{counted(len(found), 'run')} in {whole.seconds:.1f} s, {whole.bytes / 1e6:.2f} MB on the disk, "
                f"of which {whole.journal_bytes / 1e6:.2f} MB are journals"
            )
    if any(found.values()):
        raise typer.Exit(FOUND)


def _watch(folder: Path, *, as_json: bool) -> None:
    """Print what does not hold of a run as it comes, and have its owner record it; ends with the run."""
    from orchestrator_nb.orchestrator.attaching import attach
    from orchestrator_nb.orchestrator.store.live_audit import watch_run

    run, count = attach(folder.name, store=folder.parent), 0
    for finding in watch_run(folder):
        count += 1
        print(json.dumps(dataclasses.asdict(finding)) if as_json else f"{folder.name}: {finding}", flush=True)
        with suppress(RunRefused, StoreError):  # nobody drives it any more
            run.give_notice(f"audit: {finding}")
    if count:
        raise typer.Exit(FOUND)
    if not as_json:
        print(f"{folder.name}: as it was recorded")
