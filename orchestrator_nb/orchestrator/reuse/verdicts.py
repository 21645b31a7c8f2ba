"""Which commands are up to date, and in what the others are not as they were."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from orchestrator_nb import events as e
from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.definition.matrix import expand
from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.definition.references import secrets_in
from orchestrator_nb.errors import OrchestratorError, StoreError
from orchestrator_nb.orchestrator.display.result import ARTIFACTS
from orchestrator_nb.orchestrator.earlier.results import EarlierResults, Kept
from orchestrator_nb.orchestrator.frozen import Frozen
from orchestrator_nb.plan.contents import Contents
from orchestrator_nb.plan.fingerprint import canonical
from orchestrator_nb.plan.key import SHARED, changed_parts, handed_on, inputs_of, visible_parameters, why_never
from orchestrator_nb.plan.plan import Plan
from orchestrator_nb.plan.shared_before import SharedBefore
from orchestrator_nb.ports import Command, Work
from orchestrator_nb.state.records import CommandRecord
from orchestrator_nb.state.sharing import by_function
from orchestrator_nb.state.trigger_rules import DEFAULT

_SHOWN = 3
"""So many parameters that changed are named with their values."""


UP_TO_DATE = "up to date"
"""What a verdict says of a command that does not have to run."""


class Verdict(Struct, frozen=True, kw_only=True):
    """Whether a command runs, as far as that can be known: `says` is ``up to date``, ``runs`` or ``depends``.

    `reason` says why: the run from which its result comes, what is not as it was, or on what it depends: what upstream
    commands will give, its condition, its trigger rule.
    """

    says: str
    reason: str

    def __str__(self) -> str:
        return {UP_TO_DATE: f"up to date, {self.reason}", "runs": f"runs: {self.reason}"}.get(
            self.says, f"depends on {self.reason}"
        )


class Reuse:
    """Compares the commands of a plan with what earlier runs kept. Safe in any thread.

    `keys` are those of the plan's commands. The code, the options, the visible parameters, what upstream commands hand
    on and the files that are read have to be what they were, and the files that were written have to be as they were
    left.
    """

    def __init__(
        self,
        *,
        plan: Plan,
        commands: Mapping[str, Command],
        keys: Mapping[str, str],
        earlier: EarlierResults,
        given: Mapping[str, CommandRecord] | None = None,
    ) -> None:
        """`given` are results that are there already, of commands that are not selected."""
        self._plan = plan
        self._commands = commands
        self._keys = keys
        self._earlier = earlier
        self._given = given or {}
        self._contents = Contents()
        self._shared = SharedBefore(plan.upstream)
        self._frozen: dict[Path, tuple[Frozen, Mapping[str, CommandDefinition]]] = {}

    def forecast(self) -> dict[str, Verdict]:
        """Return the verdict on each command of the plan, in its order, before anything has run. Raises StoreError."""
        verdicts: dict[str, Verdict] = {}
        records = dict(self._given)
        for name in self._plan.order:
            if name not in self._given:
                verdicts[name], kept = self._foresee(name, records)
                if kept is not None:
                    records[name] = kept.record
        return verdicts

    def beginning(self, folder: Path, now: float, *, durable: bool) -> list[e.Event]:
        """Take over what is known to be up to date before anything runs, and return the facts. Raises StoreError."""
        from orchestrator_nb.orchestrator.reuse.taking_over import take_over

        facts: list[e.Event] = []
        records = dict(self._given)
        for name in self._plan.order:
            if name in self._given:
                continue
            _, kept = self._foresee(name, records)
            if kept is None:
                continue
            try:
                facts.append(take_over(kept, name, folder=folder, now=now, reason=_from(kept), durable=durable))
            except StoreError:
                continue  # looked at once more when its turn comes, and told then
            records[name] = kept.record
        return facts

    def check(self, work: Work, records: Mapping[str, CommandRecord], *, durable: bool) -> e.Event | None:
        """Look at a command whose turn has come: return the `CommandReused` that answers its attempt, or why it runs.

        One that was opened anew runs, and nothing is said of it.
        """
        from orchestrator_nb.orchestrator.reuse.taking_over import take_over

        if work.generation > 1:
            return None
        name = work.command
        try:
            verdict, kept = self._judge(name, records)
            reason = verdict.reason
            if kept is not None:
                return take_over(
                    kept,
                    name,
                    folder=work.run_folder,
                    now=time.time(),
                    reason=_from(kept),
                    durable=durable,
                    attempt=work.attempt,
                )
        except Exception as error:  # noqa: BLE001 - whatever is wrong with an earlier run, the command can run
            said = str(error) if isinstance(error, OrchestratorError) else f"{type(error).__name__}: {error}"
            reason = f"its earlier result cannot be taken over: {said}"
        if work.attempt > 1:
            return None
        return e.ReuseDeclined(at=time.time(), command=name, attempt=work.attempt, reason=reason)

    def _foresee(self, name: str, records: Mapping[str, CommandRecord]) -> tuple[Verdict, Kept | None]:
        """Return what `_judge` does, for before the run: one with a condition or a trigger rule of its own may be
        skipped, so that nothing is taken over before that was asked."""
        verdict, kept = self._judge(name, records)
        definition = self._plan.commands[name]
        if verdict.says != "runs" and definition.when is not None:
            return Verdict(says="depends", reason=f"its condition: {' '.join(definition.when.split())}"), None
        if verdict.says != "runs" and definition.trigger_rule != DEFAULT:
            return Verdict(says="depends", reason=f"its trigger rule {definition.trigger_rule}"), None
        return verdict, kept

    def _judge(self, name: str, records: Mapping[str, CommandRecord]) -> tuple[Verdict, Kept | None]:
        """Return the verdict on a command, `records` being what there is of its upstream, and the result if it fits."""
        if not self._keys[name]:
            never = why_never(name, plan=self._plan, commands=self._commands)
            return Verdict(says="runs", reason=never or "nothing is known of its code"), None
        upstream = self._plan.upstream[name]
        missing = [other for other in upstream if other not in records]
        inputs = None if missing else inputs_of(name, upstream, records, shared=self._shared)
        reason, may_fit = "", False
        for kept in self._earlier.of(name):
            differences = list(self._differences(name, kept, inputs))
            if not differences and inputs is not None:
                return Verdict(says=UP_TO_DATE, reason=_from(kept)), kept
            may_fit = may_fit or not differences
            reason = reason or "; ".join(differences)
        if may_fit:
            names = ", ".join(f'"{other}"' for other in missing)
            return Verdict(says="depends", reason=f"what {names} will give"), None
        return Verdict(says="runs", reason=reason or "no earlier run has a result of it"), None

    def _differences(self, name: str, kept: Kept, inputs: Mapping[str, str] | None) -> Iterator[str]:
        """Yield in words what is not as it was; files are looked at only where all the rest is."""
        if not handed_on(kept.record):
            yield "its earlier result was kept in the memory of its process only"
            return
        if not kept.key:
            yield "what its earlier result was made with is not known"
            return
        merged = by_function(kept.record.shared or {}, self._plan.definition.merge)
        if merged:
            yield f'its change of shared["{merged[0]}"] is merged by a function, which has to be done anew'
            return
        found = [self._said(part, name, kept) for part in changed_parts(kept.key, self._keys[name])]
        if inputs is not None:
            found += _changed_inputs(kept.inputs, inputs)
        yield from found
        if not found and inputs is not None:
            yield from self._changed_files(name, kept.record)
            yield from _gone(kept)

    def _said(self, part: str, name: str, kept: Kept) -> str:
        if part == "code":
            return "its code changed"
        if part == "secrets":
            asked = ", ".join(dict.fromkeys(secret for secret, _ in secrets_in(self._plan.commands[name])))
            return f"the value of a secret changed ({asked})" if asked else "its secrets changed"
        try:
            before, commands = self._before(kept.folder)
            was = commands[name]
        except (OrchestratorError, KeyError):
            return f"its {part} changed"
        now = self._plan.commands[name]
        if part == "options":
            one, other = canonical(was), canonical(now)
            names = [key for key in {**one, **other} if key != "parameters" and one.get(key) != other.get(key)]
            return f"its options changed ({', '.join(sorted(names))})" if names else "its options changed"
        seen = visible_parameters(name, plan=self._plan, commands=self._commands)
        one = {**{key: before.parameters.get(key) for key in seen}, **was.parameters}
        other = {**{key: self._plan.parameters[key] for key in seen}, **now.parameters}
        changes = [
            f"{key}: {_short(one[key]) if key in one else 'not given'} → "
            f"{_short(other[key]) if key in other else 'not given'}"
            for key in {**one, **other}
            if one.get(key) != other.get(key) or (key in one) != (key in other)
        ]
        more = f" and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
        return f"parameters changed ({', '.join(changes[:_SHOWN])}{more})" if changes else "parameters changed"

    def _before(self, folder: Path) -> tuple[Frozen, Mapping[str, CommandDefinition]]:
        """Return how an earlier run was started, and its commands, cells among them. Raises StoreError."""
        known = self._frozen.get(folder)
        if known is None:
            frozen = Frozen.read(folder)
            commands = expand(frozen.definition, frozen.parameters).commands
            known = self._frozen[folder] = (frozen, {command.id: command for command in commands})
        return known

    def _changed_files(self, name: str, record: CommandRecord) -> Iterator[str]:
        definition, plan = self._plan.commands[name], self._plan
        for texts, known, is_read in (
            (definition.reads, record.reads or {}, True),
            (definition.writes, record.writes or {}, False),
        ):
            now = self._contents.of(texts, definition, folder=plan.folder, parameters=plan.parameters) if texts else {}
            for text in texts:
                if text not in now:
                    yield f'"{text}" cannot be read'
                elif text not in known:
                    yield f'"{text}" was not among its {"reads" if is_read else "writes"}'
                elif now[text] != known[text]:
                    yield _file_change(text, known[text], now[text], is_read=is_read)


def _changed_inputs(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in {**before, **now}:
        if name == SHARED:
            if before.get(name) != now.get(name):
                yield "the shared state changed"
        elif name not in before:
            yield f'it follows "{name}" now'
        elif name not in now:
            yield f'it does not follow "{name}" any more'
        elif not before[name] or not now[name]:
            yield f'the result of "{name}" is kept in the memory of its process only and cannot be compared'
        elif before[name] != now[name]:
            yield f'the result of "{name}" changed'


def _file_change(text: str, was: str | None, now: str | None, *, is_read: bool) -> str:
    if was is None:
        return f'"{text}" is there now' if is_read else f'"{text}", which it did not write, is there now'
    if now is None:
        return f'"{text}" is gone' if is_read else f'"{text}", which it wrote, is gone'
    return f'"{text}" changed' if is_read else f'"{text}" is not as it wrote it'


def _gone(kept: Kept) -> Iterator[str]:
    from orchestrator_nb.orchestrator.reuse.taking_over import hashes

    artifacts = Artifacts(kept.folder / ARTIFACTS)
    for sha256 in hashes(kept.record):
        try:
            artifacts.path(sha256)
        except StoreError as error:
            yield f"its earlier result is not whole: {error}"
            return


def _from(kept: Kept) -> str:
    return f"reused from {kept.origin}"


def _short(value: Any) -> str:
    if isinstance(value, str):
        text = value
    else:
        try:
            text = json.dumps(value, ensure_ascii=False)
        except (TypeError, ValueError):
            text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
