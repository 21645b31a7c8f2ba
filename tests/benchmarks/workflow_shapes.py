"""Graphs in the shape of well-known scientific workflows, as WfCommons describes them, with random durations.

Each family is a function of a size and a random generator; it gives the commands in an order in which they can run, each
with its program, its upstream and its duration in seconds. The parameters (how long a program takes, and how much that
varies) are rounded from what such workflows are known to do; they are nobody's recorded run.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple


class Task(NamedTuple):
    program: str
    upstream: tuple[str, ...]
    seconds: float


Shape = dict[str, Task]


class Builder:
    """Adds tasks, and draws their durations: `usual` seconds, varying by a log-normal factor of that `spread`."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.tasks: Shape = {}

    def add(self, program: str, upstream: list[str] | tuple[str, ...], usual: float, spread: float = 0.1) -> str:
        name = f"{program}_{len(self.tasks):05d}"
        self.tasks[name] = Task(program, tuple(dict.fromkeys(upstream)), usual * self.random.lognormvariate(0, spread))
        return name


def montage(size: int, random: Random) -> Shape:
    """Projections, differences of overlapping pairs, a fit that gathers, a background for each; in three colours."""
    build = Builder(random)
    last = []
    for _ in range(3):
        images = [build.add("mProject", [], 13) for _ in range(size)]
        pairs = [
            (one, two) for one in range(size) for two in range(one + 1, min(size, one + 6)) if random.random() < 0.9
        ]
        differences = [build.add("mDiffFit", [images[one], images[two]], 0.6, 0.4) for one, two in pairs]
        model = build.add("mBgModel", [build.add("mConcatFit", differences, 2)], 5)
        moved = [build.add("mBackground", [image, model], 0.7, 0.4) for image in images]
        added = build.add("mAdd", [build.add("mImgtbl", moved, 1)], 6)
        last.append(build.add("mViewer", [added], 2))
    build.add("mViewer", last, 2)
    return build.tasks


def epigenomics(size: int, random: Random) -> Shape:
    """Lanes that are split, four stages for each piece, merged per lane, then all together."""
    build = Builder(random)
    lanes = []
    for _ in range(2):
        split = build.add("fastqSplit", [], 35)
        ends = []
        for _ in range(size):
            step = build.add("filterContams", [split], 2.5, 0.4)
            step = build.add("sol2sanger", [step], 0.8, 0.4)
            step = build.add("fast2bfq", [step], 1.5, 0.4)
            ends.append(build.add("map", [step], 110, 0.35))
        lanes.append(build.add("mapMerge", ends, 12))
    build.add("pileup", [build.add("chr21", [build.add("mapMerge", lanes, 20)], 15)], 55)
    return build.tasks


def seismology(size: int, random: Random) -> Shape:
    """Very many deconvolutions and one that looks at all of them."""
    build = Builder(random)
    build.add("sift", [build.add("decon", [], 4, 0.8) for _ in range(8 * size)], 3)
    return build.tasks


def soykb(size: int, random: Random) -> Shape:
    """Chains for each sample, a fan over chromosomes for each, gathered per chromosome and then altogether."""
    build = Builder(random)
    gathered: list[list[str]] = [[] for _ in range(20)]
    for _ in range(size // 3):
        step = build.add("align", [], 90, 0.3)
        for program, usual in (
            ("sort", 20),
            ("dedup", 25),
            ("add_replace", 18),
            ("realign_target", 60),
            ("realign", 35),
        ):
            step = build.add(program, [step], usual, 0.2)
        for chromosome in range(20):
            gathered[chromosome].append(build.add("haplotype", [step], 70, 0.25))
    merged = [build.add("genotype", calls, 45) for calls in gathered]
    whole = build.add("combine", merged, 30)
    for program in ("select_snp", "select_indel"):
        build.add("filter", [build.add(program, [whole], 20)], 10)
    return build.tasks


def cycles(size: int, random: Random) -> Shape:
    """A baseline for each point, variants of it, parsers for each, and summaries; few are very much longer."""
    build = Builder(random)
    parsed = []
    for _ in range(size):
        baseline = build.add("baseline", [], 40, 1.0)
        for _ in range(2):
            cycle = build.add("cycles", [baseline], 45, 1.0)
            parsed.append(build.add("parser", [cycle, baseline], 1, 0.3))
    summaries = [build.add("summary", parsed[number::6], 2) for number in range(6)]
    build.add("plots", summaries, 8)
    return build.tasks


def blast(size: int, random: Random) -> Shape:
    """One that splits, many searches, two that gather."""
    build = Builder(random)
    split = build.add("split_fasta", [], 2)
    searches = [build.add("blastall", [split], 120, 0.2) for _ in range(3 * size)]
    build.add("cat_blast", searches, 4)
    build.add("cat", searches, 1)
    return build.tasks


def forkjoin(size: int, random: Random) -> Shape:
    """Fork, work and join, a few times."""
    build = Builder(random)
    before: list[str] = []
    for _ in range(4):
        fork = build.add("fork", before, 5)
        before = [build.add("join", [build.add("work", [fork], 30, 0.5) for _ in range(size // 4)], 5)]
    return build.tasks


def sequencing(size: int, random: Random) -> Shape:
    """Samples with a long pipeline each and checks on the side; a common index first, a common report at the end."""
    build = Builder(random)
    index = build.add("index", [], 60)
    checked = []
    for _ in range(size // 5):
        trimmed = build.add("trim", [build.add("check_input", [], 2, 0.5)], 40, 0.5)
        aligned = build.add("align", [trimmed, index], 300, 0.6)
        ordered = build.add("sort", [aligned], 50, 0.4)
        checked += [build.add(program, [ordered], 15, 0.6) for program in ("stats", "flagstat", "idxstats", "coverage")]
        peaks = build.add("peaks", [build.add("filter", [ordered], 45, 0.4)], 120, 0.7)
        checked.append(build.add("annotate", [peaks], 20, 0.5))
    build.add("report", checked, 30)
    return build.tasks


FAMILIES: dict[str, Callable[[int, Random], Shape]] = {
    "montage": montage,
    "epigenomics": epigenomics,
    "seismology": seismology,
    "soykb": soykb,
    "cycles": cycles,
    "blast": blast,
    "forkjoin": forkjoin,
    "sequencing": sequencing,
}
