"""What each verb of the magic takes, in IPython's own way of arguments: for its parser, its help and the Tab key."""

from __future__ import annotations

from functools import cache
from typing import Any

from orchestrator_nb.orchestrator.verbs import VERBS

STORE = ("--store", {"metavar": "FOLDER", "help": "where runs are kept; the nearest orchestrator-runs/"})
RUN = ("run", {"nargs": "?", "default": "latest", "metavar": "RUN", "help": 'a run\'s id, its beginning, or "latest"'})
COMMAND = ("command", {"metavar": "COMMAND", "help": "the id of a command of the run"})
REASON = ("--reason", {"default": "asked to", "help": "why; it is recorded"})
TARGET = (
    "target",
    {"metavar": "TARGET", "help": "a definition, a folder of notebooks, a notebook, or the name of a workflow here"},
)
PARAMETERS = (
    ("-p", {"nargs": 2, "action": "append", "metavar": ("NAME", "VALUE"), "help": "a parameter, read as its type"}),
    ("-r", {"nargs": 2, "action": "append", "metavar": ("NAME", "VALUE"), "help": "a parameter that stays text"}),
    ("-f", {"action": "append", "metavar": "FILE", "help": "parameters from a YAML file"}),
    ("-y", {"action": "append", "metavar": "TEXT", "help": "parameters as YAML text"}),
)
PART = (
    ("--slots", {"type": int, "help": "how many commands run at a time"}),
    ("--only", {"action": "append", "metavar": "NAMES", "default": [], "help": "run these only"}),
    ("--from", {"action": "append", "metavar": "NAMES", "default": [], "dest": "start_from", "help": "and all after"}),
    ("--until", {"action": "append", "metavar": "NAMES", "default": [], "help": "run these and all before"}),
    ("--failed", {"action": "store_true", "help": "run what did not succeed in the latest run, and all after"}),
    ("--reuse", {"action": "store_true", "help": "do not run what is up to date"}),
)
OVERLAP = ("--overlap", {"choices": ("refuse", "wait", "skip", "allow"), "help": "while another run is under way"})
STARTING = (
    ("--durability", {"choices": ("full", "process"), "help": "what a recorded fact survives"}),
    OVERLAP,
    ("--detach", {"action": "store_true", "help": "a process of its own drives the run"}),
)
NO_WAIT = ("--no-wait", {"action": "store_true", "help": "return the run at once"})
FILTERS = (
    ("--workflow", {"help": "only runs of this workflow"}),
    ("--since", {"metavar": "DATE", "help": "only runs that began then or later"}),
    ("--until", {"metavar": "DATE", "help": "only runs that began before"}),
    ("--tag", {"help": "only runs with a command of this tag"}),
)
TO = ("--to", {"metavar": "NAME", "help": "the variable that gets the result"})
# Named here and not taken from where they are made, which is slow to import: the Tab key asks for them.
REPORTS = ("summary", "detailed", "recommendations", "quality", "trends")
DASHBOARDS = ("real-time", "performance", "opportunities", "quality")


