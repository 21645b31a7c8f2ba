"""What a notebook costs besides its own work: papermill as it comes against notebook commands, in turn, in one run.

    python tests/benchmarks/bench_kernels.py [rounds]

CPU is that of this process, the fork servers and all kernels. A block of notebooks is measured at a time, since the
system tells the CPU of a server's children in hundredths of a second.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbformat import v4

from orchestrator_nb import Workflow
from orchestrator_nb.commands.notebooks.command import NotebookCommand
from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.data.live import LiveResults
from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.events import CellFinished, CellStarted
from orchestrator_nb.executors.attempt import LocalAttempt, Surroundings
from orchestrator_nb.kernels.fork_server import servers
from orchestrator_nb.kernels.forked_app import NO_HISTORY
from orchestrator_nb.kernels.forking_manager import ForkingManager
from orchestrator_nb.ports import Work

KERNELS = 8
"""How many kernels live at once where memory is measured."""

BLOCK = 5
"""How many notebooks of ours come to one of papermill's."""

CELLS = {
    "three cells with pandas": (
        "n = 10\nseed = 1",
        (
            "import pandas as pd, numpy as np\nrng = np.random.default_rng(seed)\n"
            "df = pd.DataFrame({'a': rng.integers(0, 5, 1000), 'b': rng.normal(size=1000)})\n"
            "agg = df.groupby('a')['b'].agg(['mean', 'count']).round(6)\nprint('rows', len(df))"
        ),
        "agg.head(n)",
    ),
    "three cells, no imports": ("n = 10", "x = n * 2\nprint(x)", "x"),
}


def write(path: Path, cells: tuple[str, ...]) -> None:
    """Write a notebook whose first cell declares its parameters."""
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = v4.new_notebook(metadata={"kernelspec": spec, "language_info": {"name": "python"}})
    notebook.cells = [v4.new_code_cell(source) for source in cells]
    notebook.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(notebook, path)


def ours(path: Path, run_folder: Path, report: Callable[[Any], None] = lambda _: None) -> None:
    """Run it as a command of a workflow does."""
    run_folder.mkdir(exist_ok=True)
    around = Surroundings(
        report=report, artifacts=Artifacts(run_folder / "artifacts"), live=LiveResults(), clock=time.time
    )
    work = Work(
        run="r", workflow="w", command="n", attempt=1, generation=1, folder=path.parent, run_folder=run_folder,
        definition=CommandDefinition(id="n", notebook=path.name, parameters={"n": 3}),
    )  # fmt: skip
    NotebookCommand().run(LocalAttempt(work, around))


def stock(path: Path, run_folder: Path) -> None:
    """Run it as papermill does."""
    run_folder.mkdir(exist_ok=True)
    papermill.execute_notebook(path, run_folder / path.name, {"n": 3}, progress_bar=False)


def waterfall(path: Path, folder: Path) -> list[tuple[str, float, float]]:
    """Return where the wall seconds of one notebook go, as (part, papermill's, ours): by cell, and around the cells."""
    began = time.time()
    done = papermill.execute_notebook(path, folder / "stock" / path.name, {"n": 3}, progress_bar=False)
    ended = time.time()
    cells = [cell.metadata.papermill for cell in done.cells]
    starts = [datetime.fromisoformat(cell.start_time).timestamp() for cell in cells]
    theirs = [starts[0] - began, *(cell.duration for cell in cells)]
    theirs.append(ended - began - sum(theirs))
    told: list[Any] = []
    began = time.time()
    ours(path, folder / "ours", told.append)
    ended = time.time()
    first = next(event.at for event in told if isinstance(event, CellStarted))
    mine = [first - began, *(event.seconds for event in told if isinstance(event, CellFinished))]
    mine.append(ended - began - sum(mine))
    parts = ["until the first cell", *(f"cell {number}" for number in range(1, len(cells) + 1)), "saves, shutdown"]
    return [*zip(parts, theirs, mine, strict=True), ("all", sum(theirs), sum(mine))]


