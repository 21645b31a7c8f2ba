"""Whether the artifacts of a run are what their names say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.data.finding import Finding
from orchestrator_nb.errors import StoreError


def check_artifacts(folder: Path, needed: Mapping[str, tuple[str, str]]) -> Iterator[Finding]:
    """Read every artifact whole that is `needed`: by its SHA-256, what it is and how it is mended; `folder` is that of
    the artifacts."""
    artifacts = Artifacts(folder)
    for sha256, (what, repair) in needed.items():
        try:
            artifacts.verify(sha256)
        except StoreError as error:
            yield Finding(place=f"{folder}, {what}", what=str(error), repair=repair)
