"""The fork servers of this process: started when they are first needed, one for each environment, replaced when they no
longer fit.

The environment may be another one than that of this process: a server is run by the interpreter of its kernels, and
needs Python's own library and the kernel's there, nothing else.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator_nb.kernels.forked import SEEN, SLOT, SLOT_SIZE
from orchestrator_nb.kernels.forked_process import ForkedProcess, NotForked

BOOT = """\
import sys
if sys.version_info < (3, 10):
    sys.exit("it runs on Python %d.%d, and kernels are forked from Python 3.10 on" % sys.version_info[:2])
if sys.path[0] == "": del sys.path[0]
package = sys.modules["orchestrator_nb"] = type(sys)("orchestrator_nb")
package.__path__ = [sys.argv[2]]
from orchestrator_nb.kernels.server import main
main(int(sys.argv[1]), sys.argv[3])
"""
"""What a server begins with: it reads its own code from this package, which need not be installed where it runs, and
nothing from beside it, which may be made for another Python."""

PACKAGE = str(Path(__file__).resolve().parents[1])
"""The directory of this package."""

READ_AT_IMPORT = re.compile(
    r"PYTHON|LD_|GLIBC_|MALLOC_|LC_|LANG|HOME$|TMPDIR$|XDG_|JUPYTER_|IPYTHON|PYDEVD_"
    r"|OMP_|OPENBLAS_|GOTO_|MKL_|BLIS_|VECLIB_|NUMEXPR_|ARROW_|NUMBA_|MPL|KMP_|CUDA_|TZ$"
)
"""Variables that Python and common libraries read when they are loaded: kernels that differ in one of them cannot come
from the same server."""

IDLE_SECONDS = 300.0
"""How long a server without kernels stays."""

MOST_SERVERS = 4
"""How many servers of one interpreter a process has at most that take requests."""

LAST_WORDS = 1000
"""How much is read of what a server has printed, in bytes from the end."""

_LENGTH = struct.Struct("!I")


class ForkServer:
    """A running server and the channel to it. It ends when the channel is closed, this process dies, or it has had
    no kernel for `idle` seconds."""

    def __init__(
        self,
        python: Sequence[str],
        preload: Sequence[str],
        environment: Mapping[str, str],
        *,
        idle: float = IDLE_SECONDS,
    ) -> None:
        """Start it. Raises OSError when the interpreter `python` (with its options) cannot be started."""
        self.python = tuple(python)
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115 - read when it has ended
        ours, theirs = socket.socketpair()
        config = json.dumps({"preload": list(preload), "owner": os.getpid(), "idle": idle})
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [*python, "-c", BOOT, str(theirs.fileno()), PACKAGE, config],
                    env={**environment, SLOT: "." * SLOT_SIZE}, cwd=os.sep, pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL, stdout=self._printed, stderr=self._printed, start_new_session=True,
                )  # fmt: skip
        except OSError:
            ours.close()
            self._printed.close()
            raise
        self.pid = self._process.pid
        self.has_forked = False
        self._channel = ours
        threading.Thread(target=self._process.wait, name="orchestrator_nb fork server", daemon=True).start()

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process.returncode is None

    @property
    def last_line(self) -> str:
        """The last line that it has printed, which in general says why it has ended; empty where there is none."""
        try:
            size = os.fstat(self._printed.fileno()).st_size
            # by position: the file has one place to write at, and that is the server's
            printed = os.pread(self._printed.fileno(), LAST_WORDS, max(0, size - LAST_WORDS))
        except (OSError, ValueError):  # it is closed
            return ""
        return next(iter(reversed(printed.decode(errors="replace").split("\n")[:-1])), "").strip()

    def fork(self, request: Mapping[str, Any], streams: Sequence[int]) -> ForkedProcess:
        """Ask for a kernel with these three standard streams. Raises NotForked when the server is gone."""
        line, theirs = socket.socketpair()
        body = json.dumps(request).encode()
        try:
            with theirs:
                socket.send_fds(self._channel, [b"k"], [theirs.fileno(), *streams])
            line.sendall(_LENGTH.pack(len(body)) + body)
        except OSError as error:
            line.close()
            raise NotForked(f"the fork server is gone: {error}", replace=True, lost=True) from error
        return ForkedProcess(line)

    def retire(self) -> None:
        """Let it end when its last kernel has."""
        with suppress(OSError):
            self._channel.send(b"d")

    def close(self) -> None:
        """End it and its kernels."""
        self._channel.close()
        self._printed.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5.0)


@dataclass(frozen=True, slots=True)
class _Kind:
    """What kernels of one server have in common, apart from what it has preloaded."""

    owner: int
    python: tuple[str, ...]
    variables: tuple[tuple[str, str], ...]


class ForkServers:
    """The servers of one process, by interpreter, environment and preloaded modules. Safe from any thread."""

    def __init__(self) -> None:
        self._unfit: set[tuple[tuple[str, ...], str]] = set()
        self._unable: dict[_Kind, str] = {}
        self._servers: dict[tuple[_Kind, frozenset[str]], ForkServer] = {}
        self._retired: list[ForkServer] = []
        self._lock = threading.Lock()

    def get(self, python: Sequence[str], preload: Sequence[str], environment: Mapping[str, str]) -> ForkServer:
        """Return the server for kernels of this kind that has these modules, and as few others as there is one,
        started if need be; without those that have turned out to be unfit there. Raises NotForked where no such server can do its work."""
        variables = server_environment(environment)
        kind = _kind(python, variables)
        modules = frozenset(name for name in preload if (kind.python, name) not in self._unfit)
        with self._lock:
            if kind in self._unable:
                raise NotForked(self._unable[kind])
            self._let_go_of_dead()
            fitting = [key for key in self._servers if key[0] == kind and key[1] >= modules]
            key = min(fitting, key=lambda found: len(found[1]), default=(kind, modules))
            server = self._servers.pop(key, None)
            if server is None:
                try:
                    server = ForkServer(python, sorted(modules), variables)
                except OSError as error:
                    raise NotForked(f"its fork server did not start: {error}") from error
            self._servers[key] = server  # the one used last is the last
            alike = [key for key in self._servers if key[0].python == kind.python]
            if len(alike) > MOST_SERVERS:
                self._retire(alike[0])
            return server

    def why_unable(self, python: Sequence[str], environment: Mapping[str, str]) -> str | None:
        """Return why no server can do its work for kernels of this kind, as it has turned out; None as long as it has
        not."""
        if not self._unable:  # as nearly always
            return None
        with self._lock:
            return self._unable.get(_kind(python, server_environment(environment)))

    def refused(self, server: ForkServer, refusal: NotForked) -> None:
        """Take notice of what a server has said, so that the next request is not answered in the same way."""
        with self._lock:
            for key in [key for key, found in self._servers.items() if found is server]:
                if refusal.replace or refusal.unable:
                    self._retire(key)
                if refusal.unable or (refusal.lost and not server.has_forked):  # the next one would fare no better
                    self._unable[key[0]] = str(refusal)
            if refusal.unfit is not None:
                self._unfit.add((server.python, refusal.unfit))

    def _let_go_of_dead(self) -> None:
        for server in [*self._servers.values(), *self._retired]:
            if not server.is_alive:
                server.close()
        self._servers = {key: server for key, server in self._servers.items() if server.is_alive}
        self._retired = [server for server in self._retired if server.is_alive]

    def _retire(self, key: tuple[_Kind, frozenset[str]]) -> None:
        """Use that server for no further kernel; those that it has live on, and so does its channel."""
        server = self._servers.pop(key)
        server.retire()
        self._retired.append(server)

    def close(self) -> None:
        """End all servers."""
        with self._lock:
            servers = [*self._servers.values(), *self._retired]
            self._servers.clear()
            self._retired.clear()
        for server in servers:
            server.close()

    @property
    def pids(self) -> list[int]:
        """The process ids of the servers that run."""
        with self._lock:
            return [server.pid for server in [*self._servers.values(), *self._retired] if server.is_alive]


def _kind(python: Sequence[str], variables: Mapping[str, str]) -> _Kind:
    read = tuple(sorted(item for item in variables.items() if READ_AT_IMPORT.match(item[0])))
    return _Kind(os.getpid(), tuple(python), read)


def server_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what of that environment of a kernel its server has: what this process has, and what is read at import.

    What only one command has been given, its secrets among them, and what marks its processes is none of the server's
    business; directories on PYTHONPATH hold what may be edited at any time.
    """
    return {
        name: value
        for name, value in environment.items()
        if name != "PYTHONPATH"
        and not name.startswith((SEEN, "JPY_"))
        and (READ_AT_IMPORT.match(name) or os.environ.get(name) == value)
    }


def why_no_fork() -> str | None:
    """Return why this system cannot have fork servers, None where it can."""
    if not sys.platform.startswith("linux"):
        return f"kernels are forked on Linux only, this is {sys.platform}"
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError) as error:
        return f"this system cannot watch processes by descriptors: {error}"
    return None


servers = ForkServers()
"""The servers of this process."""
atexit.register(servers.close)
