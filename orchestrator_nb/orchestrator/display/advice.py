"""What may help against an error, by its kind: recommendations for a person."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator_nb.state.records import CommandRecord

ADVICE: dict[str, str] = {
    "command_failure": "read the traceback and the log, mend the code, and resume: what succeeded is not run again",
    "partial_completion": "its partial results are kept: resume, and let it go on from them (context.partial)",
    "timeout_expiration": "give it a longer `timeout`, or less to do; `duration` of earlier runs is in the history",
    "resource_exhaustion": "raise the limit of open files, processes or threads (ulimit), or run fewer at a time (slots)",
    "dependency_violation": "install what is missing, or have the file or the result made by a command before it",
    "state_synchronization_failure": "put the commands that share the state one after the other (after)",
    "resource_contention": "declare what it writes as `writes` with `exclusive: true`, so that writers take turns",
    "coordination_timeout": "look for who holds the lock, and give the waiting more time",
    "quality_gate_failure": "look at the result that the gate refuses; mend the data or the code, not the gate",
    "compliance_violation": "stop here: nothing of it may be used before somebody responsible has looked at it",
    "security_validation_failure": "stop here: check certificates, secrets and what was found before anything goes on",
    "performance_degradation": "compare with earlier runs in the history; more slots or less data may do",
    "context_overflow": "give it more memory, or smaller parts: a matrix, chunks, column types; declare `resources`",
    "network_connectivity": "check the network, the name of the host and the proxy from this machine",
    "storage_limitations": "make room where it writes, or check who may write there; `prune` deletes old runs",
    "external_service_failure": "check whether the service is up and the quota is left; resume when it is back",
}
"""A sentence for each kind of error."""


def advice(record: CommandRecord) -> Iterator[str]:
    """Yield what may help a command whose last attempt failed."""
    if record.error is not None and record.error.kind in ADVICE:
        yield ADVICE[record.error.kind]
    if record.error is not None and record.error.transient:
        yield "it may pass by itself: a resume tries it again"
