"""The verbs of the command line, as typer knows them; the rooms that do the work are imported by the verb that needs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator_nb.cli import analytics, checkpoints, control, init, records
from orchestrator_nb.cli.exits import COMPLETED, MEANINGS
from orchestrator_nb.cli.kernels import kernels
from orchestrator_nb.cli.options import (
    DecideOption,
    DurabilityOption,
    Failed,
    From,
    Json,
    Only,
    OverlapOption,
    ProgressOption,
    ReuseOption,
    RunName,
    Slots,
    Store,
    Target,
    Until,
)
from orchestrator_nb.cli.parameters import Files, PairsCommand, Raw, Texts, Typed, collect
from orchestrator_nb.cli.verb import Verb
from orchestrator_nb.errors import RunSkipped
from orchestrator_nb.orchestrator.verbs import VERBS
from orchestrator_nb.version import VERSION

app = typer.Typer(
    name="orchestrator-nb",
    help="Run workflows of notebooks, Python functions and shell commands; a run that was killed goes on.",
    epilog=MEANINGS,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"orchestrator-nb {VERSION}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Take the options that come before a verb."""


@app.command(cls=PairsCommand, short_help=VERBS["run"])
def run(
    target: Target,
    parameters: Typed = None,
    raw: Raw = None,
    files: Files = None,
    texts: Texts = None,
    as_json: Json = False,
    progress: ProgressOption = None,
    store: Store = None,
    slots: Slots = None,
    durability: DurabilityOption = None,
    overlap: OverlapOption = None,
    only: Only = None,
    start_from: From = None,
    until: Until = None,
    failed: Failed = False,
    reuse: ReuseOption = False,
    decide: DecideOption = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return at once; a process of its own drives the run.")
    ] = False,
) -> None:
    """Run a workflow and wait for its end. An interrupt pauses it; it can be resumed."""
    from orchestrator_nb.cli.drive import drive
    from orchestrator_nb.journal.store import find_store

    flow = _workflow(target)
    given = collect(parameters, raw, files, texts)
    options: dict[str, Any] = {
        "wait": False,
        "store": find_store(store),
        "slots": slots,
        "durability": durability.value if durability else None,
        "overlap": overlap.value if overlap else None,
        "only": only or (),
        "start_from": start_from or (),
        "until": until or (),
        "failed": failed,
        "reuse": reuse,
        "decide": decide.value if decide else None,
        "parameters": given.values,
        "text_parameters": given.texts,
    }
    try:
        if detach:
            control.tell_detached(flow.start(detach=True, **options), as_json=as_json)
            return
        code = drive(
            lambda display: flow.start(observers=(display,), **options),
            progress=progress.value if progress else None,
            as_json=as_json,
        )
    except RunSkipped as skipped:
        _tell_skipped(skipped, as_json=as_json)
        return
    raise typer.Exit(code)


@app.command(cls=PairsCommand, short_help=VERBS["plan"])
def plan(
    target: Target,
    parameters: Typed = None,
    raw: Raw = None,
    files: Files = None,
    texts: Texts = None,
    as_json: Json = False,
    slots: Annotated[int | None, typer.Option(help="Plan for so many commands at a time.", min=1)] = None,
    svg: Annotated[Path | None, typer.Option(help="Draw the graph into this file.", dir_okay=False)] = None,
    store: Store = None,
    only: Only = None,
    start_from: From = None,
    until: Until = None,
    failed: Failed = False,
    reuse: ReuseOption = False,
) -> None:
    """Check everything and show what would run, in which order and how long, without running anything."""
    from orchestrator_nb.cli.plans import plan_json
    from orchestrator_nb.definition.parameters import bind_parameters

    flow = _workflow(target)
    given = collect(parameters, raw, files, texts)
    bound = bind_parameters(flow.definition.parameters, given.values, text=given.texts)
    planned = flow.plan(
        bound,
        slots=slots,
        store=store,
        only=only or (),
        start_from=start_from or (),
        until=until or (),
        failed=failed,
        reuse=reuse,
    )
    if svg is not None:
        from orchestrator_nb.data.flush import save_text

        save_text(svg, planned.to_svg())
    print(plan_json(planned) if as_json else planned)


@app.command(cls=Verb, short_help=VERBS["status"])
def status(run: RunName = "latest", as_json: Json = False, store: Store = None) -> None:
    """Show how a run stands, whoever owns it."""
    from msgspec import to_builtins

    from orchestrator_nb.orchestrator.attaching import attach

    found = attach(run, store=store).status()
    print(json.dumps(to_builtins(found), ensure_ascii=False) if as_json else found)


