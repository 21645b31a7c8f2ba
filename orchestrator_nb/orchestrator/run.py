"""A run as its user holds it: to look at, to wait for, to steer."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator_nb import events as e
from orchestrator_nb.definition.names import instead
from orchestrator_nb.engine.requests import Accept, Decide, Escalate, Fail, Pause, Request, Resume, Stop, Tell
from orchestrator_nb.errors import RunFailed, RunNotRunning, RunRefused, StoreError, UsageError
from orchestrator_nb.journal.file import read
from orchestrator_nb.journal.follow import Follower
from orchestrator_nb.journal.owner import is_owned
from orchestrator_nb.journal.store import JOURNAL
from orchestrator_nb.orchestrator.control.asking import Answer
from orchestrator_nb.orchestrator.control.driver import Driver
from orchestrator_nb.orchestrator.display.compliance import Compliance, compliance_of
from orchestrator_nb.orchestrator.display.decisions import Decision, decisions_of, plain_parameters
from orchestrator_nb.orchestrator.display.looks import Looks
from orchestrator_nb.orchestrator.display.result import RunResult, result_of
from orchestrator_nb.orchestrator.display.run_metrics import RunMetrics
from orchestrator_nb.orchestrator.display.status import Status
from orchestrator_nb.orchestrator.display.why import Why, why
from orchestrator_nb.orchestrator.rollbacks.run_files import GoesBack
from orchestrator_nb.orchestrator.run_figures import RunFigures
from orchestrator_nb.state.run_state import RunState

GoOn = Callable[..., Any]
"""Takes up a run that nobody owns: called with its id, ``store=`` and ``wait=False``, it returns the `Run`."""

LOOK_EVERY = 0.2
"""Seconds between two looks at a run of another process."""


class Run(GoesBack, Looks, RunFigures):
    """A run, whoever owns it: this process, another, or nobody.

    `id` is its name in the store, `folder` where its files are.
    """

    def __init__(
        self,
        folder: Path,
        *,
        session: Driver | None = None,
        in_session: str | None = None,
        go_on: GoOn | None = None,
        today: Callable[[Path], Any] | None = None,
    ) -> None:
        """`in_session` names the notebook or program whose functions it needs, if it can be resumed only there;
        `go_on` takes it up when nobody owns it, `today` opens its workflow as it is now."""
        self.folder = folder
        self.id = folder.name
        self._own = session
        self._in_session = in_session
        self._go_on = go_on
        self._today = today
        self._follower = Follower(folder / JOURNAL)
        self._reading = threading.Lock()

    @property
    def _session(self) -> Driver | None:
        """The session of this process, as long as nobody else has gone on with the run."""
        return self._own if self._own is not None and self._own.is_current else None

    # ── looking ─────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def state(self) -> RunState:
        """The state as of the last durable turn. Raises StoreError when the journal cannot be read."""
        session = self._session
        if session is not None and not session.is_doubtful:
            return session.state
        with self._reading:
            return self._follower.catch_up()

    def status(self) -> Status:
        """Return how it stands, as an object that prints as a table."""
        return Status.of(self.id, self.state, owned=self.is_running, live=self.live())

    @property
    def result(self) -> RunResult:
        """What it has come to so far; complete once it has ended."""
        state, session = self.state, self._session
        live = session.live if session is not None else None
        return result_of(state, self.folder, live=live, next_steps=self._next_steps(state))

    @property
    def is_running(self) -> bool:
        """True while a living process owns it, this one or another."""
        session = self._session
        if session is not None:
            return not session.is_over
        return is_owned(self.folder)

    def live(self) -> dict[str, dict[str, Any]]:
        """Return how far the commands under way are: by id their ``attempt``, ``fraction`` (0 to 1) and ``text``, and
        the last ``lines`` that they printed, as far as there are any. Half a second old for a run of another process.
        """
        from orchestrator_nb.journal.live import read_live

        session = self._session
        if session is not None:
            return {} if session.is_over else session.view.picture()
        shown = read_live(self.folder).get("commands") if is_owned(self.folder) else None
        return shown if isinstance(shown, dict) else {}

    def turns(self) -> Iterator[tuple[list[e.Event], RunState]]:
        """Yield every recorded turn and the state after it, then those that come, until nobody drives the run."""
        follower = Follower(self.folder / JOURNAL)
        while True:
            running = self.is_running
            for turn in follower.turns():
                yield turn, follower.state
            if not running:
                return
            time.sleep(LOOK_EVERY)

    def watch(self) -> Iterator[e.Event]:
        """Yield every fact of the run, those of the past first, until nobody drives it. Raises StoreError."""
        for turn, _ in self.turns():
            yield from turn

    def why(self, command: str) -> Why:
        """Return the facts that led to where a command is; prints as text. Raises UsageError for an unknown one."""
        return why(command, read(self.folder / JOURNAL), self.state)

    def metrics(self) -> RunMetrics:
        """Return what it cost, in seconds: total, per command, waits, attempts; see `execution_metrics`."""
        from orchestrator_nb.orchestrator.metrics import execution_metrics

        return execution_metrics(read(self.folder / JOURNAL), self.state)

    def context(self, *, size: int | None = None, values: bool = False) -> dict[str, Any]:
        """Return what is known of it at both levels, as plain JSON for `data.transfer.to_form`; see `context_of`.

        Values in files are references, unless `values` wants them in their place.
        """
        from orchestrator_nb.orchestrator.run_context import context_of

        return context_of(self.state, size=size, folder=self.folder if values else None)

    def compliance(self) -> Compliance:
        """Return whether it keeps what is required of it: its gates, their evidence, deviations; see `Compliance`."""
        return compliance_of(self.state, self.folder)

    def logs(self, command: str) -> str:
        """Return what the last attempt of a command printed. Raises UsageError for an unknown command."""
        state = self.state
        if command not in state.commands:
            raise UsageError(f'"{self.id}" has no command "{command}"; {instead(command, state.commands)}')
        record = state.commands[command]
        path = self.folder / (record.log or f"logs/{command}.{record.attempt}.log")
        try:
            return path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def _next_steps(self, state: RunState) -> tuple[str, ...]:
        """Return what to type to go on."""
        from orchestrator_nb.orchestrator.next_steps import next_steps

        return next_steps(state, self.folder, in_session=self._in_session, is_ours=self._own is not None)

    # ── waiting ─────────────────────────────────────────────────────────────────────────────────────────────────

    def wait(self, timeout: float | None = None, *, check: bool = True) -> RunResult:
        """Wait until the run has ended or is left, and return its result.

        An interrupt pauses the run durably: what runs gets 10 seconds, a second interrupt ends it now, a third leaves
        at once. Raises RunFailed with the result when it did not complete, unless `check` is False; TimeoutError after
        `timeout` seconds, and the run goes on; StoreError when recording failed, and the journal says what is true.
        """
        session = self._session
        if session is None:
            from orchestrator_nb.orchestrator.control.awaiting import wait_for_owner

            wait_for_owner(self.folder, timeout)
        else:
            self._wait_for_session(session, timeout)
        result = self.result
        if check and not result.succeeded:
            from orchestrator_nb.orchestrator.display.failure_story import failure_text

            here = f'\nor, in this session: flow.resume("{self.id}")' if session and not self._in_session else ""
            raise RunFailed(failure_text(result) + here, result)
        return result

    def _wait_for_session(self, session: Driver, timeout: float | None) -> None:
        interrupts = 0
        while True:
            try:
                if not session.wait(timeout):
                    raise TimeoutError(f'"{self.id}" has not ended within {timeout} seconds')
                break
            except KeyboardInterrupt:
                interrupts += 1
                if interrupts > 2:
                    raise
                self.interrupt("interrupted", grace=10.0 if interrupts == 1 else 0.0)
        if session.is_doubtful:
            raise self._unrecorded(session.error) from session.error
        if session.error is not None:
            raise session.error

    def _unrecorded(self, error: BaseException | None) -> StoreError:
        """Return what is raised when recording failed: the error with what to type to go on, if that can be known."""
        kind = type(error) if isinstance(error, StoreError) else StoreError
        try:
            return kind("\n".join([str(error), *self._next_steps(self.state)]))
        except StoreError:
            return kind(str(error))

    def __await__(self) -> Generator[Any, None, RunResult]:
        """Wait without blocking the event loop; like `wait`."""
        from orchestrator_nb.orchestrator.control.awaiting import wait_in_loop

        return wait_in_loop(self, self._session).__await__()

    # ── steering ────────────────────────────────────────────────────────────────────────────────────────────────

    def pause(self, reason: str = "asked to") -> None:
        """Start nothing new; what runs goes on to its end, and the owner stays. Returns when that is recorded.

        Raises RunNotRunning when nobody drives the run, RunUnanswered when its owner does not answer.
        """
        session = self._live_session()
        if session is not None:
            session.ask(Pause(reason=reason))
        else:
            self._ask("pause", reason=reason)

    def resume(self, reason: str = "asked to", **options: Any) -> None:
        """Go on after a pause, or take up the run in this process where nobody owns it; returns at once then.

        `options` are those of `Workflow.resume`. Raises RunUnanswered, and what `Workflow.resume` raises.
        """
        if options.get("start_from") and self.is_running:
            raise RunRefused(f'"{self.id}" is being driven: stop it before it goes on from a command')
        session = self._live_session()
        if session is not None:
            session.ask(Resume(reason=reason))
        elif is_owned(self.folder) and not options.get("take_over"):
            self._ask("resume", reason=reason)
        elif self._go_on is None:
            raise RunRefused(f'"{self.id}" is driven by nobody; {"; ".join(self._next_steps(self.state))}')
        else:
            taken = self._go_on(self.id, store=self.folder.parent, wait=False, **options)
            if taken._own is not None:  # there was something to go on with
                self._own, self._in_session = taken._own, taken._in_session

    def interrupt(self, reason: str, *, grace: float = 10.0) -> None:
        """Pause durably and leave: what runs is ended after `grace` seconds and will run again.

        Returns at once for a run of this process, else when it is recorded; raises as `pause` does then.
        """
        session = self._session
        if session is not None:
            session.send(Pause(reason=reason, leaving=True, grace=grace))
        else:
            self._ask("interrupt", reason=reason, grace=grace)

    def stop(self, reason: str, *, grace: float = 10.0) -> None:
        """End what runs after `grace` seconds and end the run as stopped; it can be resumed. Returns when the request
        is recorded; `wait` waits for the end. Asked again, the new grace counts. Raises as `pause` does.
        """
        session = self._live_session()
        if session is not None:
            session.ask(Stop(reason=reason, grace=grace))
        else:
            self._ask("stop", reason=reason, grace=grace)

    def report_failure(self, command: str, message: str, *, types: tuple[str, ...] = ()) -> Answer | None:
        """Take the attempt of a command that is under way for failed, end it, and let the policies decide.

        `types` are names of exception classes, most derived first. A command that is not under way gets a notice.
        Returns the turn with the decision. Raises as `pause` does.
        """
        session = self._live_session()
        if session is not None:
            return session.ask(Fail(command=command, message=message, types=types))
        return self._ask("fail", command=command, message=message, types=list(types))

    def accept(self, command: str) -> None:
        """Take the result of a command for that of its code and options as they are now, and its files as they are
        now: a later run that reuses what is up to date does not run it for those.

        Works whoever drives the run, or nobody. Raises UsageError for a command that has no result or whose code
        cannot be looked at, and as `pause` does where the owner does not answer.
        """
        if self._today is None:
            raise RunRefused(f'"{self.id}" is not known together with its workflow: attach("{self.id}").accept(…)')
        # What plans is imported where it is needed: whoever looks at a run does without.
        from orchestrator_nb.orchestrator.reuse.acceptance import acceptance

        told = acceptance(command, self._today(self.folder), self.state, self.folder.parent)
        self._whoever_drives("accept", Accept(**told), told)

    def decisions(self) -> list[Decision]:
        """Return what people were asked in this run, in the order of the numbers, answered or not."""
        return decisions_of(self.state)

    def decide(
        self, number: int, answer: str, *, note: str | None = None, parameters: Mapping[str, Any] | None = None
    ) -> None:
        """Answer a decision with one of its options; returns when that is recorded, whoever drives the run, or nobody.

        `parameters` are those with which a command is tried again, or the results, by name, of one that was done by
        hand. Raises UsageError for an answer that is none, StoreError, and as `pause` does where the owner is silent.
        """
        told: dict[str, Any] = {
            "number": number,
            "answer": answer,
            "note": note or "",
            "parameters": plain_parameters(parameters),
        }
        self._whoever_drives("decide", Decide(**told), told)

    def escalate(self, command: str, reason: str = "asked to") -> None:
        """Have people asked about a command that has not come to its end; one level higher, where they were asked
        already. What runs of it goes on until somebody decides otherwise. Raises as `decide` does."""
        told: dict[str, Any] = {"command": command, "reason": reason}
        self._whoever_drives("escalate", Escalate(**told), told)

    def _whoever_drives(self, kind: str, request: Request, told: Mapping[str, Any]) -> None:
        """Have a request recorded. Raises UsageError where it came to nothing."""
        session, event = self._live_session(), None
        try:
            if session is not None:
                answer = session.ask(request)
                event = None if answer is None else answer.event
            else:
                event = self._ask(kind, **told).event
        except RunNotRunning:  # or not any more: it may just have parked
            # What folds and decides is imported where it is needed: whoever looks at a run does without.
            from orchestrator_nb.orchestrator.control.unattended import record_request

            event = record_request(self.folder, request)
        if isinstance(event, e.NoticeGiven):
            raise UsageError(event.text)

    def give_notice(self, text: str) -> Answer | None:
        """Record something that a person should know. Raises as `pause` does."""
        session = self._live_session()
        return session.ask(Tell(text=text)) if session is not None else self._ask("tell", text=text)

    def _live_session(self) -> Driver | None:
        session = self._own
        return session if session is not None and not session.is_over else None

    def _ask(self, kind: str, **arguments: Any) -> Answer:
        """Ask the process that owns it."""
        from orchestrator_nb.orchestrator.control.asking import ask_owner

        with self._reading:
            state = self._follower.catch_up()
            since = self._follower.position
        if not is_owned(self.folder):
            steps = "; ".join(self._next_steps(state))
            raise RunNotRunning(
                f'"{self.id}" is not running: it is {state.run.state} and no process drives it'
                + (f"; {steps}" if steps else "")
            )
        return ask_owner(self.folder, kind, arguments, since=since)

    # ── saving and restoring ────────────────────────────────────────────────────────────────────────────────────

    def saved(self) -> dict[str, Any]:
        """Return its state as plain JSON, with the position in the journal that it is the state of."""
        from orchestrator_nb.orchestrator.store.saved import saved_state

        return saved_state(self.folder)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write its state to a file, for `restore`; return the file's path. Raises StoreError."""
        from orchestrator_nb.orchestrator.store.saved import write_saved

        return write_saved(self.saved(), path)

    def restore(self, saved: str | os.PathLike[str] | Mapping[str, Any]) -> list[str]:
        """Put it back to a saved state: what came to its end since runs again when it is resumed.

        Returns the commands that were reopened. Raises UsageError when it is no state of this run's past, RunRefused
        while somebody owns the run.
        """
        from orchestrator_nb.orchestrator.store.saved import read_saved, restore_state

        if self.state.run.state == "new":
            raise RunRefused(f'"{self.id}" has not begun: there is nothing to put back')
        return restore_state(self.folder, saved if isinstance(saved, Mapping) else read_saved(saved))

    def __repr__(self) -> str:
        return f"<Run {self.id}: {self.state.phase}>"
