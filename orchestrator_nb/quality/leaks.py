"""A gate on outputs: no secret is in what a command left, as far as secrets can be told by what they look like."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.data.redaction import REDACTOR
from orchestrator_nb.definition.models import CommandDefinition, GateDefinition
from orchestrator_nb.errors import Mistake
from orchestrator_nb.ports import Gate, Subject, Verdict
from orchestrator_nb.quality.lookups import ARTIFACTS
from orchestrator_nb.quality.use import TEXTS, texts, wrong_options

LARGEST = 20 * 2**20
"""Bytes of a file that are looked at."""

LOOKS: dict[str, str] = {
    "a private key": r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----",
    "an AWS access key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,})\b",
    "a GitLab token": r"\bglpat-[A-Za-z0-9_-]{20,}",
    "a Slack token": r"\bxox[abprs]-[A-Za-z0-9-]{10,}",
    "a Google API key": r"\bAIza[0-9A-Za-z_-]{35}\b",
    "an API key": r"\bsk-[A-Za-z0-9_-]{20,}",
    "a JSON web token": r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
    "a password in an address": r"\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@\"']{1,100}:[^\s:/@\"'*<]{3,100}@",
    "an assigned secret": r"(?i)\b(?:password|passwd|secret|api_?key|access_?token)[\"']?\s{0,3}[:=]\s{0,3}[\"'][^\s\"'*<]{8,200}[\"']",
}
"""What secrets look like, by what they are called."""

_LOOKS = {what: re.compile(pattern) for what, pattern in LOOKS.items()}


class SecretsGate(Gate):
    """Nothing that looks like a secret, and no secret that this process knows, is in the output notebook, the log, the
    result, or a file that was attached. `allow` are patterns of what is none."""

    name = "secrets"

    def check(
        self,
        gate: GateDefinition,
        command: CommandDefinition | None,  # noqa: ARG002 - the contract
        *,
        folder: Path,  # noqa: ARG002 - the contract
    ) -> list[Mistake]:
        """Return wrong options, and patterns that are none."""
        found = wrong_options(gate, {"allow": TEXTS})
        for pattern in texts(gate.options.get("allow")):
            try:
                re.compile(pattern)
            except re.error as error:
                found.append(Mistake(f"a pattern cannot be read: {error}", "/options/allow", found=f'"{pattern}"'))
        return found

    def verdict(self, subject: Subject) -> Verdict:
        """Look through all that the attempt left."""
        allowed = [re.compile(pattern) for pattern in texts(subject.options.get("allow"))]
        found = [
            f"{what} in {place}, line {line}"
            for place, text in _left(subject)
            for what, line, match in looked_through(text)
            if not any(pattern.search(match) for pattern in allowed)
        ]
        return Verdict(
            holds=not found,
            value=len(found),
            expected="no secret in what it left",
            message="; ".join(found[:5]) + (f"; and {len(found) - 5} more" if len(found) > 5 else ""),
            evidence=subject.keep("\n".join(found), "secrets.txt") if found else None,
        )


def looked_through(text: str) -> Iterator[tuple[str, int, str]]:
    """Yield what looks like a secret: what it is, the line from 1, and the match, which is not to be shown."""
    for what, pattern in _LOOKS.items():
        for match in pattern.finditer(text):
            yield what, text.count("\n", 0, match.start()) + 1, match[0]
    if REDACTOR.active and REDACTOR.text(text) != text:
        yield "a secret of this run", 1, ""


def _left(subject: Subject) -> Iterator[tuple[str, str]]:
    """Yield the texts that the attempt left, each with its place."""
    record = subject.record
    told = msgspec.to_builtins([record.result, record.recorded, record.shared, record.metrics])
    yield "the result", json.dumps(told, ensure_ascii=False, indent=0)
    for name in filter(None, (record.notebook, record.log)):
        yield name, _text(subject.run_folder / name).replace('\\"', '"')
    artifacts = Artifacts(subject.run_folder / ARTIFACTS)
    for name, stored in {**record.artifacts, **record.recorded}.items():
        if stored.artifact is not None and stored.form in ("file", "json", "bytes"):
            yield name, _text(artifacts.path(stored.artifact))


def _text(path: Path) -> str:
    with open(path, "rb") as file:
        return file.read(LARGEST).decode("utf-8", "replace")
