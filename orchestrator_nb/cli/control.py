"""The verbs that look at a run and steer it, whichever process owns it."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import Annotated, Any

import typer

from orchestrator_nb.cli.options import GivenRun, Json, OfARun, RunName, Store, named
from orchestrator_nb.cli.parameters import Raw, Typed, collect
from orchestrator_nb.cli.settling import point_at_nothing
from orchestrator_nb.orchestrator.given import read_as_yaml

Reason = Annotated[str, typer.Option("--reason", help="Why; it is recorded with who asked.")]
INTERRUPTED = 130


def watch(
    run: RunName = "latest",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, as in the journal.")] = False,
    store: Store = None,
) -> None:
    """Show what has happened in a run and what happens, until nobody drives it; an interrupt ends the watching only.

    The exit code is that of the run.
    """
    from orchestrator_nb.events.json_form import encode
    from orchestrator_nb.orchestrator.display.telling import lines_of

    found = _attach(run, store)
    try:
        for turn, state in found.turns():
            lines = [encode(event).decode() for event in turn] if as_json else list(lines_of(turn, state))
            if lines:
                print("\n".join(lines), flush=True)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        return  # nobody reads it any more; the run goes on
    raise typer.Exit(found.result.exit_code)


def why(words: OfARun, as_json: Json = False, store: Store = None) -> None:
    """Tell the facts that led to where a command is: attempts, failures, retries, and its upstream."""
    run, command = named(words, "COMMAND")
    from msgspec import to_builtins

    story = _attach(run, store).why(command)
    print(json.dumps(to_builtins(story), ensure_ascii=False) if as_json else story)


def metrics(run: RunName = "latest", as_json: Json = False, store: Store = None) -> None:
    """Show what a run cost: total, per command, waits, attempts."""
    found = _attach(run, store).metrics()
    print(json.dumps(found, ensure_ascii=False) if as_json else found)


def logs(words: OfARun, store: Store = None) -> None:
    """Print what the last attempt of a command printed; on a terminal without what would steer it, colours excepted."""
    run, command = named(words, "COMMAND")
    from orchestrator_nb.orchestrator.display.shown import as_text

    text = _attach(run, store).logs(command)
    sys.stdout.write(as_text(text, colours=True) if sys.stdout.isatty() else text)


def pause(run: RunName = "latest", reason: Reason = "asked to", store: Store = None) -> None:
    """Start nothing new in a run; what runs goes on to its end. Go on with the verb resume."""
    found = _attach(run, store)
    found.pause(reason)
    print(f"{found.id} is {found.state.run.state}; go on with: orchestrator-nb resume {found.id}")


def stop(
    run: RunName = "latest",
    reason: Reason = "asked to",
    grace: Annotated[float, typer.Option(min=0.0, help="Seconds that running commands have.")] = 10.0,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Return when nothing of it runs any more.")] = True,
    store: Store = None,
) -> None:
    """End what runs and the run; it can be resumed."""
    found = _attach(run, store)
    found.stop(reason, grace=grace)
    if wait:
        found.wait(check=False)
    print(f"{found.id} is {found.state.run.state}")


def accept(words: OfARun, store: Store = None) -> None:
    """Take the result of a command for up to date although its code, its options or its files changed since."""
    run, command = named(words, "COMMAND")
    found = _attach(run, store)
    found.accept(command)
    print(f'the result of "{command}" in {found.id} is accepted: run --reuse takes it for up to date')


def decisions(run: RunName = "latest", as_json: Json = False, store: Store = None) -> None:
    """Show what people are asked in a run, and what was answered."""
    from msgspec import to_builtins

    found = _attach(run, store).decisions()
    if as_json:
        print(json.dumps(to_builtins(found), ensure_ascii=False))
    else:
        print(repr(found))


def decide(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[RUN] NUMBER ANSWER",
            help="The number of the decision, and one of its options, such as retry, skip, fail; before them the run, "
            "where it is not the latest.",
        ),
    ],
    note: Annotated[str | None, typer.Option("--note", help="Why; it is recorded with who decided.")] = None,
    parameters: Typed = None,
    raw: Raw = None,
    store: Store = None,
) -> None:
    """Answer a decision, whoever drives the run, or nobody. With retry, the parameters given take the place of the
    command's own; with done, they are its results."""
    run, number, answer = named(words, "NUMBER", "ANSWER")
    if not number.isdecimal():
        raise typer.BadParameter(f'found "{number}"; expected the number of a decision, as the verb decisions lists it')
    found = _attach(run, store)
    found.decide(int(number), answer, note=note, parameters=read_as_yaml(collect(parameters, raw, None, None)))
    told = f'decision {number} of {found.id} is made: "{answer}"'
    print(told if found.is_running else f"{told}; go on with: orchestrator-nb resume {found.id}")


def escalate(words: OfARun, reason: Reason = "asked to", store: Store = None) -> None:
    """Have people asked about a command that has not come to its end; one level higher, where they were already."""
    run, command = named(words, "COMMAND")
    found = _attach(run, store)
    found.escalate(command, reason)
    print("\n".join(str(decision) for decision in found.decisions() if decision.is_open))


def save(
    run: GivenRun,
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where to write the state.")],
    store: Store = None,
) -> None:
    """Write the state of a run to a file, for restore."""
    print(f"the state is in {_attach(run, store).save(file)}")


def restore(
    run: GivenRun,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file that save wrote.")],
    store: Store = None,
) -> None:
    """Put a run that nobody drives back to a saved state; what came after runs again when it is resumed."""
    found = _attach(run, store)
    reopened = found.restore(file)
    what = f"these run again: {', '.join(reopened)}" if reopened else "nothing has to run again"
    print(f"{found.id} is back where it was saved; {what}\ngo on with: orchestrator-nb resume {found.id}")


def resume_live(found: Any) -> bool:
    """Have the process that owns a paused run go on with it; False where nobody owns it or it is not paused."""
    if not found.is_running or found.state.run.state != "paused":
        return False
    found.resume()
    print(f"{found.id} goes on, in the process that owns it; see it with: orchestrator-nb watch {found.id}")
    return True


def tell_detached(run: Any, *, as_json: bool) -> None:
    """Say which run was begun by `run --detach`, and what to type about it."""
    if as_json:
        owner = run.state.run.owner
        document = {"run": run.id, "folder": str(run.folder), "state": run.state.run.state, "owner": dict(owner)}
        told = json.dumps(document, ensure_ascii=False)
    else:
        told = (
            f"{run.id} has begun in process {run.state.run.owner.get('pid')}\n"
            f"watch it: orchestrator-nb watch {run.id}\nend it:   orchestrator-nb stop {run.id}"
        )
    try:
        print(told, flush=True)
    except OSError:  # it has begun all the same, and somebody may look for it
        point_at_nothing()
        with suppress(OSError):
            print(told, file=sys.stderr)


def _attach(run: str, store: str | None) -> Any:
    from orchestrator_nb.orchestrator.attaching import attach

    return attach(run, store=store)
