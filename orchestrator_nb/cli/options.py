"""The arguments and options that several verbs have."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer


class Progress(str, Enum):
    """How a run is shown while it goes on."""

    none = "none"
    plain = "plain"
    rich = "rich"


class Durability(str, Enum):
    """What a recorded fact survives."""

    full = "full"
    process = "process"


class Overlapping(str, Enum):
    """What a start does while another run of the workflow is under way."""

    refuse = "refuse"
    wait = "wait"
    skip = "skip"
    allow = "allow"


class Deciding(str, Enum):
    """What becomes of decisions while a run is driven."""

    now = "now"
    wait = "wait"
    park = "park"


Target = Annotated[
    str, typer.Argument(metavar="WORKFLOW", help="A definition (.yaml, .json), a folder of notebooks, or one notebook.")
]
RunName = Annotated[str, typer.Argument(metavar="[RUN]", help='The id of a run, its beginning, or "latest".')]
GivenRun = Annotated[str, typer.Argument(metavar="RUN", help='The id of a run, its beginning, or "latest".')]
OfARun = Annotated[
    list[str],
    typer.Argument(
        metavar="[RUN] COMMAND",
        help="The id of a command; before it the run, its id or beginning, where not the latest.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, and nothing else.")]
ProgressOption = Annotated[
    Progress | None, typer.Option(help="Default: rich on a terminal, plain lines elsewhere.", show_default=False)
]
Store = Annotated[
    str | None, typer.Option(metavar="FOLDER", help="Where runs are kept. Default: the nearest orchestrator-runs/.")
]
Slots = Annotated[int | None, typer.Option(min=1, help="How many commands run at a time. Default: the CPUs.")]
DurabilityOption = Annotated[
    Durability | None,
    typer.Option(help="full survives a power cut, process a kill -9. Default: the definition's.", show_default=False),
]
OverlapOption = Annotated[
    Overlapping | None,
    typer.Option(
        "--overlap",
        help="While another run of the workflow is under way: refuse, wait for it, skip this one, or allow both. "
        "Default: the definition's.",
        show_default=False,
    ),
]
DecideOption = Annotated[
    Deciding | None,
    typer.Option(
        "--decide",
        help="Decisions: wait for them, take their defaults now, or park when only some without a default are open. "
        "Default: wait on a terminal, park elsewhere.",
        show_default=False,
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="NAMES",
        help="Run these only: ids, agents, tag:x, patterns; +name with what comes before it, name+ with what comes after.",
        show_default=False,
    ),
]
From = Annotated[
    list[str] | None,
    typer.Option("--from", metavar="NAMES", help="Run these and everything after them.", show_default=False),
]
Until = Annotated[
    list[str] | None,
    typer.Option("--until", metavar="NAMES", help="Run these and everything before them.", show_default=False),
]
Failed = Annotated[
    bool, typer.Option("--failed", help="Run what did not succeed in the latest run, and everything after it.")
]
ReuseOption = Annotated[bool, typer.Option("--reuse", help="Do not run what is up to date: take its earlier result.")]


def named(words: list[str], *what: str) -> tuple[str, ...]:
    """Return the run and what is wanted of it, in the order of `what`, as typed: without a run it is the latest.

    Raises typer.BadParameter when it is not that many words.
    """
    if len(words) == len(what):
        return "latest", *words
    if len(words) == len(what) + 1:
        return tuple(words)
    raise typer.BadParameter(f"found {len(words)} words; expected [RUN] {' '.join(what)}: without RUN it is the latest")
