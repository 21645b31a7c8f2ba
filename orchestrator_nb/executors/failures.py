"""An exception as it is journalled: a failure with the names of its types and a traceback of the user's frames."""

from __future__ import annotations

import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

from msgspec import structs

from orchestrator_nb.data.redaction import REDACTOR
from orchestrator_nb.errors import CommandError, ResultRefused
from orchestrator_nb.events import Failure, Used
from orchestrator_nb.executors.oom import OutOfMemory

SIGKILL = 9
OUT_OF_MEMORY = OutOfMemory()
_LONGEST_CHAIN = 10
"""Exceptions of a chain that are looked at."""

CRASHES = frozenset({"kernel_died", "signal", "lost", "not_started"})
"""The kinds of failure that are the machine's doing rather than the command's."""

TRACEBACK_LIMIT = 64 * 1024
MESSAGE_LIMIT = 16 * 1024
"""What is kept of a traceback and of a message, in characters."""

_OWN_FRAMES = (str(Path(__file__).resolve().parents[1]), str(Path(traceback.__file__).parent / "asyncio"))
_FIELDS = frozenset(Failure.__struct_fields__) - {"message", "types", "traceback", "evidence"}


def failure_of(error: BaseException, **fields_known: Any) -> Failure:
    """Return what is known about an exception that ended an attempt; `fields_known` are fields of `Failure`."""
    known = {**(error.failure if isinstance(error, CommandError) else {}), **fields_known}
    kind = known.pop("kind", "result_refused" if isinstance(error, ResultRefused) else "exception")
    if isinstance(error, SystemExit) and isinstance(error.code, int):
        known["exit_code"] = error.code
    evidence = {**evidence_of(error), **(known.pop("evidence", None) or {})}
    if known.get("signal") == SIGKILL or known.get("exit_code") == 128 + SIGKILL:
        if ended := OUT_OF_MEMORY.news():
            evidence["oom"] = ended
        elif OUT_OF_MEMORY.account is not None:
            evidence["no_oom"] = f"{OUT_OF_MEMORY.account} counts no process ended for want of memory"
    given = known.pop("types", None)
    trace = known.pop("traceback", None)
    return Failure(
        kind=kind,
        message=shortened(REDACTOR.text(known.pop("message", None) or _message(error)), MESSAGE_LIMIT),
        types=tuple(given) if given else type_names(type(error)),
        traceback=shortened(REDACTOR.text(trace), TRACEBACK_LIMIT) if trace else trimmed_traceback(error),
        evidence=evidence,
        **{name: value for name, value in known.items() if name in _FIELDS},
    )


def with_peak(failure: Failure, used: Used | None) -> Failure:
    """Return the failure of what was killed with the most memory that it had, and how much there is, as evidence."""
    killed = failure.signal == SIGKILL or failure.exit_code == 128 + SIGKILL
    if not killed or used is None or used.memory is None:
        return failure
    from orchestrator_nb.executors.machine import free_memory

    there = free_memory()
    if there is None:
        return failure
    return structs.replace(failure, evidence={**failure.evidence, "peak": used.memory, "memory": there[1]})


def evidence_of(error: BaseException) -> dict[str, Any]:
    """Return what tells the causes of an exception apart besides its own class; see `Failure.evidence`."""
    evidence: dict[str, Any] = {}
    causes: list[str] = []
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen and len(seen) < _LONGEST_CHAIN:
        seen.add(id(link))
        number = getattr(link, "errno", None)
        status = getattr(getattr(link, "response", link), "status_code", None)
        status = getattr(link, "code", None) if status is None and type(link).__module__ == "urllib.error" else status
        if isinstance(link, OSError) and type(number) is int:
            evidence.setdefault("errno", number)
        if type(status) is int:
            evidence.setdefault("status", status)
        if link is not error:
            causes += [name for name in type_names(type(link)) if name not in causes]
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    if causes:
        evidence["causes"] = causes
    return evidence


def type_names(kind: type[BaseException]) -> tuple[str, ...]:
    """Return the qualified names of an exception's class and its bases up to Exception, most derived first."""
    names: list[str] = []
    for base in kind.__mro__:
        if base is object or (base is BaseException and names):
            break
        names.append(base.__qualname__ if base.__module__ == "builtins" else f"{base.__module__}.{base.__qualname__}")
        if base is Exception:
            break
    return tuple(names)


def trimmed_traceback(error: BaseException) -> str | None:
    """Return the traceback from the first frame of the user's code on; None when there is no such frame."""
    trace: TracebackType | None = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OWN_FRAMES):
        trace = trace.tb_next
    if trace is None:
        return None
    try:
        text = "".join(traceback.TracebackException(type(error), error, trace).format())
    except Exception as trouble:  # noqa: BLE001 - one whose own methods raise still has to be reported
        return f"(the traceback cannot be shown: {type(trouble).__name__})"
    return shortened(REDACTOR.text(text), TRACEBACK_LIMIT)


def shortened(text: str, limit: int) -> str:
    """Return the text, with its middle left out when it is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"


def _message(error: BaseException) -> str:
    try:
        return str(error) or type(error).__name__
    except Exception as trouble:  # noqa: BLE001 - as above
        return f"{type(error).__name__} (its text cannot be shown: {type(trouble).__name__})"
