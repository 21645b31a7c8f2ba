"""The model of what the user writes: a workflow, its parameters and its commands, as pure data.

The spelling here is the canonical one; other spellings are read by `definition.spelling`. A model is valid in itself;
whether its files, kernels and functions are there is checked before a run by the plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, get_args

from orchestrator_nb.definition.fields import Field
from orchestrator_nb.definition.model import Model
from orchestrator_nb.state.sharing import FUNCTION, Strategy
from orchestrator_nb.state.trigger_rules import DEFAULT, TriggerRule

AMOUNT = r"^([0-9]+(\.[0-9]+)? *([KMGT]i?)?B|all)$"
"""How an amount of a resource is written as text: of memory, or all that there is."""

SIZE = r"^[0-9]+(\.[0-9]+)? *([KMGT]i?)?B$"
"""How a size is written as text."""

MOST_SLOTS = 10_000
"""How many commands run at a time at the most."""

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$")]
Seconds = Annotated[float, Field(gt=0, le=366 * 86400, allow_inf_nan=False)]
Pattern = Literal["sequential", "parallel", "hybrid"]
Amount = Annotated[int, Field(ge=0, le=10**18)] | Annotated[str, Field(pattern=AMOUNT)]
Overlap = Literal["refuse", "wait", "skip", "allow"]
Boundary = Literal["start", "command", "gate", "recovery", "pause", "completion"]
BOUNDARIES: tuple[Boundary, ...] = get_args(Boundary)
ParameterType = Literal["string", "integer", "number", "boolean", "date", "datetime", "path", "list", "object", "any"]
OutputType = Literal[
    "string",
    "integer",
    "number",
    "boolean",
    "date",
    "datetime",
    "path",
    "list",
    "object",
    "table",
    "array",
    "file",
    "any",
]


class ParameterDefinition(Model):
    """A parameter of the workflow. Without a default it has to be given; `choices` are all that it may be."""

    type: ParameterType = "any"
    default: Any = None
    required: bool = False
    choices: tuple[Any, ...] | None = None
    description: str = ""


class GateDefinition(Model):
    """What has to hold of a command, or of the run: an expression such as ``rmse < 3.5``, or the name of a check."""

    gate: str = Field(min_length=1, description="an expression over results and metrics, or the name of a check")
    name: str = Field("", description="what it is called in reports")
    blocking: bool | None = Field(
        None, description="false: a warning only, as `targets` and `anomaly` are where nothing is said"
    )
    retry: bool = Field(False, description="a bad verdict may pass by itself: the command is tried again")
    timeout: Seconds | None = Field(None, description="seconds until the check is given up (300)")
    options: dict[str, Any] = Field({}, description="what the check takes")

    @property
    def title(self) -> str:
        """What it is called: its name, else the gate itself."""
        return self.name or self.gate.removeprefix("__main__:")

    @property
    def blocks(self) -> bool:
        """Whether nothing goes on without it."""
        return self.gate not in WARNING_GATES if self.blocking is None else self.blocking


WARNING_GATES = frozenset({"targets", "anomaly"})
"""The gates that only warn where nothing else is said: they are about how a result came about, not about the result."""


class EscalationDefinition(Model):
    """When people are asked about a command that recovery alone does not mend, and for how long at each level."""

    automatic: Seconds = Field(300.0, description="how long recovery alone may take before a person is asked")
    guided: Seconds = Field(900.0, description="how long a person may take to say how the command goes on")
    manual: Seconds = Field(
        3600.0, description="how long a person may take to do the command, before it is handed over"
    )
    default: Literal["retry", "skip", "fail", "roll back"] | None = Field(
        None, description="the answer that is taken when nobody has answered in time"
    )


ErrorKind = Literal[
    "command_failure",
    "partial_completion",
    "timeout_expiration",
    "resource_exhaustion",
    "dependency_violation",
    "state_synchronization_failure",
    "resource_contention",
    "coordination_timeout",
    "quality_gate_failure",
    "compliance_violation",
    "security_validation_failure",
    "performance_degradation",
    "context_overflow",
    "network_connectivity",
    "storage_limitations",
    "external_service_failure",
]


class RuleDefinition(Model):
    """What a failure is to be taken for: all that is given of the first five has to fit, then the others count."""

    type: str | None = Field(
        None, description="the class of the exception, or one that it derives from or was led to by"
    )
    message: str | None = Field(None, min_length=1, description="text that its message has in it, in any case")
    exit_code: int | None = Field(None, description="the exit code of its process")
    signal: int | None = Field(None, description="the number of the signal that ended its process")
    failure: str | None = Field(None, description="how it failed: exception, exit_code, timeout, gate, kernel_died …")
    kind: ErrorKind | None = Field(None, description="the kind of error that it is")
    severity: Literal["critical", "major", "minor", "informational"] | None = Field(
        None, description="how severe it is"
    )
    transient: bool | None = Field(None, description="whether it may pass by itself, so that it is tried again")


class RecoveryDefinition(Model):
    """What commands do about failures where they say nothing themselves."""

    retries: Annotated[int, Field(ge=0, le=1000)] | None = Field(None, description="tries after the first")
    retry_delay: Seconds | None = Field(
        None, description="seconds before the first retry, doubled for each further one"
    )
    learn: bool = Field(True, description="errors that retries never mended in earlier runs are not tried again")
    retry_budget: Annotated[int, Field(ge=0, le=10**6)] | None = Field(
        None, description="retries of a run in all; 50, or two for each command where that is more"
    )
    memory_reserve: Amount | None = Field(
        None, description="memory that stays free: with less, fewer commands start; 5 % of what there is, 0 for never"
    )
    rules: tuple[RuleDefinition, ...] = Field((), description="what failures are to be taken for; the first that fits")
    escalation: EscalationDefinition | None = Field(None, description="whether people are asked, and for how long")


class OptimizationDefinition(Model):
    """What may be learned for the order of the commands; the results are the same either way."""

    history: bool = Field(True, description="durations of earlier runs say what starts first")
    adaptive: bool = Field(True, description="the order is made anew while durations turn out to be wrong")


class MonitoringDefinition(Model):
    """What is kept and shown of a run while it goes on."""

    interval: Seconds = Field(0.5, description="seconds between two updates for watchers in other processes")
    log_size: Annotated[int, Field(ge=4096, le=10**12)] = Field(
        10 * 2**20, description="bytes kept of what an attempt prints: half of it its head, half its tail"
    )
    resources: bool = Field(
        True, description="record what attempts take: processor time, memory and disk, the machine's network meanwhile"
    )
    audit: bool = Field(False, description="look while it runs whether what is recorded holds, and tell what does not")


class KernelsDefinition(Model):
    """How the kernels of notebooks come to be."""

    start: Literal["fork", "pool", "plain"] | None = Field(
        None,
        description="fork: from a process that has imported what they need, where that is safe, else pool; "
        "pool: started ahead; plain: started when it is needed",
    )
    preload: tuple[str, ...] | None = Field(
        None, description="modules to import before the fork; what the notebooks import, where nothing is said"
    )


class CheckpointsDefinition(Model):
    """When the files of the project are kept, which of them, for how long; and what goes back by itself."""

    at: tuple[Boundary, ...] = Field(BOUNDARIES, description="the moments at which files are kept; none: off")
    include: tuple[str, ...] = Field((), description="ignored paths (globs too) that are kept all the same")
    exclude: tuple[str, ...] = Field((), description="paths (globs too) that are never kept")
    keep: Annotated[int, Field(ge=2, le=10**6)] | None = Field(None, description="so many of each run, the latest")
    keep_for: Seconds | Literal["none"] = Field(30 * 86400.0, description="seconds after which they go")
    size_limit: Amount = Field("50MB", description="larger files are not kept")
    rollback: Literal["off", "ask", "automatic"] = Field(
        "off", description="what becomes of the files that a command left when it failed for good"
    )


class CommandDefinition(Model):
    """One command. Exactly one of `notebook`, `call`, `shell`, `command`, `workflow` and `type` says what it runs."""

    id: Id
    notebook: str | None = Field(None, description="a notebook, relative to the definition's folder")
    call: str | None = Field(None, description="a Python function as module:name")
    shell: tuple[str, ...] | None = Field(None, min_length=1, description="a program and its arguments")
    command: str | None = Field(None, description="a registered name, such as /query")
    workflow: str | None = Field(None, description="another workflow's file, relative to the definition's folder")
    type: str | None = Field(None, description="a type of command from an installed package")

    parameters: dict[str, Any] = Field({}, description="arguments by name; may hold ${{ … }}")
    args: Any = Field(None, description="the first argument of a registered command")
    agent: str | None = Field(None, description="who does it; its name stands for all its commands in `after`")
    scope: str | None = Field(None, description="what it is about; goes to commands that take it")

    after: tuple[str, ...] = Field((), description="the commands that have to be done before")
    matrix: dict[str, list[Any] | str] | None = Field(
        None, description="lists of values: it runs once for each combination, its cells"
    )
    when: str | None = Field(None, description="an expression; where it does not hold the command is skipped")
    trigger_rule: TriggerRule = Field(DEFAULT, description="how those before it have to end for it to run")
    reads: tuple[str, ...] = Field((), description="paths (globs too) and resource names that it reads")
    writes: tuple[str, ...] = Field((), description="paths (globs too) and resource names that it writes")
    exclusive: bool = Field(False, description="its writers may share a resource, one after the other")
    outputs: dict[str, OutputType] = Field({}, description="the results it gives by name, with types")
    context: dict[str, OutputType] = Field({}, description="the keys of the shared state it reads")
    shares: dict[str, OutputType] = Field({}, description="the keys of the shared state it changes")
    gates: tuple[GateDefinition, ...] = Field((), description="what has to hold of its results")
    targets: dict[Id, Annotated[float, Field(gt=0)] | Annotated[str, Field(pattern=AMOUNT)]] = Field(
        {}, description="what it should take at most: seconds, memory, tokens"
    )

    description: str = ""
    tags: tuple[str, ...] = ()
    optional: bool = Field(False, description="its failure does not fail the run")
    fallback: Id | None = Field(None, description="the command that takes its place when it fails")
    degraded: dict[str, Any] = Field({}, description="parameters of its reduced form")
    provides: tuple[str, ...] = Field((), description="capabilities; a later command with all of them stands by for it")
    milestone: bool = Field(False, description="its success is a result of the run worth delivering by itself")
    retries: Annotated[int, Field(ge=0, le=1000)] | None = Field(None, description="tries after the first")
    retry_delay: Seconds | None = Field(
        None, description="seconds before the first retry (1), doubled for each further one"
    )
    idempotent: bool = Field(True, description="false: never tried again by default")
    reuse: bool = Field(True, description="false: it runs in every run, also in one that reuses earlier results")
    escalate: bool | None = Field(None, description="whether people are asked when it keeps failing")
    timeout: Seconds | Literal["none"] | None = Field(None, description="seconds until an attempt is ended")
    start_timeout: Seconds | None = Field(None, description="seconds until a notebook's kernel has to answer; 120")
    cell_timeout: Seconds | None = Field(None, description="seconds for each cell of a notebook")
    idle_timeout: Seconds | None = Field(None, description="seconds that a cell of a notebook may be without output")
    duration: Seconds | None = Field(None, description="seconds it is expected to take, to plan with")
    priority: Annotated[int, Field(ge=-1000, le=1000)] = Field(0, description="the higher one starts first")
    resources: dict[Id, Amount] = Field(
        {}, description="what it holds while it runs: cpu (1 slot), memory, named pools"
    )
    retry_resources: dict[Id, Amount] = Field(
        {}, description="what it holds instead when it is tried again, such as more memory"
    )

    isolation: Literal["thread", "process"] | None = Field(None, description="where a callable runs")
    environment: dict[str, str] = Field({}, description="environment variables of its process")
    cwd: str | None = Field(None, description="its working directory, relative to the definition's folder")
    kernel: str | None = Field(None, description="the Jupyter kernel of a notebook")
    kernels: KernelsDefinition | None = Field(None, description="how the kernel of a notebook comes to be")
    allow_early_exit: bool = Field(False, description="a notebook may leave before its last cell")
    allow_failure_codes: tuple[int, ...] = Field((), description="exit codes besides 0 that are a success")

    @classmethod
    def wrong(cls, fields: Mapping[str, Any]) -> str | None:
        """Return what is wrong where it does not say what it runs, or says more than one thing."""
        given = [name for name in KINDS if fields.get(name) is not None]
        if len(given) == 1:
            return None
        what = " and ".join(given) if given else "none of them"
        return f"a command has exactly one of {', '.join(KINDS)}; found {what}"

    @cached_property
    def kind(self) -> str:
        """The type of command: notebook, call, shell, command, workflow, or the name of a third-party type."""
        fields = self.__dict__
        for kind in KINDS[:-1]:
            if fields.get(kind) is not None:
                return kind
        return str(self.type)

    @cached_property
    def checks(self) -> tuple[GateDefinition, ...]:
        """All that its results are held against: its gates, and its targets where there are any."""
        if not self.targets or any(gate.gate == "targets" for gate in self.gates):
            return self.gates
        return (*self.gates, GateDefinition(gate="targets"))

    @property
    def base(self) -> str:
        """The id under which it was written; a cell of a matrix has another one."""
        return self.id


KINDS = ("notebook", "call", "shell", "command", "workflow", "type")
"""The keys that say what a command runs."""


class WorkflowDefinition(Model):
    """A workflow: its parameters and its commands, in the order in which they were written."""

    workflow: Id
    description: str = ""
    pattern: Pattern = "hybrid"
    parameters: dict[str, ParameterDefinition] = Field({})
    commands: tuple[CommandDefinition, ...] = Field(min_length=1)
    slots: Annotated[int, Field(ge=1, le=MOST_SLOTS)] | None = Field(None, description="commands at a time; the CPUs")
    pools: dict[Id, Amount] = Field({}, description="how much there is of memory and named pools")
    durability: Literal["full", "process"] = "full"
    timeout: Seconds | Literal["none"] = Field(3600.0, description="the commands' default timeout, in seconds")
    imports: tuple[str, ...] = Field((), description="modules that register command names")
    notify: tuple[str, ...] = Field(
        (), description="addresses for apprise: who hears of decisions, rollbacks and ends of runs"
    )
    overlap: Overlap = Field("allow", description="what a start does while another run of the workflow is under way")
    deadline: Seconds | None = Field(None, description="seconds from a start or resume until the run is stopped")
    coordination_timeout: Seconds | None = Field(
        None, description="seconds that a start waits for another run of the workflow (overlap: wait)"
    )
    context: dict[str, Any] = Field({}, description="the shared state that a run begins with")
    context_limit: Annotated[int, Field(ge=0, le=10**18)] | Annotated[str, Field(pattern=SIZE)] = Field(
        "64KiB", description="larger values of the shared state are kept in files"
    )
    merge: dict[str, Strategy | Annotated[str, Field(pattern=FUNCTION)]] = Field(
        {},
        description="how changes of the shared state come together, by key; * for all others; module:name is a "
        "function, called with the value that is there and the one that is given",
    )
    quality_requirements: tuple[GateDefinition, ...] = Field((), description="what has to hold of the run as a whole")
    recovery: RecoveryDefinition = Field(RecoveryDefinition(), description="what commands do about failures")
    optimization: OptimizationDefinition = Field(OptimizationDefinition(), description="what may be learned")
    monitoring: MonitoringDefinition = Field(MonitoringDefinition(), description="what is kept and shown of a run")
    checkpoints: CheckpointsDefinition = Field(
        CheckpointsDefinition(), description="when and how long the project's files are kept, to go back to; or off"
    )
    kernels: KernelsDefinition = Field(KernelsDefinition(), description="how the kernels of notebooks come to be")

    def command(self, name: str) -> CommandDefinition:
        """Return the command of that id. Raises KeyError."""
        for command in self.commands:
            if command.id == name:
                return command
        raise KeyError(name)
