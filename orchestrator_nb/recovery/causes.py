"""Which failures are likely to pass by themselves, and which never will."""

from __future__ import annotations

import errno
import re

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
        "filelock._error.Timeout",
        "orchestrator_nb.errors.StoreFull",
    }
)
"""Exception classes, with all that derive from them, that mean a passing trouble."""

TRANSIENT_NUMBERS = frozenset({errno.ENOSPC, errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.EBUSY, errno.ENETUNREACH,
                               errno.EHOSTUNREACH, errno.ETIMEDOUT, errno.ECONNRESET, errno.ECONNREFUSED})  # fmt: skip
"""Errors of the operating system that mean the same: others may give back what is short."""

TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses with which a server says that it may go better later."""

PERMANENT_KINDS = frozenset({"result_refused"})
"""Kinds of failure that a repetition of the same code can only repeat."""

PERMANENT_TYPES = frozenset({"SyntaxError", "ImportError", "NameError", "ssl.SSLCertVerificationError"})
"""Exception classes that only a change of the code or of the environment can mend."""

_HTTP_TYPES = frozenset(
    {
        "requests.exceptions.HTTPError",
        "urllib.error.HTTPError",
        "httpx.HTTPStatusError",
        "aiohttp.client_exceptions.ClientResponseError",
    }
)
_TOO_MANY = r"too many ([45][0-9]{2}) error responses"
_STATUS = r"\b([45][0-9]{2})\b"
_ERRNO = r"\[Errno ([0-9]{1,3})\]"


def is_transient(failure: Failure) -> bool:
    """Tell whether the failure is of a sort that passes by itself; what the one that failed says about it holds."""
    if is_permanent(failure):
        return False
    if failure.transient or failure.kind in TRANSIENT_KINDS:
        return True
    names = names_of(failure)
    if http_status(failure) in TRANSIENT_STATUS or number_of(failure) in TRANSIENT_NUMBERS:
        return True
    if not TRANSIENT_TYPES.isdisjoint(names):
        return True
    locked = "locked" in failure.message or "busy" in failure.message
    return locked and not {"sqlite3.OperationalError", "sqlalchemy.exc.OperationalError"}.isdisjoint(names)


def is_permanent(failure: Failure) -> bool:
    """Tell whether repeating the same code can only fail in the same way."""
    if failure.transient is not None:
        return not failure.transient
    status = http_status(failure)
    if status is not None and status not in TRANSIENT_STATUS:
        return status < 500
    return failure.kind in PERMANENT_KINDS or not PERMANENT_TYPES.isdisjoint(names_of(failure, causes=False))


def names_of(failure: Failure, *, causes: bool = True) -> list[str]:
    """Return the names of the exception's classes, and of those of the exceptions that led to it."""
    chain = failure.evidence.get("causes") if causes else None
    names = [*failure.types, *(chain if isinstance(chain, list | tuple) else ())]
    return [str(name).removeprefix("builtins.") for name in names]


def http_status(failure: Failure) -> int | None:
    """Return the status with which a server answered, where that was the failure."""
    status = failure.evidence.get("status")
    if isinstance(status, int):
        return status
    too_many = re.search(_TOO_MANY, failure.message[:4000])  # urllib3, of the last of its own retries
    if too_many is not None:
        return int(too_many.group(1))
    if _HTTP_TYPES.isdisjoint(names_of(failure)):
        return None
    found = re.search(_STATUS, failure.message)
    return int(found.group(1)) if found else None


def number_of(failure: Failure) -> int | None:
    """Return the number of the operating system's error, where that was the failure."""
    number = failure.evidence.get("errno")
    if isinstance(number, int):
        return number
    found = re.search(_ERRNO, failure.message[:500])
    return int(found.group(1)) if found else None
