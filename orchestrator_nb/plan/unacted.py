"""What a definition asks for and nothing in this version acts on: it is named, never passed over in silence."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator_nb.definition.models import WorkflowDefinition


def unacted(definition: WorkflowDefinition) -> Iterator[str]:
    """Yield a sentence for each option that is given and has no effect."""
    if definition.coordination_timeout is not None and definition.overlap != "wait":
        yield f'"coordination_timeout" has an effect with `overlap: wait` only; it is `{definition.overlap}`'
