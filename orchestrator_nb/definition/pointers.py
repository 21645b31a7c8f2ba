"""JSON pointers: the way to a place inside a document, such as ``/commands/clean/after/0``."""

from __future__ import annotations


def child(pointer: str, key: str | int) -> str:
    """Return the pointer to `key` below `pointer`."""
    if isinstance(key, str) and ("~" in key or "/" in key):
        key = key.replace("~", "~0").replace("/", "~1")
    return f"{pointer}/{key}"


def parent(pointer: str) -> str:
    """Return the pointer to what contains the place; that of the whole document is empty and contains itself."""
    return pointer.rpartition("/")[0]


def parts(pointer: str) -> tuple[str, ...]:
    """Return the keys that lead to the place, unescaped."""
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])
