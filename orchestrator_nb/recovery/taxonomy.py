"""What kind of error a failure is, how severe, and whether it may pass by itself: decided from what really happened."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from orchestrator_nb.events import Failure
from orchestrator_nb.recovery.causes import http_status, is_permanent, is_transient, names_of, number_of
from orchestrator_nb.values import Classified

CATEGORIES: dict[str, tuple[str, ...]] = {
    "command_execution": ("command_failure", "partial_completion", "timeout_expiration", "resource_exhaustion"),
    "workflow_coordination": (
        "dependency_violation",
        "state_synchronization_failure",
        "resource_contention",
        "coordination_timeout",
    ),
    "quality_compliance": (
        "quality_gate_failure",
        "compliance_violation",
        "security_validation_failure",
        "performance_degradation",
    ),
    "system_infrastructure": (
        "context_overflow",
        "network_connectivity",
        "storage_limitations",
        "external_service_failure",
    ),
}
CATEGORY_OF = {kind: category for category, kinds in CATEGORIES.items() for kind in kinds}

SEVERITY_OF: dict[str, str] = {
    **dict.fromkeys(CATEGORY_OF, "major"),
    **dict.fromkeys(("compliance_violation", "security_validation_failure"), "critical"),
    **dict.fromkeys(("performance_degradation", "resource_contention"), "minor"),
}
"""The severity of each kind, unless a rule says otherwise."""

RESPONSES: dict[str, tuple[float | None, str]] = {
    "critical": (5.0, "go back to the last checkpoint, and ask a person"),
    "major": (30.0, "recover by itself: try again, in a reduced form, or with another command"),
    "minor": (120.0, "go on, and try again when what it needs is free"),
    "informational": (None, "look at it before the next run"),
}
"""What is done about errors of each severity, and the seconds within which it begins; None for the next run.

