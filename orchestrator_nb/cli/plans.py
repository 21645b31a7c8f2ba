"""A plan as JSON for machines; for people it prints itself."""

from __future__ import annotations

import dataclasses
import json

from orchestrator_nb.plan.listing import what_runs
from orchestrator_nb.plan.plan import Plan


def plan_json(plan: Plan) -> str:
    """Return the plan as one JSON object."""
    return json.dumps(
        {
            "workflow": plan.definition.workflow,
            "folder": str(plan.folder),
            "parameters": dict(plan.parameters),
            "order": list(plan.order),
            "commands": {
                name: {
                    "kind": plan.commands[name].kind,
                    "runs": what_runs(plan.commands[name]),
                    "upstream": list(plan.upstream[name]),
                }
                for name in plan.order
            },
            "edges": [dataclasses.asdict(edge) for edge in plan.edges],
            "notes": list(plan.notes),
        },
        ensure_ascii=False,
    )
