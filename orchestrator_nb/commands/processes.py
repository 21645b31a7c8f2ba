"""Process trees: started in a session of their own, marked so that they are found again, and ended whole."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

RUN, COMMAND, ATTEMPT = "ORCHESTRATOR_NB_RUN", "ORCHESTRATOR_NB_COMMAND", "ORCHESTRATOR_NB_ATTEMPT"
"""What every process of an attempt is told in its environment. ATTEMPT is ``run/command/attempt``: it names one
execution for ever and may serve a command as idempotency key."""

MARK = "ORCHESTRATOR_NB_MARK"
"""The environment variable by which the processes of an attempt are known: the run's folder, for there may be runs of
one id in two stores, then command and attempt."""

TERMINATE_GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""

_LIMITS = {
    errno.EMFILE: ("RLIMIT_NOFILE", "files that this process may have open"),
    errno.ENFILE: ("", "files that all processes of the machine may have open"),
    errno.EAGAIN: ("RLIMIT_NPROC" if hasattr(os, "fork") else "", "processes that this user or its group may have"),
    errno.ENOMEM: ("RLIMIT_AS" if hasattr(os, "fork") else "", "memory that this process may have"),
}
"""The limits by the error that says that one was reached: its name, and what it is about."""

KILL_ROUNDS = 20
"""How often a tree is looked through for processes that were forked while it was being killed."""


def marks(folder: Path, command: str, attempt: int) -> dict[str, str]:
    """Return the environment variables that the processes of this attempt carry; `folder` is that of the run."""
    run = folder.name
    return {
        RUN: run,
        COMMAND: command,
        ATTEMPT: f"{run}/{command}/{attempt}",
        MARK: f"{_place(folder)}//{command}/{attempt}",
    }


def start(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str | Path | None = None,
    stdin: int | IO[Any] = subprocess.DEVNULL,
    stdout: int | IO[Any] = subprocess.PIPE,
    stderr: int | IO[Any] = subprocess.PIPE,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, so that an interrupt typed at the owner does not reach it.

    `env` is the whole environment. Raises OSError when the program cannot be started.
    """
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return subprocess.Popen(
        list(argv), env=dict(env), cwd=cwd, stdin=stdin, stdout=stdout, stderr=stderr, bufsize=0, **apart
    )


def is_want(error: BaseException) -> bool:
    """Tell whether something could not be started for want of what other processes may give back: a new try is worth
    while, and whatever was to be started has had no effect."""
    return isinstance(error, OSError) and error.errno in _LIMITS


def explained(error: BaseException) -> str:
    """Return an error in words, with the limit that it speaks of and its value, if it speaks of one."""
    if not isinstance(error, OSError) or error.errno not in _LIMITS:
        return str(error)
    name, what = _LIMITS[error.errno]
    if not name or sys.platform == "win32":
        return f"{error} ({what})"
    most = _limit(name)
    return f"{error} ({what}: {name} is {'unlimited' if most < 0 else format(most, ',')})"


def _limit(name: str) -> int:
    """Return one of this process's limits; negative where there is none."""
    import resource

    most: int = resource.getrlimit(getattr(resource, name))[0]
    return -1 if most == resource.RLIM_INFINITY else most


class Tree:
    """A process and everything that came of it: by descent, by its session, and by the mark of its attempt.

    Processes are known by pid and start time, so that a pid which was given to someone else is never signalled.
    """

    def __init__(self, pid: int, *, mark: str | None = None) -> None:
        """Know the process `pid`, which is running or not yet waited for; `mark` is its value of MARK."""
        self._pid = pid
        self._mark = mark
        self._known: dict[int, Any] = {}
        leader = _identity(pid)
        if leader is not None:
            self._known[pid] = leader

    def end(self, grace: float) -> None:
        """End all of it: interrupt, `grace` seconds, SIGTERM, 5 seconds, SIGKILL. Returns when nothing is left.

        Whoever started the first process still has to wait for it.
        """
        if sys.platform != "win32":
            _send(self._members(), signal.SIGINT)
            if self._gone_within(grace):
                return
        _send(self._members(), signal.SIGTERM)
        if not self._gone_within(TERMINATE_GRACE):
            self.kill()

    def kill(self) -> None:
        """End at once what is left of it, also after the first process has exited."""
        for _ in range(KILL_ROUNDS):
            members = self._members()
            if not members:
                return
            _send(members, None)
            _wait(members, 0.5)

    def _gone_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while True:
            _wait(list(self._known.values()), deadline - time.monotonic())
            if not self._members():
                return True
            if time.monotonic() >= deadline:
                return False

    def _members(self) -> list[Any]:
        """Return the living processes of the tree, looking anew for those that joined it."""
        self._known = {pid: process for pid, process in self._known.items() if _alive(process)}
        spared = _own_line()
        session_is_ours = bool(self._known)
        found = [process for process in _processes() if process.pid not in spared]
        grew = True
        while grew:  # a parent may come after its child in the list
            grew = False
            for process in found:
                if process.pid not in self._known and self._belongs(process, session_is_ours) and _alive(process):
                    self._known[process.pid] = process
                    grew = True
        return list(self._known.values())

    def _belongs(self, process: Any, session_is_ours: bool) -> bool:
        if _asked(process.ppid) in self._known:
            return True
        # the number of a session may be reused once nobody is left in it
        if session_is_ours and _session(process.pid) == self._pid:
            return True
        return self._mark is not None and (_asked(process.environ) or {}).get(MARK) == self._mark


