"""Why a notebook failed: what nbclient and papermill raise, and how a kernel ended, as failures of a command."""

from __future__ import annotations

import ast
import asyncio
import queue
import re
import signal
from typing import Any

from orchestrator_nb.commands.notebooks.watch import CELL, IDLE, STOPPED, TOTAL, Expired
from orchestrator_nb.data.redaction import REDACTOR
from orchestrator_nb.errors import CommandError

QUOTED_LIMIT = 16 * 1024
"""Characters of a cell's source that go into a failure."""

ASK_TIMEOUT = 5.0
"""Seconds a kernel may take to answer a question about an error."""

_TYPES_OF_LAST_ERROR = (
    '[(t.__module__ + "." if t.__module__ != "builtins" else "") + t.__qualname__ '
    'for t in __import__("sys").last_type.__mro__]'
)
_CHAIN = (
    '(lambda grow: grow(grow, __import__("sys").last_value, []))(lambda grow, e, seen: '
    "seen if e is None or len(seen) == 10 or any(e is s for s in seen) else "
    "grow(grow, e.__cause__ or (None if e.__suppress_context__ else e.__context__), [*seen, e]))"
)
_EVIDENCE_OF_LAST_ERROR = (
    '(lambda chain, first, safe: {"errno": first(e.errno for e in chain if isinstance(e, OSError)), '
    '"status": first(safe(safe(e, "response", e), "status_code", None) or '
    '(safe(e, "code", None) if type(e).__module__ == "urllib.error" else None) for e in chain), '
    '"causes": list(dict.fromkeys((t.__module__ + "." if t.__module__ != "builtins" else "") + t.__qualname__ '
    "for e in chain[1:] for t in type(e).__mro__[:-2]))})("
    + _CHAIN
    + ", lambda found: next((x for x in found if type(x) is int), None), "
    # a property of somebody's exception may raise anything
    "lambda e, name, otherwise: otherwise if isinstance(getattr(type(e), name, None), property) "
    "else getattr(e, name, otherwise))"
)
"""What `executors.failures.evidence_of` finds out, as an expression for a kernel that has nothing of this package."""

_IN_CELL = re.compile(r"^\s*Cell In\s?\[(\d+)\], line (\d+)", re.MULTILINE)
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


def not_started(kernel: str, trouble: Exception | None, expired: Expired | None, **files: Any) -> CommandError:
    """Return the failure of a notebook whose kernel never answered."""
    lines = str(trouble).strip().splitlines()
    what = lines[0] if lines else type(trouble).__name__
    if expired is not None:
        what = f"it did not answer within its start_timeout of {expired.seconds:g} s"
        if expired.limit == STOPPED:
            what = f"its process was stopped (SIGSTOP) and did not go on within {expired.seconds:g} s"
    return CommandError(
        f'the kernel "{kernel}" did not start: {what}', kind="not_started", stage="starting the kernel", **files
    )


def ran_out(expired: Expired, **place: Any) -> CommandError:
    """Return the failure of a notebook that was ended by its watch."""
    where = f"while its cell {place['cell']} ran" if "cell" in place else "between two cells"
    seconds = f"{expired.seconds:g} s"
    if expired.limit == STOPPED:
        message = f"the kernel was stopped (SIGSTOP) {where}, did not go on within {seconds} and was ended"
        return CommandError(message, kind="kernel_died", **place)
    passed = {
        TOTAL: f"it was ended after its timeout of {seconds}, {where}",
        CELL: f"its cell {place.get('cell')} was ended after the cell_timeout of {seconds}",
        IDLE: f"its cell {place.get('cell')} was ended after {seconds} without output (idle_timeout)",
    }
    return CommandError(passed[expired.limit], kind="timeout", **place)


def left_early(done: int, of: int, **place: Any) -> CommandError:
    """Return the failure of a notebook that asked to exit after `done` of its code cells."""
    message = (
        f"the notebook asked to exit in its cell {place['cell']}, after {done} of {of} code cells; "
        "if it may, say allow_early_exit: true"
    )
    return CommandError(message, kind="early_exit", exit_code=0, **place)


