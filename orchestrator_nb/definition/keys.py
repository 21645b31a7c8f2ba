"""Keys as they are written and as they are meant: camelCase and other words are brought to the canonical ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator_nb.definition.pointers import child
from orchestrator_nb.definition.spelled import Spelled
from orchestrator_nb.definition.values import described
from orchestrator_nb.errors import Mistake


def meant(key: str, known: frozenset[str], words: Mapping[str, str]) -> str:
    """Return the canonical key for a key, or the key itself when it is none that we know."""
    if key in known:
        return key
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower()
    return words.get(snake, snake if snake in known else key)


def renamed(
    body: Mapping[Any, Any], name_of: Callable[[str], str], pointer: str, origin: str, spelled: Spelled
) -> dict[str, Any]:
    """Return a mapping under canonical keys; keys with nothing (null) behind them are left out, save `commands`."""
    named: dict[str, Any] = {}
    written: dict[str, str] = {}
    for key, value in body.items():
        if not isinstance(key, str):
            spelled.mistakes.append(Mistake("a key is not text", origin, found=described(key), expected="text"))
            continue
        name = name_of(key)
        if name in named:
            spelled.mistakes.append(Mistake(
                f'"{written[name]}" and "{key}" mean the same', child(origin, key), expected=f'"{name}" only',
            ))  # fmt: skip
        elif value is not None or name == "commands":
            named[name] = value
            written[name] = key
            if name != key:
                spelled.origins[child(pointer, name)] = child(origin, key)
    return named
