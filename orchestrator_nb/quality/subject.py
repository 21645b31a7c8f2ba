"""What a gate looks at, and what it is given to look with: results, earlier results, programs, a place for evidence."""

from __future__ import annotations

import contextvars
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator_nb.commands.output import Excerpt, Pump
from orchestrator_nb.commands.processes import MARK, Tree, marks, start
from orchestrator_nb.data.redaction import REDACTOR
from orchestrator_nb.data.secret_values import environment_with
from orchestrator_nb.definition.expressions import follow
from orchestrator_nb.definition.models import CommandDefinition, GateDefinition
from orchestrator_nb.errors import Cancelled, UsageError
from orchestrator_nb.events import Stored
from orchestrator_nb.ports import Attempt, Gate, Verdict
from orchestrator_nb.quality.expressions import parsed
from orchestrator_nb.quality.lookups import Lookups
from orchestrator_nb.quality.past import Past
from orchestrator_nb.state.records import CommandRecord

LONGEST = 300.0
"""Seconds that a gate has, where nothing is said."""

PRINTED = 256 * 1024
"""Bytes that are kept of what a program prints, half of it its head and half its tail."""


class GateSubject:
    """`ports.Subject` for one gate, with the time that it has."""

    def __init__(self, attempt: Attempt, record: CommandRecord, gate: GateDefinition, *, past: Past) -> None:
        work = attempt.work
        self.command = work.command
        self.definition: CommandDefinition | None = work.definition if work.command else None
        self.record = record
        self.options: Mapping[str, Any] = gate.options
        self.parameters: Mapping[str, Any] = work.parameters
        self.folder = work.folder
        self.run_folder = work.run_folder
        self._attempt = attempt
        self._past = past
        self._seconds = gate.timeout or LONGEST
        self._deadline = time.monotonic() + self._seconds
        self._tree: Tree | None = None
        self._over = threading.Event()

    # ── for the gate ────────────────────────────────────────────────────────────────────────────────────────────

    def value(self, name: str) -> Any:
        """Return a value by the name that it has in expressions; whole tables and files included."""
        lookups = Lookups(self._attempt.work, self.record, past=self._past)
        whole = lookups.stored(name) if self.command else None
        if whole is not None:
            return self._attempt.load(whole)
        names = parsed(name).names
        if len(names) != 1:
            raise UsageError(f'"{name}" is no name of a value')
        root, keys = names[0].root, names[0].keys
        work = self._attempt.work
        if root in work.inputs:
            recorded = work.recorded.get(root, {})
            if keys and str(keys[0]) in recorded:
                return self._attempt.load(recorded[str(keys[0])])
            items = work.inputs[root].items or {}
            if keys and str(keys[0]) in items:
                return self._attempt.load(items[str(keys[0])])
            if not keys:
                return self._attempt.load(work.inputs[root])
        return follow(lookups(names[0]), names[0], (), name)

    def earlier(self) -> Iterable[CommandRecord]:
        """Yield what the command came to in earlier runs that completed, the latest first."""
        return (earlier.record for earlier in self._past(self.command))

    def history(self) -> Iterable[tuple[CommandRecord, Path]]:
        """Yield the same with the folder of each run."""
        return ((earlier.record, earlier.folder) for earlier in self._past(self.command))

    def keep(self, content: str | bytes | Path, name: str) -> Stored:
        """Keep evidence among the artifacts of the run, with the secrets taken out of text."""
        if isinstance(content, Path):
            return self._attempt.store(content, at=name)
        if isinstance(content, str):
            content = REDACTOR.text(content).encode()
        with tempfile.TemporaryDirectory(prefix="orchestrator-nb-gate-") as place:
            path = Path(place) / name
            path.write_bytes(content)
            return self._attempt.store(path, at=name)

    def program(
        self, argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Run a program to its end within the time of the gate; see `ports.Subject`."""
        work = self._attempt.work
        mark = marks(work.run_folder, work.command or "run", work.attempt)
        environment = {**environment_with(), **mark, **(env or {})}
        process = start(argv, env=environment, cwd=cwd or self.folder, stderr=subprocess.STDOUT)
        self._tree = tree = Tree(process.pid, mark=mark[MARK])
        printed = Excerpt(PRINTED)
        pump = Pump(process.stdout, printed.write)
        try:
            code = process.wait(0.0 if self._over.is_set() else max(0.0, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            tree.kill()
            process.wait()
            raise self._late() from None
        finally:
            pump.let_go()
            self._tree = None
        return code, REDACTOR.text(printed.text)

    # ── for whoever carries it out ──────────────────────────────────────────────────────────────────────────────

    def within_time(self, gate: Gate) -> Verdict:
        """Return what the gate finds. Raises what it raises, TimeoutError when its time is over, and Cancelled when the
        step is ended; then what it has started is ended, and what it may still find is dropped."""
        found: list[Verdict] = []
        raised: list[BaseException] = []

        def work() -> None:
            try:
                found.append(_verdict(gate.verdict(self)))
            except BaseException as error:  # noqa: BLE001 - handed over
                raised.append(error)
            self._over.set()

        self._attempt.on_end(self._end, timed=False)
        context = contextvars.copy_context()
        threading.Thread(
            target=context.run, args=(work,), name=f"orchestrator_nb gate {gate.name}", daemon=True
        ).start()
        in_time = self._over.wait(self._seconds + 5.0)  # a program that is late is ended first
        if raised:
            raise raised[0]
        if found:
            return found[0]
        if in_time:
            raise Cancelled
        raise self._late()

    def _end(self, grace: float) -> None:
        tree = self._tree
        if tree is not None:
            tree.end(grace)
        self._over.set()

    def _late(self) -> TimeoutError:
        return TimeoutError(f"it was given up after {self._seconds:g} s; `timeout` gives it more")


def _verdict(found: Any) -> Verdict:
    """Return what a gate gave, which has to be a verdict."""
    if not isinstance(found, Verdict):
        raise TypeError(f"a gate gives a Verdict; found {type(found).__name__}")
    return found
