"""What a no-op command costs beyond the first: chain, fan and layered graphs, beside Dask's threaded scheduler.

    python tests/benchmarks/bench_overhead.py [COMMANDS] [ROUNDS]

Every figure is a whole process: CPU at N commands less CPU at 1, over N - 1. Dask's scheduler keeps nothing; ours has
every step in a hash-chained journal that survives kill -9. `run` is the part from the first fact to the last, `whole`
includes reading the definition and planning it. Needs dask: pip install dask
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from measure import interleaved, table

Graph = dict[str, list[str]]


def chain(size: int) -> Graph:
    """Each command after the one before."""
    return {f"c{number}": [f"c{number - 1}"] if number else [] for number in range(size)}


def fan(size: int) -> Graph:
    """One command, many after it, one after all of those."""
    middle = [f"c{number}" for number in range(1, size - 1)]
    return {"c0": [], **{name: ["c0"] for name in middle}, "last": middle} if size > 2 else chain(size)


def layered(size: int) -> Graph:
    """Ten layers, each command after two of the layer before."""
    width = max(1, size // 10)
    return {
        f"c{layer}_{place}": sorted({f"c{layer - 1}_{place}", f"c{layer - 1}_{(place + 1) % width}"}) if layer else []
        for layer in range(min(10, size))
        for place in range(width)
    }


SHAPES: dict[str, Callable[[int], Graph]] = {"chain": chain, "fan": fan, "layered": layered}


def ours(graph: Graph, durability: str) -> None:
    """Read, plan and run a workflow of functions that do nothing, two at a time."""
    from orchestrator_nb.orchestrator.workflow import Workflow

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.chdir(folder)
        Path("steps.py").write_text("def nothing(): return 1\n")
        commands = {name: {"call": "steps:nothing", "after": before} for name, before in graph.items()}
        flow = Workflow.load({"workflow": "w", "slots": 2, "durability": durability, "commands": commands})
        before = time.process_time()
        run = flow.start(wait=False, store=folder)
        planned = time.process_time()
        run.wait()
        ended = time.process_time()
        assert len(run.state.commands) == len(graph)
    if "--parts" in sys.argv:
        unit = 1e3 / len(graph)
        print(f"planning {unit * (planned - before):.4f} ms, running {unit * (ended - planned):.4f} ms a command")


def dask(graph: Graph) -> None:
    """Run the same graph on Dask's threaded scheduler with two threads."""
    from dask.threaded import get

    def nothing(*_upstream: object) -> int:
        return 1

    inner = {name for before in graph.values() for name in before}
    last = [name for name in graph if name not in inner]  # all of them: Dask leaves out what nobody asks for
    get({name: (nothing, *before) for name, before in graph.items()}, last, num_workers=2)


def main(size: int, rounds: int) -> None:
    """Print a table for each shape."""
    for shape in SHAPES:
        argv = [sys.executable, __file__, "--one"]
        whole = interleaved(
            {
                f"{who} {count}": [*argv, shape, str(count), who]
                for count in (1, size)
                for who in ("dask", "process", "full")
            },
            rounds=rounds,
        )
        marginal = {
            who: [
                (many - one) / (size - 1) for one, many in zip(whole[f"{who} 1"], whole[f"{who} {size}"], strict=True)
            ]
            for who in ("dask", "process", "full")
        }
        print(f"\n{shape}, {size} commands\n{table(marginal, beside='dask', unit=1e3, unit_name='ms a command')}")


if __name__ == "__main__":
    if "--one" in sys.argv:
        _, _, shape_name, count_text, name = sys.argv[:5]
        shaped = SHAPES[shape_name](int(count_text))
        if name == "dask":
            dask(shaped)
        else:
            ours(shaped, name)
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000, int(sys.argv[2]) if len(sys.argv) > 2 else 5)
