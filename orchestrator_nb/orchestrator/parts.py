"""A part of a workflow as a run of its own: what is selected runs, and what it needs of the rest comes from earlier runs."""

from __future__ import annotations

from collections.abc import Collection

from orchestrator_nb.errors import UsageError
from orchestrator_nb.orchestrator.earlier_results import EarlierResults, Kept
from orchestrator_nb.plan.access import Access
from orchestrator_nb.plan.key import handed_on
from orchestrator_nb.plan.plan import Plan
from orchestrator_nb.plan.selection import Selection, closure, select
from orchestrator_nb.transitions import GOOD


def choose(selection: Selection, plan: Plan, earlier: EarlierResults) -> tuple[str, ...]:
    """Return the ids that are selected. Raises UsageError, also where nothing failed and that was asked for."""
    failed = _failed(plan, earlier) if selection.failed else ()
    return select(selection, plan, failed=failed)


def given_to(plan: Plan, selected: Collection[str], earlier: EarlierResults) -> dict[str, Kept]:
    """Return the results of earlier runs that the selected commands take of the others, by id.

    Raises UsageError naming every result and file that is not there.
    """
    chosen = tuple(name for name in plan.order if name in set(selected))
    given: dict[str, Kept] = {}
    wrong: list[str] = []

    def latest(name: str) -> Kept | None:
        return next((kept for kept in earlier.of(name) if handed_on(kept.record)), None)

    for name in chosen:
        for other in plan.upstream[name]:
            if other in given or other in chosen:
                continue
            kept = latest(other)
            if kept is not None:
                given[other] = kept
            elif other in plan.inputs[name]:
                wrong.append(
                    f'"{name}" needs the result of "{other}", which is not selected, and no earlier run in the store '
                    f"has one; select it too: --only +{name} (everything upstream), or --from {other}"
                )
    if not wrong:
        wrong = _missing_files(plan, chosen)
    if wrong:
        raise UsageError("\n".join(wrong))
    # What was shared further up can be seen from here.
    for other in closure(chosen, plan.upstream).difference(chosen, given):
        kept = latest(other)
        if kept is not None and kept.record.shared:
            given[other] = kept
    return {name: given[name] for name in plan.order if name in given}


def _missing_files(plan: Plan, chosen: Collection[str]) -> list[str]:
    """Return in words which files are read that are not there and that nothing selected writes."""
    definitions = [plan.commands[name] for name in chosen]
    access = Access(definitions, folder=plan.folder, parameters=plan.parameters)
    return [
        f'"{definitions[number].id}" reads what is not there: {mistake.message.replace("no command", "nothing selected")}'
        for number, mistake in access.missing(settled=())
    ]


def _failed(plan: Plan, earlier: EarlierResults) -> list[str]:
    """Return the commands that did not succeed in the latest run. Raises UsageError where there is none, or nothing."""
    latest = next(earlier.runs(), None)
    name = plan.definition.workflow
    if latest is None:
        raise UsageError(f'no run of "{name}" is in the store: there is none in which a command could have failed')
    known = latest.state.commands
    found = [
        command
        for command in plan.order
        if (known[command].state not in GOOD if command in known else not latest.state.run.left_out)
    ]
    if not found:
        raise UsageError(f'nothing failed in the latest run, "{latest.folder.name}": there is nothing to run again')
    return found
