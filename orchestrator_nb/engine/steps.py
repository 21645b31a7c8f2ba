"""Handing out what is done besides commands: each step once, the next one of a command when the one before is answered."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from orchestrator_nb.events import GATE
from orchestrator_nb.ports import Executor, Step, Work
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.step_facts import MERGE


class Steps:
    """What was handed out and is not answered. A loop that begins has handed out nothing: what is due is done anew."""

    def __init__(self, executor: Executor, make_work: Callable[[str, RunState], Work]) -> None:
        self._executor = executor
        self._make_work = make_work
        self.handed: frozenset[tuple[str, int, str, bool]] = frozenset()

    def hand_out(self, state: RunState) -> None:
        """Hand out the steps that are due, the first of each command; those of the run when no command has one left.

        Of the merges one at a time: each sees what the one before has made of the shared state.
        """
        due = {
            # One name may be due twice of an attempt: for what it gave, and, when that is refused, for what it left.
            (
                command,
                state.commands[command].attempt if command else state.run.moments,
                steps[0],
                not command or state.commands[command].state == "running",
            )
            for command, steps in state.due.items()
            if command or len(state.due) == 1
        }
        merges = [step for step in due if step[2] == MERGE]
        if len(merges) > 1:
            due.difference_update(merges)
            due.add(next((step for step in merges if step in self.handed), min(merges)))
        before, self.handed = self.handed, frozenset(due)
        for command, attempt, name, _ in sorted(due - before):
            self._executor.carry_out(self._step(command, attempt, name, state))

    def _step(self, command: str, attempt: int, name: str, state: RunState) -> Step:
        if not command:
            work = self._make_work("", state) if name.startswith(GATE) else None
            return Step(name=name, moment=state.run.moment, work=work)
        work, record = self._make_work(command, state), state.commands[command]
        if name == MERGE:
            work = replace(work, shared=state.shared)  # all of it, whatever the command declares to read
        return Step(name=name, moment="command", command=command, attempt=attempt, work=work, record=record)