def proportional(pid: int) -> float:
    """Return the proportional set size of a process in MiB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


async def memory(folder: Path, *, forks: bool) -> float:
    """Return the proportional set size, in MiB, of live kernels that have run the cells with pandas, and the server."""
    managers = []
    for number in range(KERNELS):
        at = folder / f"{forks}{number}"
        manager = ForkingManager(
            kernel_name="python3", transport="ipc", ip=f"{at}k", connection_file=f"{at}.json", forks=forks,
            preload=["numpy", "pandas"],
        )  # fmt: skip
        await manager.start_kernel(extra_arguments=[NO_HISTORY], env=dict(os.environ))
        client = manager.client()
        client.start_channels()
        await client.wait_for_ready(timeout=60)
        for cell in CELLS["three cells with pandas"]:
            await client.execute_interactive(cell, output_hook=lambda _: None, timeout=60)
        client.stop_channels()
        managers.append(manager)
    pids = [manager.provisioner.pid for manager in managers] + (servers.pids if forks else [])
    total = sum(map(proportional, pids))
    for manager in managers:
        await manager.shutdown_kernel(now=True)
    return total


def cpu() -> float:
    """Return the CPU seconds used so far by this process, its servers, and the children of both that have ended."""
    used = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    for pid in servers.pids:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        used += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return used


def scaling(path: Path, folder: Path, count: int) -> list[float]:
    """Return the wall seconds a notebook of ours takes, one at a time and two at a time."""
    found = []
    for at_once in (1, 2):
        with ThreadPoolExecutor(at_once) as pool:
            began = time.perf_counter()
            list(pool.map(lambda number: ours(path, folder / f"ours{number % 2}-{number}"), range(count)))
            found.append((time.perf_counter() - began) / count)
    return found


def chain(folder: Path, cells: tuple[str, ...], way: str, count: int) -> float:
    """Return the wall seconds a notebook of a workflow of notebooks that follow each other, with kernels of that way."""
    folder.mkdir()
    flow = Workflow("chain", folder=folder, slots=1, kernels=way)
    before = None
    for number in range(count):
        write(folder / f"n{number}.ipynb", cells)
        before = flow.notebook(f"n{number}.ipynb", **({"after": before} if before else {}))
    began = time.perf_counter()
    flow.run(store=folder / "store")
    return (time.perf_counter() - began) / count


def measured(run: Callable[[Path, Path], None], path: Path, folder: Path, count: int) -> tuple[float, float]:
    """Return CPU and wall seconds a notebook."""
    before, began = cpu(), time.perf_counter()
    for _ in range(count):
        run(path, folder)
    return (cpu() - before) / count, (time.perf_counter() - began) / count


def main() -> None:
    """Print a table for each kind of notebook."""
    logging.getLogger("papermill").setLevel(logging.ERROR)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    for kind, cells in CELLS.items():
        with tempfile.TemporaryDirectory() as place:
            path, folder = Path(place) / "small.ipynb", Path(place)
            write(path, cells)
            first = measured(ours, path, folder / "ours", 1)
            measured(stock, path, folder / "stock", 1)
            rows = []
            for _ in range(rounds):
                rows.append((measured(stock, path, folder / "stock", 1), measured(ours, path, folder / "ours", BLOCK)))
            parts = waterfall(path, folder)
            pairs = [scaling(path, folder, 2 * BLOCK) for _ in range(rounds)]
        print(f"{kind}: {rounds} rounds of 1 and {BLOCK}; the first of ours, with the server's start: "
              f"CPU {first[0] * 1000:.0f} ms, wall {first[1] * 1000:.0f} ms")  # fmt: skip
        for at, name in enumerate(("CPU", "wall")):
            theirs, mine = (statistics.median(row[who][at] for row in rows) * 1000 for who in (0, 1))
            ratio = statistics.median(row[1][at] / row[0][at] for row in rows)
            print(f"  {name:5} papermill {theirs:7.1f} ms   ours {mine:7.1f} ms   ratio {ratio:6.3f}")
        for part, theirs, mine in parts:
            print(f"    {part:22} {theirs * 1000:8.1f} ms   {mine * 1000:8.1f} ms")
        alone, two = (statistics.median(column) * 1000 for column in zip(*pairs, strict=True))
        gain = statistics.median(one / both for one, both in pairs)
        print(
            f"  ours, wall a notebook: one at a time {alone:.1f} ms, two at a time {two:.1f} ms: {gain:.2f} times as many"
        )
        servers.close()
    with tempfile.TemporaryDirectory() as place:
        ways = [
            [
                chain(Path(place) / f"{way}{number}", CELLS["three cells, no imports"], way, BLOCK)
                for way in ("plain", "pool")
            ]
            for number in range(rounds)
        ]
    plain, pool = (statistics.median(column) * 1000 for column in zip(*ways, strict=True))
    print(
        f"one after the other, wall a notebook: plain {plain:.0f} ms, from the pool {pool:.0f} ms: {pool / plain:.2f}"
    )
    with tempfile.TemporaryDirectory() as place:
        spawned, forked = (asyncio.run(memory(Path(place), forks=forks)) for forks in (False, True))
    print(
        f"{KERNELS} live kernels: spawned {spawned:.0f} MiB, forked with their server {forked:.0f} MiB: {forked / spawned:.2f}"
    )
    servers.close()


if __name__ == "__main__":
    main()
