"""How near schedules come to the lower bound: first come first served, upward rank, and ours.

    python tests/benchmarks/bench_schedules.py [--traces DIR] [--families montage,blast] [--slots 2,4,8] [--draws 3]

Every number is the makespan of a simulated run, which the very scheduler decides, divided by the lower bound of
`plan.ranks.lower_bound`. "known" is with durations known exactly, "wrong" with each of them wrong by a random factor
from 1/3 to 3 (log-uniform, the mean of a few draws). Traces are JSON files `{name, tasks: [[id, [parents], seconds]]}`.
Deterministic: equal arguments, equal table.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from statistics import mean

sys.path.insert(0, str(Path(__file__).parent))

from workflow_shapes import FAMILIES, Shape, Task

from orchestrator_nb import events as e
from orchestrator_nb.engine.outline import with_ranks
from orchestrator_nb.engine.simulator import simulate
from orchestrator_nb.plan.ranks import lower_bound, make_net

SLOTS = (2, 4, 8, 16, 32, 64)
SIZE = 40
COLUMNS = ("fifo", "rank", "ours", "rank, wrong", "ours, wrong")


def makespan(shape: Shape, slots: int, *, expected: dict[str, float] | None, search: bool) -> float:
    """Simulate a run that was planned with the expected durations and takes the real ones."""
    commands: dict[str, dict[str, object]] = {name: {"upstream": task.upstream} for name, task in shape.items()}
    if expected is not None:
        for name, item in commands.items():
            item["seconds"] = expected[name]
            item["program"] = shape[name].program
        commands = with_ranks(commands, slots=slots, search=search)
        if not search:  # the bare upward rank, which learns nothing on the way
            for item in commands.values():
                del item["seconds"]
    planned = e.RunPlanned(at=0.0, commands=commands)
    durations = {name: task.seconds for name, task in shape.items()}
    return simulate(planned, slots=slots, durations=durations).makespan


def ratios(shape: Shape, slots: int, draws: int) -> list[float]:
    """Return the columns of the table for one shape and number of slots."""
    net = make_net({name: task.upstream for name, task in shape.items()})
    known = {name: task.seconds for name, task in shape.items()}
    bound = lower_bound(net, list(known.values()), slots)
    found = [
        makespan(shape, slots, expected=None, search=False),
        makespan(shape, slots, expected=known, search=False),
        makespan(shape, slots, expected=known, search=True),
    ]
    wrong: list[tuple[float, float]] = []
    for draw in range(draws):
        random = Random(f"{draw}/{slots}/{len(shape)}")
        guess = {name: seconds * math.exp(random.uniform(-math.log(3), math.log(3))) for name, seconds in known.items()}
        wrong.append((
            makespan(shape, slots, expected=guess, search=False),
            makespan(shape, slots, expected=guess, search=True),
        ))  # fmt: skip
    found += [mean(pair[0] for pair in wrong), mean(pair[1] for pair in wrong)]
    return [value / bound for value in found]


def shapes(families: Sequence[str], traces: Path | None, size: int) -> Iterator[tuple[str, Shape]]:
    """Yield the generated shapes, and the traces of a folder."""
    for family in families:
        yield family, FAMILIES[family](size, Random(family))
    for file in sorted(traces.glob("*.json")) if traces is not None else ():
        yield f"trace {file.name.split('.')[0][:40]}", read_trace(file)


def read_trace(file: Path) -> Shape:
    """Return a trace with its tasks in an order in which they can run; the program is the id without its number."""
    left = {name: (parents, seconds) for name, parents, seconds in json.loads(file.read_text())["tasks"]}
    shape: Shape = {}
    while left:
        ready = [name for name, (parents, _) in left.items() if all(parent in shape for parent in parents)]
        for name in ready:
            parents, seconds = left.pop(name)
            shape[name] = Task(re.sub(r"[_.]?(ID)?\d+$", "", name), tuple(parents), seconds)
    return shape


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=Path)
    parser.add_argument("--families", default=",".join(FAMILIES))
    parser.add_argument("--slots", default=",".join(map(str, SLOTS)))
    parser.add_argument("--size", type=int, default=SIZE)
    parser.add_argument("--draws", type=int, default=2)
    options = parser.parse_args()
    table: dict[str, list[list[float]]] = {"": []}
    print(f"{'':48}{'commands':>9}{'slots':>6}" + "".join(f"{column:>13}" for column in COLUMNS))
    families = [family for family in options.families.split(",") if family]
    for name, shape in shapes(families, options.traces, options.size):
        rows = [ratios(shape, int(slots), options.draws) for slots in options.slots.split(",")]
        kind = "traces" if name.startswith("trace ") else "generated"
        table.setdefault(kind, []).extend(rows)
        for slots, row in zip(options.slots.split(","), rows, strict=True):
            print(f"{name:48}{len(shape):9}{slots:>6}" + "".join(f"{value:13.4f}" for value in row), flush=True)
    for kind, rows in table.items():
        if rows:
            means = [mean(column) for column in zip(*rows, strict=True)]
            print(f"{'mean, ' + kind:63}" + "".join(f"{value:13.4f}" for value in means))
            print(f"{'worst against fifo, ' + kind:89}{max(row[2] / row[0] for row in rows):13.4f}")


if __name__ == "__main__":
    main()
