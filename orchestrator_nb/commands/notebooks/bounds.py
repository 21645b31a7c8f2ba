"""What of a flood of output goes into the notebook: enough to see what it was, and that something is left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PRINTED_LIMIT = 10 * 2**20
"""Characters of a cell's printed text that are kept; the log of the attempt has its own bound."""

SHOWN_LIMIT = 100 * 2**20
"""Characters of what a cell displays, in all its forms together, that are kept."""

MOST_OUTPUTS = 20_000
"""Outputs of a cell that are kept: each flushed print and each display is one."""

_PRINTED = "\n[… what the cell printed after this is left out here; see the log of the attempt …]\n"
_SHOWN = "[… what the cell displayed after this is left out …]"


class Bounds:
    """The measure of one cell. `keep` is asked for each of its messages, in order."""

    def __init__(self) -> None:
        self._outputs = 0
        self._printed = 0
        self._shown = 0

    def keep(self, message: Mapping[str, Any]) -> bool:
        """Say whether a message goes into the notebook; the one that goes beyond the measure is cut, in place."""
        kind = message.get("msg_type")
        if kind == "stream":
            return self._keep_text(message["content"])
        if kind in ("display_data", "execute_result"):
            return self._keep_display(message["content"])
        return True

    def _keep_text(self, content: dict[str, Any]) -> bool:
        text = str(content.get("text", ""))
        if self._printed > PRINTED_LIMIT:
            return False
        self._outputs += 1
        room = PRINTED_LIMIT - self._printed
        self._printed += len(text)
        if len(text) > room or self._outputs > MOST_OUTPUTS:
            content["text"] = text[:room] + _PRINTED
            self._printed = PRINTED_LIMIT + 1
        return True

    def _keep_display(self, content: dict[str, Any]) -> bool:
        if self._shown > SHOWN_LIMIT:
            return False
        self._outputs += 1
        self._shown += sum(len(form) for form in (content.get("data") or {}).values() if isinstance(form, str))
        if self._shown > SHOWN_LIMIT or self._outputs > MOST_OUTPUTS:
            content["data"], content["metadata"] = {"text/plain": _SHOWN}, {}
            self._shown = SHOWN_LIMIT + 1
        return True
