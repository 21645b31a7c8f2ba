"""A workflow as its user writes, plans and runs it."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from orchestrator_nb.definition.parameters import bind_parameters
from orchestrator_nb.definition.reading import Loaded, read_definition
from orchestrator_nb.errors import DefinitionError, Mistake
from orchestrator_nb.journal.store import find_run, find_store
from orchestrator_nb.orchestrator.building import Building
from orchestrator_nb.orchestrator.collector import collector_at_rest
from orchestrator_nb.orchestrator.command_types import command_types, import_registrations
from orchestrator_nb.orchestrator.display.decisions import how_decided
from orchestrator_nb.orchestrator.display.result import RunResult
from orchestrator_nb.orchestrator.display.views import show_run
from orchestrator_nb.orchestrator.earlier.durations import earlier_seconds
from orchestrator_nb.orchestrator.frozen import Frozen
from orchestrator_nb.orchestrator.gates import gate_mistakes
from orchestrator_nb.orchestrator.machine import cpus, machine_memory
from orchestrator_nb.orchestrator.opening import Opening, OpeningOf, start_opened
from orchestrator_nb.orchestrator.overlap import admitted, overlap_of
from orchestrator_nb.orchestrator.preview import Preview, preview
from orchestrator_nb.orchestrator.run import Run
from orchestrator_nb.orchestrator.session_names import needs_session, session_name
from orchestrator_nb.orchestrator.settings import check_driving, given_settings, with_settings
from orchestrator_nb.orchestrator.store.store_check import store_notes
from orchestrator_nb.plan.plan import Plan, make_plan
from orchestrator_nb.plan.pools import check_pools
from orchestrator_nb.plan.selection import Names, Selection, read_selection
from orchestrator_nb.ports import Command, Observer


class Workflow(Building):
    """A graph of commands: notebooks, Python functions, shell commands and registered names.

    Built here, call by call, or read from a file or a folder; either way it can be planned, run, resumed and written.
    """

    # ── reading ────────────────────────────────────────────────────────────────────────────────────────────────

    @classmethod
    def load(cls, source: str | os.PathLike[str] | Mapping[str, Any]) -> Workflow:
        """Read a definition: a YAML or JSON file, or a dictionary. Raises DefinitionError with all mistakes."""
        with collector_at_rest():
            loaded = read_definition(source if isinstance(source, Mapping) else Path(source))
        return cls._of(loaded, loaded.file)

    @classmethod
    def from_folder(cls, folder: str | os.PathLike[str]) -> Workflow:
        """Make a workflow of the notebooks in a folder; what they follow is in their parameters cells or inferred."""
        from orchestrator_nb.definition.folder import definition_from_folder

        path = Path(folder).absolute()
        return cls._of(definition_from_folder(path), path)

    @classmethod
    def from_notebook(cls, notebook: str | os.PathLike[str]) -> Workflow:
        """Make a workflow of one notebook; its parameters are the workflow's."""
        from orchestrator_nb.definition.folder import definition_from_notebook

        path = Path(notebook).absolute()
        return cls._of(definition_from_notebook(path), path)

    @classmethod
    def _of(cls, loaded: Loaded, origin: Path | None) -> Workflow:
        flow = cls(loaded.definition.workflow, folder=loaded.folder)
        flow._written, flow._loaded = None, loaded
        flow.origin = origin
        return flow

    # ── planning and running ────────────────────────────────────────────────────────────────────────────────────

    def plan(
        self,
        parameters: Mapping[str, Any] | None = None,
        *,
        slots: int | None = None,
        store: str | os.PathLike[str] | None = None,
        only: Names = (),
        start_from: Names = (),
        until: Names = (),
        failed: bool = False,
        reuse: bool = False,
        **more: Any,
    ) -> Preview:
        """Check everything and return the plan, without running anything: order, conflicts, predictions, a picture.

        Durations that nobody declared are those of earlier runs in the store. A part is selected as in `start`; with
        `reuse` the plan says of each command whether it is up to date, and why not. Raises DefinitionError with all
        mistakes, UsageError as `start` does.
        """
        chosen = read_selection(only=only, start_from=start_from, until=until, failed=failed)
        place = find_store(store, start=self._folder)
        opening = self._begun({**(parameters or {}), **more}, chosen, place, reuse=reuse, slots=slots)
        plan = replace(opening.plan, notes=(*opening.plan.notes, *store_notes(place)))
        learning = plan.definition.optimization.history
        seconds = earlier_seconds(place, self.name, plan.commands) if learning else {}
        verdicts = opening.forecast(place)
        return preview(plan, slots=opening.slots, seconds=seconds, memory=opening.memory, verdicts=verdicts)

    def start(
        self,
        *,
        wait: bool | None = None,
        check: bool = True,
        store: str | os.PathLike[str] | None = None,
        slots: int | None = None,
        durability: str | None = None,
        detach: bool = False,
        overlap: str | None = None,
        decide: str | None = None,
        context: Mapping[str, Any] | None = None,
        quality_requirements: Sequence[str | Mapping[str, Any]] | None = None,
        recovery: Mapping[str, Any] | str | None = None,
        optimization: Mapping[str, Any] | None = None,
        monitoring: Mapping[str, Any] | None = None,
        deadline: float | str | None = None,
        only: Names = (),
        start_from: Names = (),
        until: Names = (),
        failed: bool = False,
        reuse: bool = False,
        parameters: Mapping[str, Any] | None = None,
        text_parameters: Collection[str] = (),
        observers: Sequence[Observer] = (),
        **more: Any,
    ) -> Run:
        """Start a run with these parameters; they may also be given by name.

        Where somebody is looking, in a notebook that is open, it shows a live panel and returns at once; elsewhere it
        waits for the end. `wait` settles it either way. `slots` is how many commands run at a time, `durability` is full or
        process, `text_parameters` names those given as text, to be read as their type. With `detach` a process of its
        own drives the run, which then outlives this one, and nobody waits unless `wait` is True. `overlap` says what
        happens while another run of the workflow is under way in the store: refuse, wait, skip or allow. `decide` says
        what becomes of decisions, see `orchestrator.decisions`: wait, now or park.

        `context` is the shared state that the run begins with, added to the definition's, as `quality_requirements`
        are to its own; `recovery`, `optimization`, `monitoring` and `deadline` (seconds) take the place of what the
        definition says, key by key. All are recorded.

        A part is selected by `only`, `start_from`, `until` and `failed`, see `plan.selection.Selection`; what it needs
        of the rest is taken from the latest run that has it. With `reuse` a command that is up to date does not run
        and has the result of the run in which it ran, see `orchestrator.reuse`.

        Raises DefinitionError before anything has run; RunFailed (unless `check` is False) when it was waited for and
        did not complete; RunRefused or RunSkipped as `overlap` says; UsageError for functions that cannot be detached,
        for selectors that select nothing, and where a selected command needs a result that is nowhere.
        """
        settings = given_settings(
            context=context, quality_requirements=quality_requirements, recovery=recovery, optimization=optimization,
            monitoring=monitoring, deadline=deadline,
        )  # fmt: skip
        chosen = read_selection(only=only, start_from=start_from, until=until, failed=failed)
        place = find_store(store, start=self._folder)
        opening = self._begun(
            {**(parameters or {}), **more}, chosen, place, text=text_parameters, observers=observers, settings=settings,
            reuse=reuse, slots=slots, durability=durability, overlap=overlap, decide=decide,
        )  # fmt: skip
        if detach:
            from orchestrator_nb.orchestrator.detach import start_detached

            run = start_detached(opening, store=place)
        else:
            run = start_opened(opening, store=place)
        seen = show_run(run)
        if wait or (wait is None and not detach and not seen):
            run.wait(check=check)
        return run

    def run(self, *, check: bool = True, **options: Any) -> RunResult:
        """Start a run, wait for its end, return its result; options and parameters as for `start`.

        Raises RunFailed unless `check` is False.
        """
        return self.start(wait=False, **options).wait(check=check)

    def resume(
        self,
        run: str = "latest",
        *,
        wait: bool | None = None,
        check: bool = True,
        store: str | os.PathLike[str] | None = None,
        accept_changes: bool = False,
        take_over: bool = False,
        start_from: Names = (),
        overlap: str | None = None,
        decide: str | None = None,
        observers: Sequence[Observer] = (),
    ) -> Run:
        """Go on with a run of this workflow, with the code as it is now for what has not succeeded.

        A command that succeeded and has changed since is refused, unless `accept_changes` keeps its result. What is
        selected by `start_from` runs again, with everything after it, also in a run that is completed. A process
        of this host that owns the run, frozen perhaps, is killed when `take_over` says so, else refused. `overlap` is
        about other runs of the workflow, as in `start`. Raises RunNotFound, RunRefused, RunSkipped, DefinitionError;
        when waiting, what `Run.wait` raises.
        """
        from orchestrator_nb.orchestrator.resuming import resume_opened

        folder = find_run(find_store(store, start=self._folder), run, workflow=self.name)
        opening_of = self._opening_of(observers, accept_changes=accept_changes, decide=decide)
        again = read_selection(start_from=start_from).start_from
        waited, overlap = self.definition.coordination_timeout, overlap_of(overlap, self.definition)
        resumed = resume_opened(
            folder, opening_of, accept_changes=accept_changes, taking_over=take_over, start_from=again,
            admission=admitted(folder.parent, self.name, overlap, besides=folder, wait=waited),
        )  # fmt: skip
        seen = show_run(resumed)
        if wait or (wait is None and not seen):
            resumed.wait(check=check)
        return resumed

    def restore(
        self, saved: str | os.PathLike[str] | Mapping[str, Any], *, store: str | os.PathLike[str] | None = None
    ) -> Run:
        """Put the run of a saved state back to it and return the run, to be resumed. Raises as `Run.restore` does."""
        from orchestrator_nb.orchestrator.store.saved import read_saved

        document = saved if isinstance(saved, Mapping) else read_saved(saved)
        folder = find_run(find_store(store, start=self._folder), str(document.get("run")))
        run = Run(folder, go_on=self.resume, today=self.today)
        run.restore(document)
        return run

    def as_part(
        self,
        parameters: Mapping[str, Any],
        *,
        unknown: Collection[str] = (),
        settled: Collection[str] = (),
        within: tuple[Path, ...] = (),
        parent: str | None = None,
        accept_changes: bool = False,
        observers: Sequence[Observer] = (),
    ) -> Opening:
        """Return the opening of a run that is a part of another run; see `inner_workflow.Inner`."""
        plan, commands = self._plan(
            parameters, text=(), settled=settled, unknown=unknown, within=within, accept_changes=accept_changes
        )
        return replace(self._opening(plan, commands, observers, overlap="allow", decide="wait"), parent=parent)

    def today(self, run_folder: Path) -> Opening:
        """Return the opening of a run of this workflow with its code as it is now; nothing is checked or started."""
        return self._opening_of(())(Frozen.read(run_folder), self._ids_of_all())

    def _begun(
        self,
        given: Mapping[str, Any],
        chosen: Selection,
        store: Path,
        *,
        text: Collection[str] = (),
        observers: Sequence[Observer] = (),
        settings: Mapping[str, Any] | None = None,
        reuse: bool,
        **options: Any,
    ) -> Opening:
        """Return the opening of a new run, of the whole workflow or of a part."""

        def opened(settled: Collection[str]) -> Opening:
            plan, commands = self._plan(given, text=text, settled=settled, settings=settings)
            return replace(self._opening(plan, commands, observers, **options), settings=settings or {}, reuse=reuse)

        if not chosen.is_partial:
            return opened(())
        from orchestrator_nb.orchestrator.earlier.results import EarlierResults
        from orchestrator_nb.orchestrator.reuse.parts import choose, given_to

        everything, earlier = self._ids_of_all(), EarlierResults(store, self.name)
        whole = opened(everything).plan
        selected = choose(chosen, whole, earlier)
        opening = opened(set(whole.order).difference(selected))
        return opening.part(selected, given_to(opening.plan, selected, earlier))

    def _opening_of(
        self,
        observers: Sequence[Observer],
        *,
        slots: int | None = None,
        durability: str | None = None,
        accept_changes: bool = False,
        decide: str | None = None,
    ) -> OpeningOf:
        def opening(frozen: Frozen, settled: Collection[str]) -> Opening:
            plan, commands = self._plan(
                frozen.parameters, text=(), settled=settled, settings=frozen.settings, accept_changes=accept_changes
            )
            opened = self._opening(plan, commands, observers, slots=slots, durability=durability, decide=decide)
            return replace(opened, settings=frozen.settings)

        return opening

    def _opening(
        self,
        plan: Plan,
        commands: Mapping[str, Command],
        observers: Sequence[Observer],
        *,
        slots: int | None = None,
        durability: str | None = None,
        overlap: str | None = None,
        decide: str | None = None,
    ) -> Opening:
        check_driving(slots=slots, durability=durability)
        taken = slots or plan.definition.slots or cpus()
        memory = machine_memory(plan.definition)
        check_pools(plan.definition, slots=taken, memory=memory)
        return Opening(
            plan=plan,
            commands=commands,
            origin=self.origin,
            defined_in=session_name() if needs_session(self.definition) else None,
            slots=taken,
            memory=memory,
            durability=durability or plan.definition.durability,
            observers=tuple(observers),
            overlap=overlap_of(overlap, plan.definition),
            go_on=self.resume,
            today=self.today,
            gates=self._gates,
            decide=how_decided(decide),
        )

    @collector_at_rest()
    def _plan(
        self,
        given: Mapping[str, Any],
        *,
        text: Collection[str],
        settled: Collection[str] = (),
        unknown: Collection[str] = (),
        within: tuple[Path, ...] = (),
        settings: Mapping[str, Any] | None = None,
        accept_changes: bool = False,
    ) -> tuple[Plan, dict[str, Command]]:
        """Return the plan and the command types that it uses; every mistake of parameters and commands at once."""
        loaded = self._read()
        definition = loaded.definition
        import_registrations(definition.imports, loaded.folder)
        if unknown:
            from orchestrator_nb.orchestrator.inner_workflow import with_open_matrices, without_unknown

            settled = {*settled, *with_open_matrices(definition, unknown)}
            definition = without_unknown(definition, unknown)
        files = within or ((self.origin.resolve(),) if self.origin is not None else ())

        def inner() -> Command:
            from orchestrator_nb.orchestrator.inner_workflow import WorkflowCommand

            return WorkflowCommand(read_workflow, within=files, accept_changes=accept_changes)

        commands = command_types(self._functions, {command.kind for command in definition.commands}, inner=inner)
        mistakes: list[Mistake] = []
        try:
            definition = with_settings(definition, settings or {})
        except DefinitionError as error:
            mistakes.extend(error.mistakes)
        parameters: dict[str, Any] = {}
        try:
            declared = {name: item for name, item in definition.parameters.items() if name not in unknown}
            parameters = bind_parameters(declared, given, text=text)
        except DefinitionError as error:
            mistakes.extend(error.mistakes)
        mistakes += gate_mistakes(definition, loaded, functions=self._gates, settled=settled)
        try:
            plan = make_plan(
                definition,
                folder=loaded.folder,
                commands=commands,
                parameters=parameters,
                place=loaded.placed,
                settled=settled,
            )
        except DefinitionError as error:
            raise DefinitionError([*mistakes, *error.mistakes]) from None
        if mistakes:
            raise DefinitionError(mistakes)
        return replace(plan, notes=(*loaded.notes, *plan.notes)), commands


def read_workflow(path: Path) -> Workflow:
    """Return the workflow of a definition's file, a folder of notebooks or a notebook. Raises DefinitionError."""
    if path.is_dir():
        return Workflow.from_folder(path)
    return Workflow.from_notebook(path) if path.suffix == ".ipynb" else Workflow.load(path)
