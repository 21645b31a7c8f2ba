"""The interpreter in the command of a Python kernel, as it has to be known to start something else by it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

LAUNCHERS = ("ipykernel_launcher", "ipykernel")
"""The modules by which the Python kernel is started."""

_WITH_VALUE = ("-X", "-W")
"""Options of Python that are followed by a word that belongs to them."""

_PYTHON = re.compile(r"python[\d.]*t?")


@dataclass(frozen=True, slots=True)
class Launch:
    """A command taken apart: the path of the interpreter with its options, and the arguments of the kernel."""

    interpreter: tuple[str, ...]
    arguments: tuple[str, ...]


def launch(command: Sequence[str]) -> Launch | None:
    """Return the parts of a command that starts the Python kernel; None where it is another one, or starts the
    interpreter by way of another program, which may take it to another machine, a container or another user."""
    words = tuple(command)
    if not words or not os.path.isabs(words[0]) or not _PYTHON.fullmatch(os.path.basename(words[0])):
        return None
    at = 1
    while at < len(words) and words[at].startswith("-") and words[at] not in ("-", "-c", "-m"):
        at += 2 if words[at] in _WITH_VALUE else 1
    if words[at : at + 1] != ("-m",) or words[at + 1 : at + 2] not in [(name,) for name in LAUNCHERS]:
        return None
    return Launch(words[:at], words[at + 2 :])
