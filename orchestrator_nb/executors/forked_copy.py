"""The copy of this process that a command has forked and that comes back to where only the original may go on."""

from __future__ import annotations

import os
import traceback
from contextlib import suppress
from typing import NoReturn


def leave_copy(error: BaseException | None) -> NoReturn:
    """End this process as a program ends that has come to its end: with the status of its SystemExit, or with 1 and its
    traceback on standard error.

    It has the executor, the loop and the open journal of its original, so it would answer for an attempt that is not its.
    """
    status = 0
    with suppress(Exception):  # whatever is left of the user's code in here, the copy leaves
        if isinstance(error, SystemExit) and (error.code is None or isinstance(error.code, int)):
            status = error.code or 0
        elif error is not None:
            status = 1
            text = f"{error}\n" if isinstance(error, SystemExit) else "".join(traceback.format_exception(error))
            # Not by the streams: another thread may have held their locks when the process was copied.
            os.write(2, text.encode("utf-8", "backslashreplace"))
    os._exit(status & 0xFF)
