"""What an audit finds, in whichever room."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is not as it was recorded: where, what is wrong, and how it is mended."""

    place: str
    what: str
    repair: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}; {self.repair}"
