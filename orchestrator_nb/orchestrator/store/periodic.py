"""Audits of a whole store: when the next one is due, and what keeping the journals takes."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator_nb.data.finding import Finding
from orchestrator_nb.definition.durations import seconds
from orchestrator_nb.errors import StoreError, UsageError
from orchestrator_nb.events import StoreAudited
from orchestrator_nb.journal.identity import asker
from orchestrator_nb.journal.store import JOURNAL, list_runs
from orchestrator_nb.journal.store_facts import record_facts, store_facts
from orchestrator_nb.orchestrator.store.audit import audit_run
from orchestrator_nb.orchestrator.store.history import summaries
from orchestrator_nb.orchestrator.store.prune import size_of


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreAudit:
    """What an audit of all runs came to: `findings` by run, the `seconds` that it took, and what the runs take on the
    disk, `bytes` of which `journal_bytes` are journals."""

    findings: dict[str, list[Finding]]
    seconds: float
    journal_bytes: int
    bytes: int


def audit_store(store: Path) -> StoreAudit:
    """Check every run of the store, and record that it was done where the store can be written; see `audit_run`."""
    begun = time.monotonic()
    folders = list_runs(store)
    findings = {folder.name: audit_run(folder) for folder in folders}
    journals = 0
    for folder in folders:
        with suppress(OSError):  # it is told as a finding
            journals += os.stat(folder / JOURNAL).st_size
    audit = StoreAudit(
        findings=findings,
        seconds=time.monotonic() - begun,
        journal_bytes=journals,
        bytes=sum(size_of(folder) for folder in folders),
    )
    if folders:
        found = sum(map(len, findings.values()))
        fact = StoreAudited(
            at=time.time(), runs=len(folders), findings=found, seconds=round(audit.seconds, 3), by=asker()
        )
        with suppress(StoreError):  # then the next one is due again
            record_facts(store, [fact])
    return audit


def why_due(store: Path, every: str) -> str | None:
    """Return why an audit of the store is due, None where it is not: `every` is a time such as 7d, or a number of runs.

    Raises UsageError for anything else, StoreError when the store cannot be read.
    """
    span = seconds(every)
    runs = int(every) if every.isdecimal() else 0
    if not runs and not isinstance(span, float):
        raise UsageError(f'--every takes a time such as 7d or 12h, or a number of runs such as 20; found "{every}"')
    last = max((fact.at for fact in store_facts(store) if isinstance(fact, StoreAudited)), default=None)
    if last is None:
        return "the store was never audited"
    if runs:
        begun = sum(row["started"] is not None and row["started"] > last for row in summaries(store))
        return f"{begun} runs began since the last audit" if begun >= runs else None
    passed = time.time() - last
    return f"the last audit was {passed / 86_400:.1f} days ago" if passed >= span else None
