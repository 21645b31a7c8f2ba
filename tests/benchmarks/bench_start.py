"""What a program pays until its first callable runs, and until it ends: ours beside Dask, a thread pool and papermill.

    python tests/benchmarks/bench_start.py [ROUNDS]

Each program defines a function that does nothing and has it run, ours with a journal that survives a power cut. The
first table has the CPU of the process up to the function's first line, less that of a bare interpreter; the second has
whole processes. Needs dask: pip install dask
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from measure import environment, interleaved, python, table

FIRST = """
import time


def first():
    with open({told!r}, "w") as file:
        file.write(str(time.process_time()))
    return 1

"""

PROGRAMS = {
    "orchestrator_nb": """
from orchestrator_nb import Workflow

flow = Workflow("one")
flow.command(first)
flow.run(store={store!r})
""",
    "dask threaded": """
from dask.threaded import get

get({{"first": (first,)}}, "first", num_workers=2)
""",
    "thread pool": """
from concurrent.futures import ThreadPoolExecutor

with ThreadPoolExecutor(2) as pool:
    pool.submit(first).result()
""",
    "import papermill": "import papermill\n\nfirst()\n",
    "import pydantic": "from pydantic import BaseModel\n\n\nclass A(BaseModel):\n    a: int = 1\n\n\nfirst()\n",
    "bare": "first()\n",
}


def until_first(program: Path, told: Path) -> float:
    """Run a program and return the CPU seconds that it had used when its function began."""
    subprocess.run([sys.executable, str(program)], check=True, stdout=subprocess.DEVNULL, env=environment())
    return float(told.read_text())


def main(rounds: int) -> None:
    """Print both tables."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told"
        programs = {}
        for number, (name, text) in enumerate(PROGRAMS.items()):
            programs[name] = Path(folder) / f"program{number}.py"
            programs[name].write_text((FIRST + text).format(told=str(told), store=f"{folder}/store"), encoding="utf-8")
        found: dict[str, list[float]] = {name: [] for name in programs}
        for number in range(rounds + 1):  # the first warms the caches
            for name, program in programs.items():
                seconds = until_first(program, told)
                if number:
                    found[name].append(seconds)
        bare = found.pop("bare")
        less = {name: [max(0.0, a - b) for a, b in zip(values, bare, strict=True)] for name, values in found.items()}
        print("until the first line of the function, less a bare interpreter")
        print(table(less, beside="import papermill"))
        print("\nwhole processes")
        whole = {name: [sys.executable, str(program)] for name, program in programs.items()}
        print(table(interleaved({**whole, "python -c pass": python("pass")}, rounds=rounds), beside="import papermill"))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 9)
