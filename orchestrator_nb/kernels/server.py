"""The fork server: a process with one thread that has imported what kernels need, and forks one on each request.

Its owner holds the other end of a channel; its end, or the owner's death, ends the server and all its kernels. A
request is one byte on the channel with four descriptors: a line, and the standard streams of the kernel. What to start
comes over the line, as a length and JSON; what becomes of it goes back, a line of JSON each:

    {"pid": 17}                     it was forked
    {"bound": true, "more": true}   its sockets are there (said by the kernel itself), and more is to come of it:
    {"ready": {…}}                  it is ready; what it says of its language (said by the kernel itself)
    {"exit": 0, "alone": true}      it has ended with this code; alone, when no process that came of it is left
    {"refused": "…", "replace": …}  it was not; with `replace`, a new server may do it
    {"unfit": "name", "why": "…"}   that module spoils forking; a server without it may do it
    {"unable": "…"}                 no server of this kind can do it

A byte without descriptors asks it to leave when its last kernel has.

When the owner lets go of a line, its kernel is killed.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import struct
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from orchestrator_nb.kernels import forked, forked_app
from orchestrator_nb.kernels.imported import IMPORTED
from orchestrator_nb.kernels.preload import Preloaded, UnfitModule, fit, os_threads, preload
from orchestrator_nb.kernels.warm import warm
from orchestrator_nb.kernels.watched_files import WatchedFiles

LOOK_FOR_OWNER = 0.2
"""Seconds between two looks whether the owner still lives, while modules are being imported."""

REQUEST_SECONDS = 10.0
"""How long an owner may take to say what it wants after it has asked."""

LENGTH = struct.Struct("!I")

PACKAGE = "orchestrator_nb"


class Forked(Exception):
    """Raised in the new process, to leave the server's stack behind."""

    def __init__(self, request: Mapping[str, Any], line: socket.socket, streams: list[int], server: int) -> None:
        super().__init__()
        self.request, self.line, self.streams, self.server = request, line, streams, server


