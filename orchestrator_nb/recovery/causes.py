"""Which failures are likely to pass by themselves, and which never will."""

from __future__ import annotations

from orchestrator_nb.events import Failure

TRANSIENT_KINDS = frozenset({"not_started", "kernel_died", "lost"})
"""Kinds of failure that are the machine's doing and may well not happen again."""

TRANSIENT_TYPES = frozenset(
    {
        "ConnectionError",
        "TimeoutError",
        "BlockingIOError",
        "InterruptedError",
        "socket.gaierror",
        "requests.exceptions.ConnectionError",
        "requests.exceptions.Timeout",
        "urllib3.exceptions.TimeoutError",
        "urllib3.exceptions.ProtocolError",
        "httpx.TransportError",
        "http.client.RemoteDisconnected",
        "orchestrator_nb.errors.StoreFull",
    }
)
"""Exception classes, with all that derive from them, that mean a passing trouble."""

PERMANENT_KINDS = frozenset({"result_refused"})
"""Kinds of failure that a repetition of the same code can only repeat."""

PERMANENT_TYPES = frozenset({"SyntaxError", "ImportError", "NameError"})
"""Exception classes that only a change of the code or of the environment can mend."""


def is_transient(failure: Failure) -> bool:
    """Tell whether the failure is of a sort that passes by itself; what the one that failed says about it holds."""
    if is_permanent(failure):
        return False
    if failure.transient:
        return True
    if failure.kind in TRANSIENT_KINDS:
        return True
    names = {name.removeprefix("builtins.") for name in failure.types}
    if names & TRANSIENT_TYPES:
        return True
    return "sqlite3.OperationalError" in names and ("locked" in failure.message or "busy" in failure.message)


def is_permanent(failure: Failure) -> bool:
    """Tell whether repeating the same code can only fail in the same way."""
    if failure.transient is not None:
        return not failure.transient
    names = {name.removeprefix("builtins.") for name in failure.types}
    return failure.kind in PERMANENT_KINDS or bool(names & PERMANENT_TYPES)