def end_leftovers(folder: Path) -> list[int]:
    """End every process of this user that carries the mark of the run in that folder, or of a run that is a part of
    it, except this one and its ancestors.

    Returns their pids. Meant for a run that changes its owner: nothing of the one before may still be at work.
    """
    ended: set[int] = set()
    beginnings = (f"{_place(folder)}//", f"{_place(folder)}.")  # the runs that are parts of it have ids that go on so
    left = _marked(beginnings)
    _send(left, signal.SIGTERM)
    _wait(left, 2.0)
    ended.update(process.pid for process in left)
    ended.update(_kill_marked(beginnings))
    return sorted(ended)


def left_processes(folder: Path) -> list[int]:
    """Return the pids of the processes that carry the mark of the run in that folder; nothing is done to them."""
    return sorted(process.pid for process in _marked((f"{_place(folder)}//",)))


def kill_attempt(mark: str) -> None:
    """End at once every process that carries the mark of that attempt, the value of MARK."""
    _kill_marked((mark,), whole=True)


def _place(folder: Path) -> str:
    return os.path.realpath(folder)


def _kill_marked(beginnings: tuple[str, ...], *, whole: bool = False) -> set[int]:
    killed: set[int] = set()
    for _ in range(KILL_ROUNDS):
        left = _marked(beginnings, whole=whole)
        if not left:
            break
        killed.update(process.pid for process in left)
        _send(left, None)
        _wait(left, 0.5)
    return killed


def _marked(beginnings: tuple[str, ...], *, whole: bool = False) -> list[Any]:
    """Return the living processes whose mark begins so, or is just that (`whole`), but this one and its ancestors."""
    spared = _own_line()
    found = []
    for process in _processes():
        its = (_asked(process.environ) or {}).get(MARK, "")
        fits = its in beginnings if whole else its.startswith(beginnings)
        if fits and process.pid not in spared and _alive(process):
            found.append(process)
    return found


def _identity(pid: int) -> Any:
    """Return the process as psutil knows it, by pid and start time; None when there is none."""
    import psutil

    try:
        return psutil.Process(pid)
    except (psutil.Error, OSError):
        return None


def _processes() -> list[Any]:
    import psutil

    return [process for process in map(_identity, psutil.pids()) if process is not None]


def _asked(question: Any) -> Any:
    """Return the answer of a method of a process, None when it is gone or not ours to look at."""
    import psutil

    try:
        return question()
    except (psutil.Error, OSError):
        return None


def _alive(process: Any) -> bool:
    """Whether the process still runs; one that only waits to be collected by its parent does not."""
    return bool(_asked(process.is_running)) and _asked(process.status) not in (None, "zombie", "dead")


def _session(pid: int) -> int | None:
    if sys.platform == "win32":
        return None
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _own_line() -> set[int]:
    """Return the pids of this process and its ancestors."""
    import psutil

    own = psutil.Process()
    return {own.pid, *(ancestor.pid for ancestor in _asked(own.parents) or ())}


def _send(processes: Iterable[Any], number: int | None) -> None:
    """Send a signal, None to kill; processes that are gone, or changed their user, are passed over."""
    for process in processes:
        _asked(process.kill if number is None else lambda each=process: each.send_signal(number))


def _wait(processes: Sequence[Any], seconds: float) -> None:
    """Return when none of the processes is alive, or after `seconds`."""
    deadline = time.monotonic() + seconds
    pause = 0.005
    while any(_alive(process) for process in processes):
        left = deadline - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(pause, left))
        pause = min(pause * 2, 0.1)