def _listed(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


ARGUMENTS: dict[str, tuple[tuple[str, dict[str, Any]], ...]] = {
    "run": (TARGET, *PARAMETERS, *PART, *STARTING, NO_WAIT, STORE),
    "plan": (TARGET, *PARAMETERS, *PART, STORE),
    "status": (RUN, STORE),
    "resume": (
        RUN,
        ("--accept-changes", {"action": "store_true", "help": "keep the results of commands that changed since"}),
        ("--take-over", {"action": "store_true", "help": "end the process that owns the run"}),
        ("--from", {"action": "append", "metavar": "NAMES", "default": [], "dest": "start_from", "help": "run again"}),
        OVERLAP,
        NO_WAIT,
        STORE,
    ),
    "watch": (RUN, STORE),
    "attach": (RUN, STORE),
    "why": (RUN, COMMAND, STORE),
    "logs": (RUN, COMMAND, STORE),
    "accept": (RUN, COMMAND, STORE),
    "metrics": (RUN, STORE),
    "pause": (RUN, REASON, STORE),
    "stop": (RUN, REASON, ("--grace", {"type": float, "default": 10.0, "help": "seconds to end in"}), STORE),
    "checkpoints": (RUN, STORE),
    "rollback": (
        RUN,
        ("--to", {"metavar": "NAME", "dest": "moment", "help": 'a command (after it), a checkpoint, or "start"'}),
        ("--undo", {"action": "append", "metavar": "COMMAND", "default": [], "help": "undo a command, or a rollback"}),
        ("--dry-run", {"action": "store_true", "help": "show what would be done, and do nothing"}),
        ("--keep-both", {"action": "store_true", "help": "leave changed files, the earlier ones beside them"}),
        STORE,
    ),
    "decisions": (RUN, STORE),
    "decide": (
        RUN,
        ("number", {"type": int, "metavar": "NUMBER", "help": "the number of the decision"}),
        ("answer", {"metavar": "ANSWER", "help": "one of its options, such as retry, skip, fail"}),
        ("--note", {"help": "why; it is recorded"}),
        *PARAMETERS[:2],
        STORE,
    ),
    "escalate": (RUN, COMMAND, REASON, STORE),
    "trends": (
        (
            "figure",
            {"nargs": "?", "metavar": "NAME", "help": "a metric, or seconds, busy …; without one, all that there is"},
        ),
        ("--workflow", {"help": "only runs of this workflow"}),
        STORE,
    ),
    "report": (
        RUN,
        ("--kind", {"default": "summary", "choices": REPORTS, "metavar": "KIND", "help": _listed(REPORTS)}),
        ("--out", {"metavar": "FILE", "help": "write it there, too: .md, .html or .ipynb"}),
        STORE,
    ),
    "dashboard": (
        (
            "name",
            {
                "nargs": "?",
                "default": "performance",
                "choices": DASHBOARDS,
                "metavar": "NAME",
                "help": _listed(DASHBOARDS),
            },
        ),
        *FILTERS,
        ("--out", {"metavar": "FILE", "help": "write it there, too, as one offline page"}),
        STORE,
    ),
    "rate": (
        ("run", {"metavar": "RUN"}),
        ("--stars", {"type": int, "help": "from 1 to 5"}),
        ("--note", {"default": "", "help": "what there is to say"}),
        ("--author", {"default": "", "help": "who says it; the user"}),
        ("--role", {"default": "", "help": "as what: analyst, reviewer …"}),
        ("--about", {"default": "", "metavar": "SUBJECT", "help": "the recommendation that it is about"}),
        STORE,
    ),
    "history": (
        ("--workflow", {"help": "only runs of this workflow"}),
        ("--limit", {"type": int, "default": 20, "help": "how many, the latest first"}),
        STORE,
    ),
}
"""What each verb takes. A verb that is not here takes what the command line does, and prints what that prints."""


@cache
def parser_of(verb: str) -> Any:
    """Return the parser of a verb's arguments, one of IPython's."""
    from IPython.core.magic_arguments import MagicArgumentParser

    parser = MagicArgumentParser(prog=f"workflow {verb}", description=VERBS[verb], add_help=False)  # type: ignore[no-untyped-call]
    for name, options in _arguments(verb):
        parser.add_argument(name, **options)
    return parser


def told(parser: Any) -> str:
    """Return the help of a parser; IPython's begins as a page of documentation does, and puts a % before the name."""
    return str(parser.format_help()).removeprefix("::\n\n").lstrip("\n")


def options_of(verb: str) -> list[str]:
    """Return the options of a verb, for completion."""
    if verb not in ARGUMENTS:
        return ["--help"]
    return [name for name, _ in _arguments(verb) if name.startswith("-")]


def positions(verb: str) -> tuple[str, ...]:
    """Return the names of what a verb takes without options, in their order; a run's for a verb of the command line."""
    if verb not in ARGUMENTS:
        return {"save": ("run",), "restore": ("run",)}.get(verb, ())
    return tuple(name for name, _ in ARGUMENTS[verb] if not name.startswith("-"))


def takes_value(verb: str, option: str) -> bool:
    """Say whether a word is an option of the verb that a value follows."""
    return option.startswith("-") and _options(verb).get(option, {"action": ""}).get("action", "append") == "append"


def choices_of(verb: str, option: str) -> tuple[str, ...]:
    """Return the values that an option may have, where these are few."""
    return tuple(_options(verb).get(option, {}).get("choices", ()))


def _options(verb: str) -> dict[str, dict[str, Any]]:
    return dict(_arguments(verb)) if verb in ARGUMENTS else {}


def _arguments(verb: str) -> tuple[tuple[str, dict[str, Any]], ...]:
    # A rollback leads to a moment; what any other verb gives may go to a variable.
    return ARGUMENTS[verb] if verb == "rollback" else (*ARGUMENTS[verb], TO)