The answer is in the turn that records the failure, so that it begins at once. Whoever goes back to a checkpoint on a
critical error answers `ErrorClassified` with its `severity`.
"""

LARGE_PART = 0.5
"""Of all memory, what a process has to have had for its end by SIGKILL to be for want of memory."""

_NUMBERS: dict[int, str] = {
    **dict.fromkeys((errno.ENOSPC, errno.EROFS, errno.EIO, errno.EFBIG, errno.EDQUOT), "storage_limitations"),
    **dict.fromkeys((errno.EACCES, errno.EPERM), "storage_limitations"),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE, errno.ENOLCK), "resource_exhaustion"),
    **dict.fromkeys((errno.EAGAIN, errno.EBUSY, errno.EDEADLK), "resource_contention"),
    errno.ENOMEM: "context_overflow",
    errno.ENOENT: "dependency_violation",
    errno.ECONNREFUSED: "external_service_failure",
    **dict.fromkeys(
        (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE),
        "network_connectivity",
    ),
    errno.ETIMEDOUT: "network_connectivity",
}
"""The kinds of errors of the operating system, by their number."""

_TYPES: tuple[tuple[str, frozenset[str]], ...] = (
    ("context_overflow", frozenset({"MemoryError", "numpy.core._exceptions._ArrayMemoryError", "RecursionError"})),
    ("security_validation_failure", frozenset({"ssl.SSLCertVerificationError"})),
    ("external_service_failure", frozenset({"ConnectionRefusedError", "http.client.RemoteDisconnected"})),
    (
        "coordination_timeout",
        frozenset(
            {"filelock._error.Timeout", "filelock.Timeout", "queue.Empty", "orchestrator_nb.errors.RunUnanswered"}
        ),
    ),
    (
        "state_synchronization_failure",
        frozenset(
            {
                "threading.BrokenBarrierError",
                "sqlalchemy.orm.exc.StaleDataError",
                "asyncio.exceptions.BrokenBarrierError",
            }
        ),
    ),
    ("storage_limitations", frozenset({"orchestrator_nb.errors.StoreFull", "orchestrator_nb.errors.StoreError"})),
    (
        "network_connectivity",
        frozenset(
            {
                "socket.gaierror",
                "ConnectionError",
                "requests.exceptions.ConnectionError",
                "requests.exceptions.Timeout",
                "urllib3.exceptions.HTTPError",
                "urllib.error.URLError",
                "httpx.TransportError",
                "TimeoutError",
            }
        ),
    ),
    ("dependency_violation", frozenset({"ImportError", "FileNotFoundError"})),
    ("storage_limitations", frozenset({"PermissionError"})),
)
"""The kinds of exceptions by their class or a class that they derive from; the first that fits counts."""

_WORDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("security_validation_failure", ("security", "secret", "vulnerab", "bandit")),
    ("compliance_violation", ("compliance", "licence", "license", "policy")),
    ("performance_degradation", ("performance", "target", "duration", "seconds")),
)
"""What a gate is about, by words in its name."""

_HOST = r"(?:[a-z]+://|host=')([A-Za-z0-9._-]+(?::[0-9]+)?)"

_BY_KIND = {
    "timeout": "timeout_expiration",
    "early_exit": "partial_completion",
    "condition": "dependency_violation",
    "context": "dependency_violation",
    "conflict": "state_synchronization_failure",
    "not_started": "resource_exhaustion",
}


def classify(failure: Failure, *, partial: bool = False, rules: Iterable[Mapping[str, Any]] = ()) -> Classified:
    """Return what a failure is; `partial` when the command had given something that its next attempt can go on from.

    The first of the user's `rules` that fits has the first word, for as much as it says.
    """
    kind, why = _kind(failure)
    if kind == "command_failure" and partial:
        kind, why = "partial_completion", [*why, "it had given partial results"]
    transient = True if is_transient(failure) else False if is_permanent(failure) else None
    severity = SEVERITY_OF[kind]
    for place, rule in enumerate(rules, start=1):
        if _fits(rule, failure):
            named = rule.get("kind") or kind
            severity = rule.get("severity") or (SEVERITY_OF[named] if named != kind else severity)
            kind, transient = named, transient if rule.get("transient") is None else rule["transient"]
            why = [*why, f"rule {place} of the definition"]
            break
    return Classified(
        category=CATEGORY_OF[kind], kind=kind, severity=severity, transient=transient, evidence=tuple(why)
    )


def _kind(failure: Failure) -> tuple[str, list[str]]:
    """Return the kind, and in words what it was told by."""
    if failure.kind == "gate":
        name = failure.message.partition('"')[2].partition('"')[0].lower()
        about = next((kind for kind, words in _WORDS if any(word in name for word in words)), "quality_gate_failure")
        return about, [f'the gate "{name}"' if name else "a gate"]
    if failure.signal == 9 or failure.exit_code == 137:
        wanted, told = _by_want_of_memory(failure)
        return ("context_overflow" if wanted else "command_failure"), [told]
    if failure.kind in _BY_KIND:
        return _BY_KIND[failure.kind], [f"{failure.kind.replace('_', ' ')}"]
    status = http_status(failure)
    if status is not None:
        return ("command_failure" if status in (400, 404, 405, 422) else "external_service_failure"), [f"HTTP {status}"]
    if is_contention(failure):
        return "resource_contention", [failure.message.splitlines()[0][:200]]
    number = number_of(failure)
    if number in _NUMBERS:
        return _NUMBERS[number], [f"errno {number} ({errno.errorcode.get(number, '?')})"]
    names = names_of(failure)
    for kind, known in _TYPES:
        found = next((name for name in names if name in known), None)
        if found is not None:
            return kind, [found]
    if failure.kind == "exit_code":
        return "command_failure", [f"exit code {failure.exit_code}"]
    return "command_failure", [failure.types[0] if failure.types else failure.kind]


def _by_want_of_memory(failure: Failure) -> tuple[bool, str]:
    """Tell whether what was ended by SIGKILL was so for want of memory, and in words what that is told by: by the
    system's own account, by the memory that it had, or for want of better knowledge."""
    evidence = failure.evidence
    if evidence.get("oom"):
        return True, str(evidence["oom"])
    peak, there = evidence.get("peak"), evidence.get("memory")
    if isinstance(peak, int) and isinstance(there, int):
        told = f"ended by SIGKILL when it had had {peak / 2**20:,.0f} of {there / 2**20:,.0f} MiB of memory"
        if peak >= LARGE_PART * there:
            return True, told
        return False, f"{told}; {evidence.get('no_oom', 'somebody ended it')}"
    if evidence.get("no_oom"):
        return False, f"ended by SIGKILL; {evidence['no_oom']}"
    return True, "ended by SIGKILL, as the system does for want of memory"


def cause_of(failure: Failure, error: Classified) -> str:
    """Return a name for what caused an error, the same for all that fail by it: its kind, its class and, where the
    message names one, the host."""
    host = next((found for found in re.findall(_HOST, failure.message[:2000]) if found), "")
    return " ".join(filter(None, (error.kind, failure.types[0] if failure.types else failure.kind, host)))


def is_contention(failure: Failure) -> bool:
    """Tell whether others held what it needed: a locked database, a lock, a resource that is busy."""
    names = names_of(failure)
    database = {"sqlite3.OperationalError", "sqlalchemy.exc.OperationalError", "duckdb.duckdb.IOException"}
    locked = any(
        word in failure.message for word in ("locked", "busy", "deadlock", "Conflicting lock", "could not obtain lock")
    )
    return "BlockingIOError" in names or (locked and not database.isdisjoint(names))


def _fits(rule: Mapping[str, Any], failure: Failure) -> bool:
    """Tell whether all that a rule looks at is so."""
    looked: Sequence[bool] = [
        wanted is None or found
        for wanted, found in (
            (rule.get("type"), any(_is_named(name, str(rule.get("type"))) for name in names_of(failure))),
            (rule.get("message"), str(rule.get("message")).lower() in failure.message.lower()),
            (rule.get("exit_code"), rule.get("exit_code") == failure.exit_code),
            (rule.get("signal"), rule.get("signal") == failure.signal),
            (rule.get("failure"), rule.get("failure") == failure.kind),
        )
    ]
    return all(looked)


def _is_named(name: str, wanted: str) -> bool:
    return name == wanted or name.rpartition(".")[2] == wanted