@app.command(cls=Verb, short_help=VERBS["resume"])
def resume(
    run: RunName = "latest",
    as_json: Json = False,
    progress: ProgressOption = None,
    store: Store = None,
    accept_changes: Annotated[
        bool,
        typer.Option("--accept-changes", help="Keep the results of commands that succeeded and have changed since."),
    ] = False,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="End the process of this host that owns the run, frozen perhaps.")
    ] = False,
    start_from: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="NAMES", help="Run these again, and everything after them.", show_default=False),
    ] = None,
    overlap: OverlapOption = None,
    decide: DecideOption = None,
) -> None:
    """Go on with a run that was killed, paused, stopped or failed; what succeeded is not run again."""
    from orchestrator_nb.cli.drive import drive
    from orchestrator_nb.orchestrator.attaching import attach, resume_run

    found = attach(run, store=store)
    if found.result.exit_code == COMPLETED and not found.is_running and not start_from:
        told = f"{found.id} is completed: there is nothing to resume"
        print(json.dumps({**found.result.to_plain(), "exit_code": COMPLETED}, ensure_ascii=False) if as_json else told)
        return
    if not take_over and not start_from and control.resume_live(found):
        return
    try:
        code = drive(
            lambda display: resume_run(
                found.id,
                store=found.folder.parent,
                wait=False,
                accept_changes=accept_changes,
                take_over=take_over,
                start_from=start_from or (),
                overlap=overlap.value if overlap else None,
                decide=decide.value if decide else None,
                observers=(display,),
            ),
            progress=progress.value if progress else None,
            as_json=as_json,
        )
    except RunSkipped as skipped:
        _tell_skipped(skipped, as_json=as_json)
        return
    raise typer.Exit(code)


def _tell_skipped(skipped: RunSkipped, *, as_json: bool) -> None:
    """Say that nothing was done, since another run of the workflow is under way. Raises what it is given for people."""
    if not as_json:
        raise skipped
    print(json.dumps({"skipped": str(skipped), "exit_code": skipped.exit_code}, ensure_ascii=False))


@app.command(cls=Verb, short_help=VERBS["schema"])
def schema() -> None:
    """Print the JSON Schema of definitions, for editors that complete and check YAML."""
    from orchestrator_nb.definition.schema import json_schema

    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))


@app.command(cls=Verb, short_help=VERBS["demo"])
def demo(
    folder: Annotated[str, typer.Argument(metavar="[FOLDER]", help="Where to put the project.")] = "orchestrator-demo",
    no_run: Annotated[bool, typer.Option("--no-run", help="Only put it there.")] = False,
    as_json: Json = False,
    progress: ProgressOption = None,
    store: Store = None,
) -> None:
    """Put a small real project into a folder and run it: penguins, notebooks, a report."""
    from orchestrator_nb.cli.demo import DEFINITION, copy_demo, what_next
    from orchestrator_nb.cli.drive import drive
    from orchestrator_nb.journal.store import find_store

    place = Path(folder)
    copied = copy_demo(place)
    if not as_json:
        print(f'the demo project is in "{place}" ({len(copied)} files written)')
    if no_run:
        print(f"run it: orchestrator-nb run {place / DEFINITION}")
        return
    flow = _workflow(str(place / DEFINITION))
    code = drive(
        lambda display: flow.start(wait=False, store=find_store(store), observers=(display,)),
        progress=progress.value if progress else None,
        as_json=as_json,
        ending=lambda result: what_next(result, place),
    )
    raise typer.Exit(code)


for verb in (
    control.watch,
    control.why,
    control.metrics,
    control.logs,
    control.pause,
    control.stop,
    control.accept,
    checkpoints.checkpoints,
    checkpoints.rollback,
    control.decisions,
    control.escalate,
    control.save,
    control.restore,
    records.history,
    analytics.trends,
    analytics.report,
    analytics.dashboard,
    analytics.rate,
    records.prune,
    records.audit,
    init.init,
):
    app.command(cls=Verb, short_help=VERBS[verb.__name__])(verb)
app.command(cls=PairsCommand, short_help=VERBS["decide"])(control.decide)
app.add_typer(kernels, name="kernels", short_help=VERBS["kernels"])


def _workflow(target: str) -> Any:
    from orchestrator_nb.orchestrator.target import workflow_of

    return workflow_of(target)
