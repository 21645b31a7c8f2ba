"""What it costs the parent to save a notebook while it runs, and how soon a dead kernel is noticed: papermill's engine
and ours in one run.

    python tests/benchmarks/bench_saves.py [MEGABYTES] [CELLS] [ROUNDS]

Each notebook has CELLS code cells and MEGABYTES of output in its first. CPU is that of the parent alone, from the call
of papermill to its end, start of the kernel included. Then a kernel kills itself, and the time from there to the
end of its cell is told.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
import warnings
from datetime import datetime
from pathlib import Path
from typing import Any

from orchestrator_nb.commands.notebooks.engine import NAME, import_papermill

ENGINES = {"papermill": None, "ours": NAME}


def notebook(path: Path, sources: list[str]) -> str:
    """Write a notebook with these code cells; return its path."""
    import nbformat

    v4: Any = nbformat.v4
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell(each) for each in sources], metadata=kernel), path)
    return str(path)


def cpu_and_wall(source: str, out: Path, engine: str | None) -> tuple[float, float]:
    """Return the seconds of CPU of this process, and by the clock, of one execution."""
    papermill = import_papermill()
    cpu, wall = time.process_time(), time.perf_counter()
    papermill.execute_notebook(source, str(out), engine_name=engine, progress_bar=False)
    return time.process_time() - cpu, time.perf_counter() - wall


def seconds_to_notice(source: str, folder: Path, engine: str | None) -> float:
    """Return the seconds from the death of a kernel to the end of its cell, as the output notebook has it."""
    import nbformat
    from nbclient.exceptions import DeadKernelError

    papermill = import_papermill()
    out = folder / "dead-out.ipynb"
    try:
        papermill.execute_notebook(source, str(out), {"folder": str(folder)}, engine_name=engine, progress_bar=False)
    except DeadKernelError:
        ended = nbformat.read(out, as_version=4).cells[-1].metadata.papermill.end_time
        return datetime.fromisoformat(ended).timestamp() - float((folder / "died").read_text())
    raise AssertionError("the kernel should have died")


def main(megabytes: int, cells: int, rounds: int) -> None:
    """Print medians and the median of the ratios, round by round."""
    warnings.simplefilter("ignore")
    dying = (
        "import os, time\nfile = open(folder + '/died', 'w')\nfile.write(repr(time.time()))\nfile.close()\nos._exit(1)"
    )
    large = f"from IPython.display import display\nfor _ in range({megabytes}):\n    display({{'text/plain': ('x' * 99 + chr(10)) * 10_486}}, raw=True)"
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ENGINES}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        big = notebook(folder / "big.ipynb", [large, *["x = 1"] * (cells - 1)])
        dead = notebook(folder / "dead.ipynb", ["x = 1", dying])
        for _ in range(rounds):
            for name, engine in ENGINES.items():
                cpu, wall = cpu_and_wall(big, folder / "out.ipynb", engine)
                size = (folder / "out.ipynb").stat().st_size
                assert size > megabytes * 2**20, f"{name} has lost output: {size:,} bytes"
                found[name].append((cpu, wall, seconds_to_notice(dead, folder, engine)))
    print(f"{cells} cells, {megabytes} MB of output, {rounds} rounds in turn; medians, and ratios round by round")
    print(
        f"{'':10}  {'parent CPU s':>12}  {'of papermill':>12}  {'wall s':>8}  {'of papermill':>12}  {'death noticed s':>16}"
    )
    for name, rows in found.items():
        ratios = [
            [ours / theirs for ours, theirs in zip(row, stock, strict=True)]
            for row, stock in zip(rows, found["papermill"], strict=True)
        ]
        cpu, wall, noticed = (statistics.median(column) for column in zip(*rows, strict=True))
        cpu_ratio, wall_ratio, _ = (statistics.median(column) for column in zip(*ratios, strict=True))
        print(f"{name:10}  {cpu:12.3f}  {cpu_ratio:12.3f}  {wall:8.2f}  {wall_ratio:12.3f}  {noticed:16.3f}")


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:]]
    main(*(given + [20, 100, 3][len(given) :]))
