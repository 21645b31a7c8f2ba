"""A plan as JSON for machines; for people it prints itself."""

from __future__ import annotations

import json

from msgspec import structs

from orchestrator_nb.orchestrator.preview import Preview
from orchestrator_nb.plan.listing import what_runs


def plan_json(plan: Preview) -> str:
    """Return the plan as one JSON object."""
    return json.dumps(
        {
            "workflow": plan.definition.workflow,
            "folder": str(plan.folder),
            "parameters": dict(plan.parameters),
            "secrets": list(plan.secrets),
            "order": list(plan.order),
            "commands": {
                name: {
                    "kind": plan.commands[name].kind,
                    "runs": what_runs(plan.commands[name]),
                    "upstream": list(plan.upstream[name]),
                }
                for name in plan.order
            },
            "edges": [structs.asdict(edge) for edge in plan.edges],
            "notes": list(plan.notes),
            "slots": plan.slots,
            "critical_path": plan.critical_path(),
            "batches": plan.batches(),
            "predicted": {plan.slots: plan.predicted([plan.slots]).get(plan.slots)},
            "reuse": {name: structs.asdict(verdict) for name, verdict in plan.verdicts.items()},
            "conflicts": [structs.asdict(conflict) for conflict in plan.conflicts()],
        },
        ensure_ascii=False,
    )
