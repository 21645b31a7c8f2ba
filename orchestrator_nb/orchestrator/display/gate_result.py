"""The verdict of a gate as people see it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import Struct

from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.errors import StoreError
from orchestrator_nb.events import GateChecked

ARTIFACTS = "artifacts"
NOT_CHECKED = "not checked"
_MARKS = {"passed": "✓", "failed": "✗", "error": "!", NOT_CHECKED: "?"}


class GateResult(Struct, frozen=True, kw_only=True):
    """What became of one gate of a run: `command` is empty for what is required of the run as a whole.

    `verdict` is passed, failed, error (the gate itself could not be carried out) or not checked; `value` is what was
    found, `expected` what should have been, `message` what is wrong. `evidence` is the file that was kept, `origin` the
    run from which a reused result has its verdict, `seconds` what the check took.
    """

    gate: str
    command: str
    verdict: str
    blocking: bool = True
    value: Any = None
    expected: str = ""
    message: str = ""
    evidence: Path | None = None
    seconds: float = 0.0
    origin: str = ""

    @classmethod
    def of(cls, event: GateChecked, folder: Path) -> GateResult:
        """Return what a fact says; `folder` is the run's."""
        evidence = None
        if event.evidence is not None and event.evidence.artifact is not None:
            try:
                evidence = Artifacts(folder / ARTIFACTS).path(event.evidence.artifact)
            except StoreError:  # the verdict stands; the audit says that its evidence is gone
                evidence = None
        return cls(
            gate=event.gate,
            command=event.command or "",
            verdict=event.verdict,
            blocking=event.blocking,
            value=event.value,
            expected=event.expected,
            message=event.message,
            evidence=evidence,
            seconds=event.seconds,
        )

    @property
    def passed(self) -> bool:
        """Whether it holds."""
        return self.verdict == "passed"

    def to_plain(self, folder: Path | None = None) -> dict[str, Any]:
        """Return it as plain JSON, what there is none of left out; paths relative to `folder`."""
        plain: dict[str, Any] = {
            "gate": self.gate, "command": self.command, "verdict": self.verdict, "blocking": self.blocking,
        }  # fmt: skip
        if self.value is not None:
            plain["value"] = self.value
        plain.update({name: text for name in ("expected", "message", "origin") if (text := getattr(self, name))})
        if self.evidence is not None:
            inside = folder is not None and self.evidence.is_relative_to(folder)
            plain["evidence"] = (self.evidence.relative_to(folder) if inside and folder else self.evidence).as_posix()
        plain["seconds"] = round(self.seconds, 6)
        return plain

    def __str__(self) -> str:
        where = f"{self.command}: " if self.command else ""
        how = self.verdict if self.blocking else f"{self.verdict}, a warning only"
        return f"{_MARKS[self.verdict]} {where}{self.gate} ({how})" + (f": {self.message}" if self.message else "")

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        from html import escape

        from orchestrator_nb.drawing.table import marked, panel

        where = f"<b>{escape(self.command)}</b> " if self.command else ""
        how = "" if self.blocking else ", a warning only"
        told = f": {escape(self.message)}" if self.message else ""
        verdict = marked(self.verdict + how, looks=None if self.blocking or self.passed else "warns")
        said = f"{verdict} {where}<code>{escape(self.gate)}</code>{told}"
        return panel(f'<p class="onb-lead">{said}</p>', label=str(self))
