"""A part of a workflow as a run of its own: what is selected runs, and what it needs of the rest comes from earlier runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from orchestrator_nb.errors import UsageError
from orchestrator_nb.orchestrator.earlier.results import EarlierResults, Kept
from orchestrator_nb.plan.access import Access
from orchestrator_nb.plan.key import handed_on
from orchestrator_nb.plan.plan import Plan
from orchestrator_nb.plan.selection import Selection, closure, select
from orchestrator_nb.state.transitions import GOOD
from orchestrator_nb.state.trigger_rules import tally_of, verdict


def choose(selection: Selection, plan: Plan, earlier: EarlierResults) -> tuple[str, ...]:
    """Return the ids that are selected. Raises UsageError, also where nothing failed and that was asked for."""
    failed = _failed(plan, earlier) if selection.failed else ()
    return select(selection, plan, failed=failed)


def given_to(plan: Plan, selected: Collection[str], earlier: EarlierResults) -> dict[str, Kept]:
    """Return the results of earlier runs that the selected commands take of the others, by id.

    A command that gathers the cells of a matrix is given those that there are where its trigger rule would let it start
    although the others had failed. Raises UsageError naming every result and file that is not there.
    """
    chosen = tuple(name for name in plan.order if name in set(selected))
    given: dict[str, Kept] = {}
    wrong: list[str] = []

    def latest(name: str) -> Kept | None:
        return next((kept for kept in earlier.of(name) if handed_on(kept.record)), None)

    for name in chosen:
        lacking = []
        for other in plan.upstream[name]:
            if other in given or other in chosen:
                continue
            kept = latest(other)
            if kept is not None:
                given[other] = kept
            elif other in plan.inputs[name]:
                lacking.append(other)
        wrong += _lacking(name, lacking, plan)
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


def _lacking(name: str, lacking: Sequence[str], plan: Plan) -> Iterator[str]:
    """Yield in words what a command cannot do without of what it needs and no earlier run has, and what to type."""
    gathered = plan.fan_ins.get(name, {})
    for base, fan_in in gathered.items():
        missing = [cell for cell in fan_in.cells.values() if cell in lacking]
        if not missing or (not fan_in.one and _starts_without(missing, name, plan)):
            continue
        names = ", ".join(f'"{cell}"' for cell in missing)
        yield (
            f'"{name}" needs "{base}", and no earlier run in the store has a result of its '
            f"{'cell' if len(missing) == 1 else 'cells'} {names}; select what is missing too: "
            f"--only {','.join((*missing, name))}, or let it go on with the results that there are: trigger_rule: all_done"
        )
    cells = {cell for fan_in in gathered.values() for cell in fan_in.cells.values()}
    for other in lacking:
        if other not in cells:
            yield (
                f'"{name}" needs the result of "{other}", which is not selected, and no earlier run in the store '
                f"has one; select it too: --only +{name} (everything upstream), or --from {other}"
            )


def _starts_without(missing: Collection[str], name: str, plan: Plan) -> bool:
    """Tell whether a command would start in a run in which these of its upstream had failed, and no others."""
    states = ("failed" if other in missing else "succeeded" for other in plan.upstream[name])
    return verdict(plan.commands[name].trigger_rule, tally_of(states)) == "start"


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
