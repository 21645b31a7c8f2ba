"""The verbs about what is kept: the list of runs, and whether they are what their journals say."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from typing import Annotated

import typer

from orchestrator_nb.cli.control import table_lines
from orchestrator_nb.cli.options import Json, RunName, Store

FOUND = 1
"""The exit code when an audit found something."""


def history(
    as_json: Json = False,
    workflow: Annotated[str | None, typer.Option(help="Only runs of this workflow.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, the latest first.")] = 20,
    store: Store = None,
) -> None:
    """List the runs of the store: id, workflow, state, start, duration."""
    from orchestrator_nb.cli.glyphs import duration
    from orchestrator_nb.journal.store import find_store
    from orchestrator_nb.orchestrator.history import summaries

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
        started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row["started"])) if row["started"] else ""
        gone = not row["owned"] and row["state"] in ("initializing", "executing", "recovering", "degraded", "stopping")
        state = f"{row['state']}, its process is gone" if gone else row["state"]
        done = f"{row['succeeded']} of {row['commands']}"
        rows.append((row["run"], row["workflow"], state, started, duration(row["seconds"]), done))
    print("\n".join(table_lines(rows)))


def audit(
    run: RunName = "latest",
    every: Annotated[bool, typer.Option("--all", help="All runs of the store.")] = False,
    as_json: Json = False,
    store: Store = None,
) -> None:
    """Check runs against their journals: the chain, the fold, every result against its hash, the manifest.

    The exit code is 1 when something is found; each finding names the place, what is wrong, and the repair.
    """
    from orchestrator_nb.journal.store import find_run, find_store, list_runs
    from orchestrator_nb.orchestrator.audit import audit_run

    place = find_store(store)
    folders = list_runs(place) if every else [find_run(place, run)]
    found = {folder.name: audit_run(folder) for folder in folders}
    if as_json:
        print(json.dumps({name: [dataclasses.asdict(item) for item in items] for name, items in found.items()}))
    else:
        for name, items in found.items():
            print(f"{name}: " + (f"{len(items)} findings" if items else "as it was recorded"))
            for item in items:
                print(f"  {item}")
        if not found:
            print(f'there are no runs in "{place}"')
    if any(found.values()):
        raise typer.Exit(FOUND)
