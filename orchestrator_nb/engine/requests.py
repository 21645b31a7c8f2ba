"""What may be asked of a running loop; each becomes facts before it has any effect."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Start nothing new. When `leaving`, what runs is ended after `grace` seconds and the owner goes."""

    reason: str
    leaving: bool = False
    grace: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Go on after a pause."""

    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """End what runs after `grace` seconds, cancel the rest, end the run."""

    reason: str
    grace: float = 10.0


Request = Pause | Resume | Stop
