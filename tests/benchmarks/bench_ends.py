"""How soon everything is gone after kill -9 of the process that runs a workflow, and how soon a dead kernel is noticed.

    python tests/benchmarks/bench_ends.py [ROUNDS]

The workflow has a notebook at work and one whose kernel is started ahead where there is a pool. Counted are all
processes below the one that is killed: kernels, fork servers and what looks after them.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import psutil
from nbformat import v4

from orchestrator_nb import Workflow

OWNER = (
    "import sys; from orchestrator_nb import Workflow; Workflow.load(sys.argv[1]).run(store=sys.argv[2], check=False)"
)

CELLS = {"sleeping": "open('begun', 'w').close()\nimport time; time.sleep(600)",
         "busy in C": "open('begun', 'w').close()\nimport re; re.match('(a*)*b', 'a' * 40)"}  # fmt: skip

DYING = (
    "import os, time\nfile = open('died', 'w')\nfile.write(repr(time.time()))\nfile.close()\nos.kill(os.getpid(), 9)"
)


def write(path: Path, *cells: str) -> None:
    """Write a notebook with these code cells."""
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(
        v4.new_notebook(cells=[v4.new_code_cell(each) for each in cells], metadata={"kernelspec": spec}), path
    )


def seconds_to_end(folder: Path, way: str, cell: str) -> float:
    """Return the seconds from the death of the owner to the end of the last process below it."""
    write(folder / "first.ipynb", cell)
    write(folder / "second.ipynb", "1")
    flow = Workflow("ends", folder=folder, slots=1, kernels=way)
    flow.notebook("first.ipynb")
    flow.notebook("second.ipynb", after="first")
    (folder / "flow.yaml").write_text(flow.to_yaml())
    owner = subprocess.Popen([sys.executable, "-c", OWNER, "flow.yaml", str(folder / "store")], cwd=folder)
    process = psutil.Process(owner.pid)
    expected = {"fork": 2, "pool": 3, "plain": 2}[way]  # with the server, or with what looks after plain kernels
    while not (folder / "begun").exists() or len(process.children(recursive=True)) < expected:
        time.sleep(0.01)
    below = process.children(recursive=True)
    owner.kill()
    began = time.perf_counter()
    while any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in below):
        time.sleep(0.001)
    took = time.perf_counter() - began
    owner.wait()
    return took


def seconds_to_notice(folder: Path, way: str) -> float:
    """Return the seconds from the death of a kernel to the fact that its cell has ended."""
    write(folder / "dying.ipynb", DYING)
    flow = Workflow("dying", folder=folder, kernels=way)
    flow.notebook("dying.ipynb", retries=0)
    flow.run(store=folder / "store", check=False)
    (journal,) = (folder / "store").glob("*/journal.jsonl")
    facts = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
    (ended,) = [fact["at"] for fact in facts if fact["kind"] == "CellFinished"]
    return float(ended) - float((folder / "died").read_text())


def main(rounds: int) -> None:
    """Print median and most of each."""
    print(f"seconds, median and most of {rounds}")
    for way in ("fork", "plain", "pool"):
        for name, cell in CELLS.items():
            found = []
            for _ in range(rounds):
                with tempfile.TemporaryDirectory() as place:
                    found.append(seconds_to_end(Path(place), way, cell))
            print(
                f"  {way:6} {name:10} all gone after kill -9 of the owner {statistics.median(found):7.3f} {max(found):7.3f}"
            )
        found = []
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as place:
                os.chdir(place)
                found.append(seconds_to_notice(Path(place), way))
        print(
            f"  {way:6} {'':10} death of a kernel noticed            {statistics.median(found):7.3f} {max(found):7.3f}"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