class Server:
    """Forks kernels and tells their owner what becomes of them. `run` returns when it is no longer needed."""

    def __init__(
        self, channel: socket.socket, owner: int, *, loaded: Preloaded, files: WatchedFiles, idle: float
    ) -> None:
        """Serve `owner`, a process id, until there was no kernel for `idle` seconds."""
        self._channel = channel
        self._idle = idle
        self._files = files
        # put together here: to look at what was imported before is to copy its memory for each kernel
        self._names = frozenset({name.partition(".")[0] for name in sys.modules} | {"sitecustomize", "usercustomize"})
        self._later = frozenset(name.partition(".")[0] for name in sys.modules.keys() - loaded.modules)
        self._lines: dict[int, socket.socket] = {}
        self._pids: dict[int, int] = {}
        self._idle_since = time.monotonic()
        self._draining = False
        self._poll = select.poll()
        self._poll.register(channel, select.POLLIN)
        self._owner = os.pidfd_open(owner)
        if os.getppid() != owner:
            os._exit(0)
        self._poll.register(self._owner, select.POLLIN)
        self._wakeup = socket.socketpair()
        for end in self._wakeup:
            end.setblocking(False)
        self._poll.register(self._wakeup[0], select.POLLIN)
        signal.set_wakeup_fd(self._wakeup[1].fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def run(self) -> None:
        """Serve. Raises Forked in each new process."""
        while True:
            left = self._idle_since + self._idle - time.monotonic()
            if not self._pids and (self._draining or left <= 0):
                return
            for number, _ in self._poll.poll(None if self._pids else left * 1000 + 1):
                if number == self._owner or (number == self._channel.fileno() and not self._take_request()):
                    self._kill_all()
                    return
                if number == self._wakeup[0].fileno():
                    self._collect()
                elif number in self._lines:
                    self._let_go(number)

    def _take_request(self) -> bool:
        """Take a request and answer it; False when the owner is gone."""
        data, descriptors, _, _ = socket.recv_fds(self._channel, 1, 4)
        if not data:
            return False
        if len(descriptors) != 4:
            for descriptor in descriptors:
                os.close(descriptor)
            self._draining = True
            return True
        line, streams = socket.socket(fileno=descriptors[0]), descriptors[1:]
        try:
            line.settimeout(REQUEST_SECONDS)
            (length,) = LENGTH.unpack(_exactly(line, LENGTH.size))
            request = json.loads(_exactly(line, length))
            refusal = self._refusal(request)
            if refusal is None:
                self._fork(request, line, streams)
            else:
                self._draining = self._draining or bool(refusal.get("replace"))
                _send(line, refusal)
                line.close()
        except (OSError, ValueError):  # the owner has thought better of it
            line.close()
        for descriptor in streams:
            os.close(descriptor)
        return True

    def _refusal(self, request: Mapping[str, Any]) -> dict[str, Any] | None:
        if self._draining:
            return {"refused": "the server is about to be replaced", "replace": True}
        path = self._files.changed()
        if path is not None:
            return {"refused": f'"{path}" has changed since it was imported', "replace": True}
        shadow = self._shadow(request)
        if shadow is not None:
            return {"refused": f'"{shadow}" hides a module that is already imported', "replace": False}
        return None

    def _shadow(self, request: Mapping[str, Any]) -> str | None:
        """Return the file that this kernel would import instead of something that is there already."""
        places = [(folder, self._names) for folder in request["path"]]
        for folder, hidden in [*places, (request["cwd"], self._later)]:
            with suppress(OSError), os.scandir(folder) as entries:
                for entry in entries:
                    stem, _, ending = entry.name.partition(".")
                    if stem in hidden and (
                        ending in ("py", "pyc")
                        or ending.endswith("so")
                        or (not ending and os.path.exists(os.path.join(entry.path, "__init__.py")))
                    ):
                        return str(entry.path)
        return None

    def _fork(self, request: Mapping[str, Any], line: socket.socket, streams: list[int]) -> None:
        server = os.getpid()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # threads below Python are known to bear it
            pid = os.fork()
        if pid == 0:
            for other in (self._channel, *self._wakeup, *self._lines.values()):
                other.close()
            os.close(self._owner)
            if self._files.descriptor is not None:
                os.close(self._files.descriptor)
            raise Forked(request, line, streams, server)
        self._lines[line.fileno()] = line
        self._pids[pid] = line.fileno()
        self._poll.register(line, select.POLLIN)
        _send(line, {"pid": pid})

    def _collect(self) -> None:
        """Collect the processes that have ended, kernels and the orphans of kernels."""
        with suppress(BlockingIOError):
            while self._wakeup[0].recv(4096):
                pass
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            number = self._pids.pop(pid, None)
            if number is None:
                continue
            line = self._lines.pop(number, None)
            if line is not None:
                _send(line, {"exit": os.waitstatus_to_exitcode(status), "alone": self._has_no_orphans()})
                self._poll.unregister(number)
                line.close()
            self._idle_since = time.monotonic()

    def _has_no_orphans(self) -> bool:
        """Whether all children are kernels."""
        try:
            with open("/proc/thread-self/children", encoding="ascii") as file:
                return self._pids.keys() >= set(map(int, file.read().split()))
        except OSError:  # a system without this file
            return False

    def _let_go(self, number: int) -> None:
        """Kill the kernel whose owner has let go of it; what else an owner may say is of no interest."""
        line = self._lines[number]
        with suppress(BlockingIOError):
            line.setblocking(False)
            try:
                said = line.recv(64)
            except ConnectionError:
                said = b""
            if not said:
                self._poll.unregister(number)
                del self._lines[number]
                line.close()
                for pid, its in self._pids.items():
                    if its == number:
                        self._pids[pid] = -1
                        _kill_group(pid)

    def _kill_all(self) -> None:
        for pid in self._pids:
            _kill_group(pid)


def main(channel_number: int, config: str) -> None:
    """Import, then serve until the owner is gone. In a forked process: be a kernel until it is shut down."""
    settings = json.loads(config)
    owner = settings["owner"]
    channel = socket.socket(fileno=channel_number)
    channel.set_inheritable(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for the owner
    slot = forked.place_of_slot()
    os.environ.pop(forked.SLOT, None)
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]  # a notebook is to import what its own path leads to
    signal.signal(signal.SIGALRM, lambda *_: os.getppid() == owner or os._exit(0))
    signal.setitimer(signal.ITIMER_REAL, LOOK_FOR_OWNER, LOOK_FOR_OWNER)
    try:
        app, loaded, files = _prepare(settings["preload"])
    except UnfitModule as unfit:
        _answer_first(channel, {"unfit": unfit.module, "why": str(unfit)})
        os._exit(1)  # not as Python does: a thread that has been started may never end
    except Exception as error:  # noqa: BLE001 - whatever it is, the owner starts its kernels in another way
        traceback.print_exc()
        _answer_first(channel, {"unable": f"{type(error).__name__}: {error}"})
        os._exit(1)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    forked.adopt_orphans()
    path = list(sys.path)
    try:
        Server(channel, owner, loaded=loaded, files=files, idle=settings["idle"]).run()
    except Forked as birth:
        born = birth
    else:
        os._exit(0)
    _live(born, app, path=path, variables=loaded.variables, slot=slot)


def _prepare(names: list[str]) -> tuple[Any, Preloaded, WatchedFiles]:
    """Import everything; return the application, what was imported when, and the files that it came from."""
    forked_app.check_version()
    forked_app.import_kernel()
    first = preload(())
    app = forked_app.build()
    forked_app.import_soon_needed()
    if os_threads() > 1:
        raise RuntimeError("the kernel's own libraries started a thread")
    loaded = preload(fit(names))
    before = os_threads()
    warm(getattr(app, "shell", None))
    if os_threads() > before:
        raise RuntimeError("the libraries started a thread when they were first used")
    if app is not None:
        forked_app.settle(app)
    watched = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    watched += forked_app.config_files(app) if app is not None else []
    gc.collect()
    gc.disable()
    gc.freeze()
    files = WatchedFiles(path for path in watched if isinstance(path, str))
    return app, Preloaded(first.modules, loaded.variables), files


def _live(born: Forked, app: Any, *, path: list[str], variables: Mapping[str, str | None], slot: int) -> None:
    """Be the kernel that was asked for, and leave."""
    request, namespace, status = born.request, None, 1
    try:
        forked.die_with(born.server)
        os.setsid()
        forked.take_files(born.streams)
        forked.reset_signals()
        if request["umask"] is not None:
            os.umask(request["umask"])
        os.chdir(request["cwd"])
        forked.take_environment(_merged(request["env"], variables), slot=slot)
        forked.renew_randomness()
        sys.path[:] = [*request["path"], *(entry for entry in path if entry not in request["path"])]
        sys.argv[:] = request["argv"]
        gc.enable()
        modules = len(sys.modules)
        app = forked_app.run(app, request["argv"][1:], _teller(born.line), lean=request["lean"])
        namespace, status = app.shell.user_ns, 0
        if request["lean"]:
            _tell_imports(os.path.dirname(request["argv"][2]), forked.imported_since(modules))
    except SystemExit as asked:
        status = asked.code if isinstance(asked.code, int) else int(asked.code is not None)
    except BaseException:  # noqa: BLE001 - as Python does with whatever reaches its outermost level
        traceback.print_exc()
    forked.leave(status, namespace)


def _tell_imports(folder: str, names: list[str]) -> None:
    """Leave word, in the folder of the connection file, of what was imported."""
    if names:
        with suppress(OSError), open(os.path.join(folder, IMPORTED), "w", encoding="utf-8") as file:
            json.dump(names, file)


def _teller(line: socket.socket) -> Callable[[dict[str, Any]], None]:
    def tell(what: dict[str, Any]) -> None:
        _send(line, what)
        if not what.get("more"):
            line.close()

    return tell


def _merged(asked: Mapping[str, str], changed: Mapping[str, str | None]) -> dict[str, str]:
    """Return the environment asked for, with what the preloaded modules have set in theirs and was not asked for."""
    return {**{name: value for name, value in changed.items() if value is not None}, **asked}


def _answer_first(channel: socket.socket, answer: Mapping[str, Any]) -> None:
    """Answer the request for whose sake this server was started, which is on its way."""
    channel.settimeout(REQUEST_SECONDS)
    with suppress(OSError):
        _, descriptors, _, _ = socket.recv_fds(channel, 1, 4)
        with socket.socket(fileno=descriptors[0]) as line:
            _send(line, answer)


def _send(line: socket.socket, answer: Mapping[str, Any]) -> None:
    with suppress(OSError):  # an owner that is gone is noticed elsewhere
        line.sendall(json.dumps(answer).encode() + b"\n")


def _exactly(line: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = line.recv(size - len(parts))
        if not part:
            raise ConnectionError("the owner has let go of the line")
        parts += part
    return bytes(parts)


def _kill_group(pid: int) -> None:
    for kill in (os.killpg, os.kill):  # the group, and the process itself where it has not yet got one
        with suppress(OSError):
            kill(pid, signal.SIGKILL)
