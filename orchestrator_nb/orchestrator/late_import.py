"""Importing what a run needs late, also where its commands have opened as many files as this process may."""

from __future__ import annotations

import errno
import os
import threading
from contextlib import suppress
from importlib import import_module
from types import ModuleType

NO_MORE_FILES = (errno.EMFILE, errno.ENFILE)
"""What the system says where the process, or the machine, may open no more."""

_lock = threading.Lock()
_spare = os.open(os.devnull, os.O_RDONLY)
"""A file that is open for nothing, so that there is room for another one in its place: of a module, say."""


def late_import(name: str) -> ModuleType:
    """Return a module. Raises OSError where not even the place that is kept for it can be had."""
    global _spare  # noqa: PLW0603 - one process, one place
    try:
        return import_module(name)
    except OSError as error:
        if error.errno not in NO_MORE_FILES:
            raise
    with _lock:
        with suppress(OSError):
            os.close(_spare)
        try:
            return import_module(name)
        finally:
            with suppress(OSError):
                _spare = os.open(os.devnull, os.O_RDONLY)
