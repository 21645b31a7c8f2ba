"""What may be asked of a running loop; each becomes facts before it has any effect.

A request with an `id` is always answered by a fact that bears it: a notice, where it comes to nothing. `by` says who
asked: pid, user, host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Start nothing new. When `leaving`, what runs is ended after `grace` seconds and the owner goes."""

    reason: str
    leaving: bool = False
    grace: float = 10.0
    id: str | None = None
    by: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Go on after a pause."""

    reason: str = ""
    id: str | None = None
    by: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """End what runs after `grace` seconds, cancel the rest, end the run. Asked again, the new grace counts."""

    reason: str
    grace: float = 10.0
    id: str | None = None
    by: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """Take the attempt of a command that is under way for failed, because somebody says so; the policies decide.

    Whoever sends it has the attempt ended. A command that is not under way gets a notice.
    """

    command: str
    message: str
    types: tuple[str, ...] = ()
    id: str | None = None
    by: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """Record something that a person should know."""

    text: str
    command: str | None = None
    id: str | None = None
    by: Mapping[str, Any] | None = None


Request = Pause | Resume | Stop | Fail | Tell
