"""What a no-op command costs beyond the first: chain, fan and layered graphs, beside Dask's threaded scheduler.

    python tests/benchmarks/bench_overhead.py [COMMANDS] [ROUNDS]
    python tests/benchmarks/bench_overhead.py --sizes [LARGEST]

The first prints the CPU at N commands less that at 1, over N - 1, the least of some rounds in turn: of *running* them,
from the end of planning to the last fact, and of the *whole* process, which reads and plans the definition besides.
Dask's scheduler keeps nothing; ours has every step in a hash-chained journal that survives kill -9 (process), or a power
cut as well (full). The second prints what 100 to 100,000 commands take, and how much more each costs than at 1,000.
Needs dask: pip install dask
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from measure import cpu_and_output

Graph = dict[str, list[str]]
WHO = ("dask", "process", "full")


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


def ours(graph: Graph, durability: str) -> dict[str, float]:
    """Read, plan and run a workflow of functions that do nothing, two at a time; return the CPU seconds of each."""
    from orchestrator_nb.orchestrator.workflow import Workflow

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.chdir(folder)
        Path("steps.py").write_text("def nothing(): return 1\n")
        commands = {name: {"call": "steps:nothing", "after": before} for name, before in graph.items()}
        document = {"workflow": "w", "slots": 2, "durability": durability, "commands": commands}
        took, clock = {}, time.process_time
        begun = clock()
        flow = Workflow.load(document)
        took["read"] = clock() - begun
        if "--plan" in sys.argv:
            begun = clock()
            flow.plan(store=folder)
            took["plan"] = clock() - begun
        begun = clock()
        run = flow.start(wait=False, store=folder)
        took["start"] = clock() - begun
        begun = clock()
        run.wait()
        took["run"] = clock() - begun
        assert run.state.counts["succeeded"] == len(graph)
    return took


def dask(graph: Graph) -> dict[str, float]:
    """Run the same graph on Dask's threaded scheduler with two threads; return its CPU seconds."""
    from dask.threaded import get

    def nothing(*_upstream: object) -> int:
        return 1

    inner = {name for before in graph.values() for name in before}
    last = [name for name in graph if name not in inner]  # all of them: Dask leaves out what nobody asks for
    get({"warm": (nothing,)}, ["warm"], num_workers=2)
    begun = time.process_time()
    get({name: (nothing, *before) for name, before in graph.items()}, last, num_workers=2)
    return {"run": time.process_time() - begun}


def one(shape: str, count: int, who: str, *more: str) -> dict[str, float]:
    """Return what a process of its own took: the parts that it tells, the `whole` of its CPU, its `memory` in MB."""
    cpu, told = cpu_and_output([sys.executable, __file__, "--one", shape, str(count), who, *more])
    return {**json.loads(told), "whole": cpu}


def beside_dask(size: int, rounds: int) -> None:
    """Print for each shape what a command costs, running and whole, beside Dask."""
    for shape in SHAPES:
        found: dict[tuple[str, int], list[dict[str, float]]] = {(who, count): [] for who in WHO for count in (1, size)}
        for number in range(rounds + 1):  # the first warms the caches
            for (who, count), kept in found.items():
                took = one(shape, count, who)
                if number:
                    kept.append(took)
        print(f"\n{shape}, {size} commands: CPU of a command in µs, the least of {rounds} rounds in turn")
        print(f"{'':8}  {'running':>8}  {'of dask':>8}  {'whole':>8}  {'of dask':>8}")
        least = {who: {part: _marginal(found, who, size, part) for part in ("run", "whole")} for who in WHO}
        for who, parts in least.items():
            ratios = [
                f"{1e6 * parts[part]:8.1f}  {parts[part] / least['dask'][part]:8.2f}" for part in ("run", "whole")
            ]
            print(f"{who:8}  {'  '.join(ratios)}")


def _marginal(found: dict[tuple[str, int], list[dict[str, float]]], who: str, size: int, part: str) -> float:
    first, all_of_them = (min(took[part] for took in found[who, count]) for count in (1, size))
    return (all_of_them - first) / (size - 1)


def sizes(largest: int) -> None:
    """Print what more and more commands take; those of a chain are each one deeper than the one before."""
    for shape in ("layered", "chain"):
        print(f"\n{shape}: seconds of CPU, µs a command of running it, beside that at 1,000, and MB")
        print(
            f"{'commands':>9}  {'read':>7}  {'plan':>7}  {'start':>7}  {'run':>7}  {'a command':>9}  {'ratio':>6}  {'MB':>6}"
        )
        usual = None
        for count in (count for count in (100, 1_000, 10_000, 100_000) if count <= largest):
            took = min((one(shape, count, "process", "--plan") for _ in range(3)), key=lambda took: took["run"])
            each = 1e6 * took["run"] / count
            usual = each if count == 1_000 else usual
            ratio = f"{each / usual:6.2f}" if usual else f"{'':6}"
            parts = "  ".join(f"{took[part]:7.2f}" for part in ("read", "plan", "start", "run"))
            print(f"{count:9,}  {parts}  {each:9.1f}  {ratio}  {took['memory']:6.0f}", flush=True)


if __name__ == "__main__":
    if "--one" in sys.argv:
        _, _, shape_name, count_text, name = sys.argv[:5]
        shaped = SHAPES[shape_name](int(count_text))
        seconds = dask(shaped) if name == "dask" else ours(shaped, name)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({**seconds, "memory": memory}))
    elif "--sizes" in sys.argv:
        sizes(int(sys.argv[2]) if len(sys.argv) > 2 else 100_000)
    else:
        beside_dask(int(sys.argv[1]) if len(sys.argv) > 1 else 2000, int(sys.argv[2]) if len(sys.argv) > 2 else 5)
