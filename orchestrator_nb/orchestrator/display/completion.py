"""The plan to complete a run that did not come to all that was wanted: what is there already, what is missing, what to
type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from orchestrator_nb.orchestrator.display.shown import listed
from orchestrator_nb.state.records import CommandRecord
from orchestrator_nb.state.standing import told_of_milestones
from orchestrator_nb.state.transitions import ENDED, GOOD

MANY = 20
"""So many commands are named in one line at the most."""
GO_ON = "to go on"
"""With this a next step begins that resumes the run."""


def completion_plan(
    state: str,
    *,
    commands: Mapping[str, CommandRecord],
    deviations: Mapping[str, tuple[str, ...]],
    milestones: Mapping[str, bool],
    next_steps: Sequence[str] = (),
) -> Iterator[str]:
    """Yield what there is to deliver, which commands are to be mended, which follow by themselves, which came about in
    another way than planned, and what to type; nothing of a run that is under way or complete without deviations.

    `state` is the run's; `milestones` say of each whether it is reached.
    """
    missing = [name for name, record in commands.items() if record.state not in GOOD]
    other_way = [name for name, record in commands.items() if name in deviations and record.state in GOOD]
    if state not in (*ENDED, "paused") or (not missing and not other_way):
        return
    if milestones:
        yield told_of_milestones(milestones)
    broken = [name for name in missing if commands[name].state in ("failed", "crashed", "waiting")]
    if broken:
        yield f"to be mended: {listed(broken, MANY)}"
    following = [name for name in missing if name not in broken]
    if following:
        yield f"to be run{' once that is done' if broken else ''}: {listed(following, MANY)}"
    step = next((step for step in next_steps if step.startswith(GO_ON)), "")
    if other_way:
        yield f"done in another way than planned, or left out: {listed(other_way, MANY)}"
    if missing:
        yield step or f"{GO_ON}: resume it"
    elif step:
        yield f"to have them as planned: {_from(other_way, step.removeprefix(GO_ON).partition(': ')[2])}"


def _from(commands: Sequence[str], step: str) -> str:
    """Return a step by which a run goes on so that it runs these commands again."""
    if step.endswith(".resume()"):
        return f"{step[:-1]}start_from={list(commands)!r})"
    return f"{step} --from {','.join(commands)}"
