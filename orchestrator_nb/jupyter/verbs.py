"""The verbs of the magic: what each takes, in IPython's own way of arguments, and the object that it gives."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from orchestrator_nb.drawing.card import RUN_LOOKS
from orchestrator_nb.drawing.glyphs import counted, duration
from orchestrator_nb.errors import UsageError
from orchestrator_nb.journal.store import find_store
from orchestrator_nb.jupyter.rows import Rows
from orchestrator_nb.jupyter.view import view
from orchestrator_nb.orchestrator.attaching import attach
from orchestrator_nb.orchestrator.display.shown import as_text
from orchestrator_nb.orchestrator.display.telling import lines_of
from orchestrator_nb.orchestrator.given import gather, read_as_yaml
from orchestrator_nb.orchestrator.store.history import summaries
from orchestrator_nb.orchestrator.target import workflow_of
from orchestrator_nb.orchestrator.verbs import VERBS
from orchestrator_nb.orchestrator.workflow import Workflow

Names = Mapping[str, Any]
"""The variables of the session."""

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
    "why": (("run", {"metavar": "RUN"}), COMMAND, STORE),
    "logs": (("run", {"metavar": "RUN"}), COMMAND, STORE),
    "accept": (("run", {"metavar": "RUN"}), COMMAND, STORE),
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
        ("run", {"metavar": "RUN"}),
        ("number", {"type": int, "metavar": "NUMBER", "help": "the number of the decision"}),
        ("answer", {"metavar": "ANSWER", "help": "one of its options, such as retry, skip, fail"}),
        ("--note", {"help": "why; it is recorded"}),
        *PARAMETERS[:2],
        STORE,
    ),
    "escalate": (("run", {"metavar": "RUN"}), COMMAND, REASON, STORE),
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
        ("--kind", {"default": "summary", "help": "summary, detailed, recommendations, quality or trends"}),
        ("--out", {"metavar": "FILE", "help": "write it there, too: .md, .html or .ipynb"}),
        STORE,
    ),
    "dashboard": (
        ("name", {"nargs": "?", "default": "performance", "help": "real-time, performance, opportunities or quality"}),
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

    parser = MagicArgumentParser(prog=f"%workflow {verb}", description=VERBS[verb], add_help=False)  # type: ignore[no-untyped-call]
    for name, options in _arguments(verb):
        parser.add_argument(name, **options)
    return parser


def options_of(verb: str) -> list[str]:
    """Return the options of a verb, for completion."""
    if verb not in ARGUMENTS:
        return ["--help"]
    return [name for name, _ in _arguments(verb) if name.startswith("-")]


def _arguments(verb: str) -> tuple[tuple[str, dict[str, Any]], ...]:
    # A rollback leads to a moment; what any other verb gives may go to a variable.
    return ARGUMENTS[verb] if verb == "rollback" else (*ARGUMENTS[verb], TO)


def do(verb: str, words: list[str], names: Names) -> tuple[Any, str | None]:
    """Do what a verb says; return the object that it gives and the variable that gets it, if one is named.

    Raises whatever goes wrong, RunFailed among it.
    """
    if verb not in VERBS:
        from orchestrator_nb.definition.names import nearest

        near = nearest(verb, list(VERBS))
        meant = f'did you mean "{near}"?' if near else f"there are {', '.join(VERBS)}"
        raise UsageError(f'%workflow has no verb "{verb}"; {meant}')
    if verb not in ARGUMENTS:
        _by_command_line(verb, words)
        return None, None
    if {"-h", "--help"} & set(words):
        print(parser_of(verb).format_help())
        return None, None
    given = parser_of(verb).parse_args(words)
    return _DOING[verb](given, names), getattr(given, "to", None)


def start_options(given: Any) -> dict[str, Any]:
    """Return what was given about a run as the arguments of `Workflow.start`."""
    found = gather(
        typed=map(tuple, given.p or ()), raw=map(tuple, given.r or ()), files=given.f or (), texts=given.y or ()
    )
    options: dict[str, Any] = {
        "parameters": found.values,
        "text_parameters": found.texts,
        "store": find_store(given.store),
    }
    for name in ("slots", "durability", "overlap", "detach", "only", "start_from", "until", "failed", "reuse"):
        if hasattr(given, name):
            options[name] = getattr(given, name)
    return options


def _workflow(target: str, names: Names) -> Workflow:
    bound = names.get(target)
    return bound if isinstance(bound, Workflow) else workflow_of(target)


def _run(given: Any, names: Names) -> Any:
    run = _workflow(given.target, names).start(wait=False, **start_options(given))
    return run if given.no_wait or given.detach else run.wait()


def _plan(given: Any, names: Names) -> Any:
    from orchestrator_nb.definition.parameters import bind_parameters

    flow, options = _workflow(given.target, names), start_options(given)
    texts = options.pop("text_parameters")
    bound = bind_parameters(flow.definition.parameters, options.pop("parameters"), text=texts)
    return flow.plan(bound, **options)


def _resume(given: Any, names: Names) -> Any:
    run = attach(given.run, store=given.store)
    own = [flow for flow in names.values() if isinstance(flow, Workflow) and flow.name == run.state.run.workflow]
    if run.is_running and not given.take_over and not given.start_from:
        run.resume()
        view.show_run(run)
    else:
        going_on = own[-1].resume if own else run._go_on
        assert going_on is not None
        run = going_on(
            run.id,
            store=run.folder.parent,
            wait=False,
            accept_changes=given.accept_changes,
            take_over=given.take_over,
            start_from=given.start_from,
            overlap=given.overlap,
        )
    return run if given.no_wait else run.wait()


def _watch(given: Any, _names: Names) -> None:
    run = attach(given.run, store=given.store)
    try:
        for turn, state in run.turns():
            for line in lines_of(turn, state):
                print(line, flush=True)
    except KeyboardInterrupt:
        print("the watching has ended; the run goes on")


def _attach(given: Any, _names: Names) -> Any:
    run = attach(given.run, store=given.store)
    view.show_run(run, stay=True)
    return run


def _logs(given: Any, _names: Names) -> None:
    print(as_text(attach(given.run, store=given.store).logs(given.command), colours=True))


def _accept(given: Any, _names: Names) -> None:
    attach(given.run, store=given.store).accept(given.command)


def _pause(given: Any, _names: Names) -> Any:
    run = attach(given.run, store=given.store)
    run.pause(given.reason)
    return run.status()


def _stop(given: Any, _names: Names) -> Any:
    run = attach(given.run, store=given.store)
    run.stop(given.reason, grace=given.grace)
    run.wait(check=False)
    return run.status()


def _rollback(given: Any, _names: Names) -> Any:
    run = attach(given.run, store=given.store)
    return run.rollback(to=given.moment, undo=given.undo, dry_run=given.dry_run, keep_both=given.keep_both)


def _decide(given: Any, _names: Names) -> Any:
    run = attach(given.run, store=given.store)
    parameters = read_as_yaml(gather(typed=map(tuple, given.p or ()), raw=map(tuple, given.r or ())))
    run.decide(given.number, given.answer, note=given.note, parameters=parameters)
    return run.status()


def _escalate(given: Any, _names: Names) -> Any:
    run = attach(given.run, store=given.store)
    run.escalate(given.command, given.reason)
    return [decision for decision in run.decisions() if decision.is_open]


def _history(given: Any, _names: Names) -> Rows:
    place = find_store(given.store)
    found = summaries(place, workflow=given.workflow, limit=given.limit)
    return Rows(
        found,
        lead=f'{counted(len(found), "run")} in "{place}"',
        columns=("run", "workflow", "state", "time", "done"),
        shown=lambda row: {
            **row,
            "time": duration(row["seconds"]),
            "done": f"{row['succeeded']} of {row['commands']}",
        },
        looks=lambda row: RUN_LOOKS.get(row["state"], "running"),
    )


def _trends(given: Any, _names: Names) -> Any:
    from orchestrator_nb.analytics.history import History
    from orchestrator_nb.jupyter.trends import Trends

    return Trends(
        given.figure or "seconds", history=History(given.store), workflow=given.workflow, whole=not given.figure
    )


def _filters(given: Any) -> dict[str, Any]:
    return {name: getattr(given, name) for name in ("workflow", "since", "until", "tag") if getattr(given, name)}


def _report(given: Any, _names: Names) -> Any:
    made = attach(given.run, store=given.store).report(given.kind)
    if given.out:
        made.save(given.out)
    return made


def _dashboard(given: Any, _names: Names) -> Any:
    from orchestrator_nb.analytics.dashboards import dashboard
    from orchestrator_nb.analytics.history import History

    made = dashboard(given.name, History(given.store), **_filters(given))
    if given.out:
        made.save(given.out)
    return made


def _rate(given: Any, _names: Names) -> Any:
    from orchestrator_nb.analytics.history import History

    run = attach(given.run, store=given.store)
    run.rate(given.stars, note=given.note, author=given.author, role=given.role, about=given.about)
    return History(run.folder.parent).ratings(run=run.id)


def _by_command_line(verb: str, words: list[str]) -> None:
    """Do it as the command line does, and print what that prints. Raises UsageError where it does not succeed."""
    code = "import sys; from orchestrator_nb.cli.main import main; sys.argv[0] = 'orchestrator-nb'; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, verb, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise UsageError(done.stdout.strip() or f'"{verb}" left with {done.returncode}')
    print(done.stdout, end="")


_DOING: dict[str, Callable[[Any, Names], Any]] = {
    "run": _run,
    "plan": _plan,
    "status": lambda given, _: attach(given.run, store=given.store).status(),
    "resume": _resume,
    "watch": _watch,
    "attach": _attach,
    "why": lambda given, _: attach(given.run, store=given.store).why(given.command),
    "logs": _logs,
    "accept": _accept,
    "metrics": lambda given, _: attach(given.run, store=given.store).metrics(),
    "checkpoints": lambda given, _: attach(given.run, store=given.store).checkpoints(),
    "rollback": _rollback,
    "decisions": lambda given, _: attach(given.run, store=given.store).decisions(),
    "decide": _decide,
    "escalate": _escalate,
    "pause": _pause,
    "stop": _stop,
    "trends": _trends,
    "report": _report,
    "dashboard": _dashboard,
    "rate": _rate,
    "history": _history,
}