def raised(trouble: Any, types: tuple[str, ...], evidence: dict[str, Any], **files: Any) -> CommandError:
    """Return the failure for an exception in a cell, which papermill tells as its `PapermillExecutionError`.

    `types` are the classes of the exception, empty where the kernel did not say, `evidence` what else it said.
    """
    text = str(trouble.evalue)
    traceback = _ANSI.sub("", "\n".join(trouble.traceback)).lstrip("-\n")
    return CommandError(
        _ANSI.sub("", text) or str(trouble.ename),
        kind="exception",
        types=types or (str(trouble.ename),),
        evidence=evidence,
        traceback=traceback or None,
        exit_code=int(text) if trouble.ename == "SystemExit" and text.lstrip("-").isdecimal() else None,
        cell=trouble.cell_index,
        cell_source=shortened(trouble.source),
        line=_line(traceback, trouble.exec_count, str(trouble.source)),
        **files,
    )


def died(returncode: int, memory: int | None, **place: Any) -> CommandError:
    """Return the failure of a notebook whose kernel ended, by itself or by a signal (a negative code).

    `memory` is the most that it was seen to have, in bytes.
    """
    where = f"while its cell {place['cell']} ran" if "cell" in place else "between two cells"
    if returncode < 0:
        used = "" if memory is None else f"; it was seen to have {memory / 2**20:,.0f} MiB"
        message = f"the kernel died {where}: {_signal(-returncode)}{used}"
        return CommandError(message, kind="kernel_died", signal=-returncode, **place)
    message = f"the kernel exited {where}, with code {returncode}"
    return CommandError(message, kind="kernel_died", exit_code=returncode, **place)


def shortened(source: str) -> str:
    """Return as much of a cell's source as is quoted in a failure."""
    source = REDACTOR.text(source)
    return source if len(source) <= QUOTED_LIMIT else source[:QUOTED_LIMIT] + "\n…"


async def ask_about_error(client: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Ask a Python kernel for the classes of the exception that it has just shown, most derived first, and for what
    else tells its causes apart; see `Failure.evidence`.

    Its reply to the cell names only the first of the classes. Empty where it does not say.
    """
    for _ in range(20):
        question = client.execute(
            "",
            silent=True,
            store_history=False,
            allow_stdin=False,
            user_expressions={"types": _TYPES_OF_LAST_ERROR, "evidence": _EVIDENCE_OF_LAST_ERROR},
        )
        try:
            reply = await client.shell_channel.get_msg(timeout=ASK_TIMEOUT)
            while reply["parent_header"].get("msg_id") != question:
                reply = await client.shell_channel.get_msg(timeout=ASK_TIMEOUT)
            if reply["content"].get("status") == "aborted":  # it still drops what comes after an error
                await asyncio.sleep(0.02)
                continue
            answers = reply["content"]["user_expressions"]
            names = [str(name) for name in ast.literal_eval(answers["types"]["data"]["text/plain"])]
        except (queue.Empty, KeyError, ValueError, SyntaxError):
            return (), {}
        types = tuple(names[: names.index("Exception") + 1]) if "Exception" in names else tuple(names[:1])
        return types, _evidence(answers.get("evidence"))
    return (), {}


def _evidence(answer: Any) -> dict[str, Any]:
    """Return what a kernel says about an error, as far as it fits."""
    try:
        told = ast.literal_eval(answer["data"]["text/plain"])
        numbers = {name: told[name] for name in ("errno", "status") if type(told[name]) is int}
        causes = [str(name) for name in told["causes"]]
    except (KeyError, TypeError, ValueError, SyntaxError):
        return {}
    return {**numbers, **({"causes": causes} if causes else {})}


def _line(traceback: str, count: Any, source: str) -> int | None:
    """Return the innermost line of the cell with that execution count that IPython's traceback names."""
    named = [int(line) for cell, line in _IN_CELL.findall(traceback) if cell == str(count)]
    # IPython counts from the first line that is not empty
    empty = len(source.splitlines()) - len(source.lstrip().splitlines())
    return named[-1] + empty if named else None


def _signal(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"ended by signal {number}"
    often = "; often the system ending it for want of memory" if name == "SIGKILL" else ""
    return f"ended by {name}{often}"
