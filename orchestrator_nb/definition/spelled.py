"""A definition on its way to the model: canonical data that remembers where in the user's document it was written."""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct, field

from orchestrator_nb.definition.pointers import parent
from orchestrator_nb.errors import Mistake

_ID = r"/commands/[0-9]+/id"


class Spelled(Struct):
    """A definition in the canonical spelling, its commands a list with ids.

    `origins` maps a pointer into `data` to the pointer into the user's document where these differ; what is below it
    differs with it. `keyed` when the ids are the keys of a mapping there. `mistakes` point into the user's document.
    """

    data: dict[str, Any]
    keyed: bool = False
    origins: dict[str, str] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)

    def origin(self, pointer: str) -> str:
        """Return where in the user's document something is that is at `pointer` in `data`."""
        if self.keyed and re.fullmatch(_ID, pointer):
            pointer = parent(pointer)
        around = pointer
        while around:
            if around in self.origins:
                return self.origins[around] + pointer[len(around) :]
            around = parent(around)
        return pointer
