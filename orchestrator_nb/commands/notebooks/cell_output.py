"""Outputs of cells that need not be held against the schema of notebooks: those whose form is plain to see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_STREAMS = ("stdout", "stderr")


def plain_output(message: Mapping[str, Any]) -> Any:
    """Return what nbformat would make of a message of the kernel; None where it has to be asked.

    The check of nbformat costs more than all else that is done about a line of text.
    """
    import nbformat

    node: Any = nbformat.NotebookNode  # it is untyped
    kind, content = message["msg_type"], message["content"]
    if kind == "stream":
        name, text = content.get("name"), content.get("text")
        if name in _STREAMS and type(text) is str:
            return node(output_type=kind, name=name, text=text)
        return None
    if kind not in ("display_data", "execute_result"):
        return None
    data, metadata = content.get("data"), content.get("metadata")
    if type(data) is not dict or metadata != {} or any(type(value) is not str for value in data.values()):
        return None
    output = node(output_type=kind, metadata=node(), data=node(data))
    if kind == "execute_result":
        if type(content.get("execution_count")) is not int:
            return None
        output.execution_count = content["execution_count"]
    return output
