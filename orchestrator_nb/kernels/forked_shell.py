"""The same work with less of it: what a forked kernel does of IPython's and ipykernel's in a cheaper way, where these are
made as they were when this was written."""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Callable
from functools import cache
from itertools import islice
from typing import Any

_STEPS = ["_run_startup_files", "_run_exec_lines", "_run_exec_files", "_run_cmd_line_code", "_run_module"]
_STARTUP = (".py", ".ipy")


class QuickStart:
    """Prepared before the fork, and what runs the code that is to run before the first cell after it."""

    def __init__(self, app: Any) -> None:
        source = inspect.getsource(type(app).init_code)
        self._is_known = re.findall(r"self\.(_\w+)\(", source) == _STEPS and "_sys_modules_keys" in source
        self._modules = set(sys.modules)
        self._number = len(sys.modules)
        _log_what_is_shown(app.log)
        _ask_signatures_once(app.shell)

    def init_code(self, app: Any) -> None:
        """Do what the application's method of that name does, without touching the name of each module again."""
        if not self._is_known or len(sys.modules) < self._number:
            app.init_code()
            return
        if os.environ.get("PYTHONSTARTUP") or _has_startup_files(app):
            app._run_startup_files()
        app._run_exec_lines()
        app._run_exec_files()
        shell = app.shell
        if app.hide_initial_ns:
            shell.user_ns_hidden.update(shell.user_ns)
        app._run_cmd_line_code()
        app._run_module()
        self._modules.update(islice(reversed(sys.modules), len(sys.modules) - self._number))
        shell._sys_modules_keys = self._modules


def _has_startup_files(app: Any) -> bool:
    from IPython.core.application import ENV_CONFIG_DIRS, SYSTEM_CONFIG_DIRS

    folders = [os.path.join(place, "startup") for place in (*ENV_CONFIG_DIRS, *SYSTEM_CONFIG_DIRS)]
    for folder in (app.profile_dir.startup_dir, *folders):
        try:
            if any(name.endswith(_STARTUP) for name in os.listdir(folder)):
                return True
        except OSError:
            continue
    return False


def _log_what_is_shown(log: Any) -> None:
    """Have a logger make no records of which its only handler shows none; until its level is set anew."""
    if len(log.handlers) == 1 and not log.propagate:
        log.setLevel(max(log.level, log.handlers[0].level))


def _ask_signatures_once(shell: Any) -> None:
    """Have the kernel look at the signature of a function once, and not for each cell."""
    import ipykernel.ipkernel as module

    ask: Callable[[Any, list[str]], dict[str, bool]] | None = getattr(module, "_accepts_parameters", None)
    if ask is None:
        return
    known = cache(lambda function, names: ask(function, list(names)))

    def asked(method: Any, names: list[str]) -> dict[str, bool]:
        function = getattr(method, "__func__", None)
        return ask(method, names) if function is None else dict(known(function, tuple(names)))

    module._accepts_parameters = asked  # type: ignore[attr-defined]
    for method in (shell.run_cell, shell.run_cell_async):
        asked(method, ["cell_meta", "cell_id"])
