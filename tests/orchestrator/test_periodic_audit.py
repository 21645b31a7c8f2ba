"""Audits of the whole store: when one is due, that it was done, and what it tells."""

from __future__ import annotations

import json
import time

import pytest

from orchestrator_nb import Workflow
from orchestrator_nb.cli.main import run_command_line
from orchestrator_nb.errors import UsageError
from orchestrator_nb.events import StoreAudited
from orchestrator_nb.journal.store import find_store
from orchestrator_nb.journal.store_facts import record_facts, store_facts
from orchestrator_nb.orchestrator.store.periodic import audit_store, why_due

DAY = 86_400.0


@pytest.fixture
def runs(project):
    """A store with two runs; returns the folder of the store."""
    flow = Workflow("w")
    flow.command(lambda: 1, id="a")
    flow.run()
    flow.run()
    return find_store(None)


def _audited(store, at):
    record_facts(store, [StoreAudited(at=at, runs=1, findings=0, seconds=0.1)])


def test_an_audit_is_due_after_so_long_or_after_so_many_runs(runs):
    """Never audited is due; then the time since, or the runs that began since, decide."""
    assert why_due(runs, "7d") == "the store was never audited"
    _audited(runs, time.time() - 8 * DAY)
    assert why_due(runs, "7d") == "the last audit was 8.0 days ago"
    assert why_due(runs, "9d") is None
    assert why_due(runs, "2") == "2 runs began since the last audit"
    assert why_due(runs, "3") is None
    _audited(runs, time.time())
    assert why_due(runs, "1h") is None
    assert why_due(runs, "1") is None


@pytest.mark.parametrize("every", ["", "soon", "0", "-3", "7 weeks"])
def test_another_span_is_a_mistake_in_the_call(runs, every):
    """It names what was found and what is expected."""
    with pytest.raises(UsageError, match="such as 7d"):
        why_due(runs, every)


def test_what_an_audit_of_all_came_to_is_recorded_with_its_cost(runs):
    """Each run has its findings, the store has the fact, and the sizes are those of the files."""
    audit = audit_store(runs)
    assert audit.findings == {folder.name: [] for folder in runs.iterdir() if folder.is_dir()}
    journals = sum(path.stat().st_size for path in runs.glob("*/journal.jsonl"))
    assert audit.journal_bytes == journals
    assert audit.bytes > journals
    (fact,) = [fact for fact in store_facts(runs) if isinstance(fact, StoreAudited)]
    assert (fact.runs, fact.findings) == (2, 0)
    assert fact.by["pid"]


def test_from_cron_it_looks_when_it_is_due(runs, capsys):
    """The first time all runs are looked at, the second time none; damage is found when it is due again."""
    assert run_command_line(["audit", "--every", "1"]) == 0
    assert "2 runs in" in capsys.readouterr().out
    damaged = min(runs.glob("*/journal.jsonl"))
    damaged.write_bytes(damaged.read_bytes().replace(b"RunStarted", b"RunStarteD"))
    assert run_command_line(["audit", "--every", "1"]) == 0
    assert "no audit is due yet" in capsys.readouterr().out
    assert run_command_line(["audit", "--every", "1ms", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [bool(items) for _, items in sorted(found.items())] == [True, False]
    assert run_command_line(["audit", "--every", "now"]) == 2
    assert "such as 7d" in capsys.readouterr().err
