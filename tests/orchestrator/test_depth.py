"""A chain that is deeper than Python lets anything recurse: nothing goes down it step by step within itself."""

from __future__ import annotations

import sys
from pathlib import Path

from orchestrator_nb import Workflow
from orchestrator_nb.orchestrator.store.audit import audit_run

DEEP = sys.getrecursionlimit() + 200


def test_a_deep_chain_is_planned_run_failed_resumed_and_reused(project: Path) -> None:
    """From its definition to the audit; `bench_overhead.py --sizes` has one of 100,000."""
    (project / "steps.py").write_text(
        "from pathlib import Path\n\ndef step(before):\n    return before + 1\n\n"
        "def halfway(before):\n    if Path('broken').exists():\n        raise ValueError('broken')\n    return before + 1\n"
    )
    before = {number: f"${{{{ c{number - 1} }}}}" if number else 0 for number in range(DEEP)}
    commands = {
        f"c{number}": {
            "call": "steps:halfway" if number == DEEP // 2 else "steps:step",
            "parameters": {"before": before[number]},
            "retries": 0,
        }
        for number in range(DEEP)
    }
    Path("broken").touch()
    flow = Workflow.load({"workflow": "deep", "durability": "process", "commands": commands})
    assert len(flow.plan().critical_path()) == DEEP
    run = flow.start(check=False)
    assert run.state.counts["upstream_failed"] == DEEP - DEEP // 2 - 1
    Path("broken").unlink()
    resumed = flow.resume()
    assert resumed.result.outputs[f"c{DEEP - 1}"] == DEEP
    again = flow.start(reuse=True)
    assert again.state.counts == {**again.state.counts, "reused": DEEP}
    part = flow.start(start_from=f"c{DEEP - 2}")
    assert part.result.outputs[f"c{DEEP - 1}"] == DEEP
    assert audit_run(resumed.folder, index=False) == []
