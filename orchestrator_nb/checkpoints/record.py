"""A checkpoint: what is known about it, its names, and how it is written into the message of its commit."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from orchestrator_nb.drawing.glyphs import counted
from orchestrator_nb.errors import CheckpointError

KINDS = ("start", "command", "left", "gate", "recovery", "completion", "pause", "safety", "rollback")
"""What a checkpoint can be of. Those of a command, of what one has left that did not succeed, and of a rollback hold
changes that belong to somebody."""

_FACTS = "Checkpoint: "
_MARK = b"\n" + _FACTS.encode()


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One checkpoint of a run; `number` counts from 1 within the run, `commit` and `tree` are git's ids.

    `subject` is the command, gate or recovery strategy that it is of. `whole` when the whole work tree was looked at,
    else only the declared paths. `previous` is the commit before it in the run, `position` the journal's sequence
    number, `head` and `branch` where the user's repository stood. `files` counts those that were read for it, because they
    are declared or looked changed. `skipped` has every path that is not in it and why,
    `empty` the folders without a file. `more` are facts of whoever took it: outputs, shared state, evidence of gates.
    """

    run: str
    number: int
    kind: str
    workflow: str
    at: float
    subject: str | None = None
    label: str | None = None
    whole: bool = True
    position: int = 0
    previous: str | None = None
    head: str | None = None
    branch: str | None = None
    files: int = 0
    skipped: tuple[tuple[str, str], ...] = ()
    empty: tuple[str, ...] = ()
    more: Mapping[str, Any] = {}
    commit: str = ""
    tree: str = ""

    @property
    def id(self) -> str:
        """The name that holds over all runs: ``run/000007``."""
        return f"{self.run}/{self.number:06d}"

    def __repr__(self) -> str:
        return f"<Checkpoint {self.id}: {self.name}, {', '.join(self._facts().values())}>"

    def _repr_html_(self) -> str:
        from orchestrator_nb.drawing.table import table_card

        return table_card(f"{self.id}: {self.name}", tuple(self._facts()), [self._facts()])

    def _facts(self) -> dict[str, str]:
        """Return what people want to know of it first."""
        facts = {
            "taken": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.at)),
            "files": counted(self.files, "file"),
            "left out": f"{len(self.skipped):,} left out" if self.skipped else "",
            "commit": self.commit[:12],
            "label": self.label or "",
        }
        return {name: text for name, text in facts.items() if text}

    @property
    def owner(self) -> str | None:
        """Whose the changes since the checkpoint before are: a command's, a rollback's, or nobody's."""
        return self.subject if self.is_of_command else ("rollback" if self.kind == "rollback" else None)

    @property
    def is_of_command(self) -> bool:
        """Whether a command has made the changes since the checkpoint before."""
        return self.kind in {"command", "left"}

    @property
    def name(self) -> str:
        """The name by what it is of, as the workflow's people say it: ``command_completion_clean``."""
        subject = self.subject or self.workflow
        return {
            "start": f"workflow_start_{self.workflow}",
            "command": f"command_completion_{subject}",
            "left": f"command_left_{subject}",
            "gate": f"quality_validation_{subject}",
            "completion": f"workflow_complete_{self.workflow}",
        }.get(self.kind, f"{self.kind}_{subject}")


_READ = msgspec.json.Decoder(Checkpoint)


def message_of(checkpoint: Checkpoint) -> str:
    """Return the message of the checkpoint's commit: the sentences that people look for, and all facts in one line."""
    facts = msgspec.structs.replace(checkpoint, commit="", tree="")
    # In ASCII, since a path that is no valid text has no other form in a message.
    return "\n\n".join((headline_of(checkpoint), *_sentences(checkpoint)[1:], _FACTS + _ascii(facts))) + "\n"


def headline_of(checkpoint: Checkpoint) -> str:
    """Return the first line of the checkpoint's message."""
    return " ".join(_sentences(checkpoint)[0].splitlines())


def _sentences(checkpoint: Checkpoint) -> tuple[str, ...]:
    flow, subject = checkpoint.workflow, checkpoint.subject or ""
    label = checkpoint.label or subject
    sentences: dict[str, tuple[str, ...]] = {
        "start": (
            f"WORKFLOW-INIT: {flow} - workflow initialization with validated configuration",
            f"PRE-WORKFLOW: {flow} - initialization complete with validation",
        ),
        "command": (
            f"WORKFLOW-STEP: {subject} completed in {flow} with validation",
            f"WORKFLOW-EXEC: {subject} - {label} completed in workflow {flow}",
        ),
        "left": (f"WORKFLOW-RECOVERY: {flow} - what {subject} left when it was {label}",),
        "gate": (f"WORKFLOW-QUALITY: {label} passed in {flow} with evidence",),
        "recovery": (f"WORKFLOW-RECOVERY: {flow} - recovery strategy {label} applied",),
        "completion": (
            f"WORKFLOW-FINAL: {flow} completed successfully with comprehensive validation",
            f"WORKFLOW-COMPLETE: {flow} - execution successful with quality validation",
        ),
        "pause": (f"WORKFLOW-PAUSE: {flow} - as it was left",),
        "safety": (f"WORKFLOW-SAFETY: {flow} - before the rollback {label}",),
        "rollback": (f"WORKFLOW-ROLLBACK: {flow} - rolled back {label}",),
    }
    gates = checkpoint.more.get("gates")
    passed = (f"WORKFLOW-QUALITY: {', '.join(gates)} passed in {flow} with evidence",) if gates else ()
    return (*sentences[checkpoint.kind], *passed)


def read_message(message: bytes, *, commit: str, tree: str) -> Checkpoint:
    """Return the checkpoint that a commit of this message is. Raises CheckpointError when it is none."""
    facts = message[message.rfind(_MARK) + len(_MARK) :].strip()
    try:
        found = _READ.decode(facts)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeEncodeError):
        found = _read_slowly(facts, commit)
    # Nobody else has seen it yet; a copy would double the time that a long list takes.
    msgspec.structs.force_setattr(found, "commit", commit)
    msgspec.structs.force_setattr(found, "tree", tree)
    return found


def _read_slowly(facts: bytes, commit: str) -> Checkpoint:
    """Read what a strict decoder refuses: a path that is no valid text."""
    import json

    try:
        return msgspec.convert(json.loads(facts), Checkpoint)
    except (ValueError, TypeError) as error:
        raise CheckpointError(f'the commit "{commit}" is no checkpoint: {error}') from error


def _ascii(facts: Checkpoint) -> str:
    import json

    return json.dumps(msgspec.to_builtins(facts), separators=(",", ":"))


def ref_of(run: str, number: int | None = None) -> str:
    """Return the name under which git has a checkpoint, or the folder of all of a run."""
    # "..", a last "." and a last ".lock" may be in the id of a run, but not in the name of a reference.
    named = re.sub(r"\.(?=\.|lock$|$)", "%2E", run)
    return f"refs/runs/{named}/" + ("" if number is None else f"{number:06d}")
