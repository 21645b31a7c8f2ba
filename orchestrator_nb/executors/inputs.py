"""What a command declares to read of the shared state: it is given that and no more, once it is there and of its type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator_nb.data.declared import unfit
from orchestrator_nb.events import Failure, Stored
from orchestrator_nb.state.sharing import referred


def declared_only(declared: Mapping[str, str], shared: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of the shared state is declared, as far as it is there."""
    return {name: shared[name] for name in declared if name in shared}


def wrong_context(declared: Mapping[str, str], shared: Mapping[str, Any]) -> Failure | None:
    """Return the failure of an attempt whose declared keys are missing or of another type, None where all are right."""
    wrong = []
    for name, type_name in declared.items():
        if name not in shared:
            wrong.append(f'"{name}" is missing')
        elif why := unfit(referred(shared[name]) or Stored(form="json", value=shared[name]), type_name):
            wrong.append(f'"{name}"{why}')
    if not wrong:
        return None
    there = ", ".join(f'"{name}"' for name in shared) or "none"
    message = f"the shared state is not as it declares: {'; '.join(wrong)}; of its keys there is {there}"
    return Failure(kind="context", message=message, stage="before it started", transient=False)
