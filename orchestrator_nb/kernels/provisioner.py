"""The provisioner by which any Jupyter tool gets forked kernels: it starts plain ones where it cannot fork."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

# not in a function: Jupyter and those who start kernels are the only ones to import this module
from jupyter_client.provisioning.local_provisioner import LocalProvisioner  # noqa: TID253
from traitlets import Bool, List, Unicode

from orchestrator_nb.kernels.fork_server import ForkServer, servers, why_no_fork
from orchestrator_nb.kernels.forked_process import ForkedProcess, NotForked
from orchestrator_nb.kernels.interpreter import Launch, launch
from orchestrator_nb.kernels.quick_traits import QuicklyConfigured
from orchestrator_nb.kernels.ways import FORKED, PLAIN, POOL, SWITCH

START_SECONDS = 60.0
"""How long a server may take for its imports and a kernel for its sockets."""

_UMASK = re.compile(r"^Umask:\s*(\d+)", re.MULTILINE)

_KNOWN_OPTIONS = frozenset({"env", "cwd", "stdin", "stdout", "stderr", "independent", "extra_arguments", "kernel_id"})


class ForkProvisioner(QuicklyConfigured, LocalProvisioner):  # type: ignore[metaclass]  # derived as it has to be
    """Forks a Python kernel from a server that has already imported what it needs.

    After the launch `way` is FORKED or PLAIN, and `why` says why it is not forked.
    """

    preload = List(Unicode(), help="Modules that are imported before the fork.").tag(config=True)

    lean = Bool(False, help="Whether it needs no heartbeat and no subshells.")

    process: Any = None
    way = PLAIN
    why: str | None = None
    _server: ForkServer | None = None

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Fork a kernel, else start it plainly."""
        try:
            await self._fork(cmd, kwargs)
        except NotForked as refusal:
            self.way, self.why = PLAIN, str(refusal)
            return await super().launch_kernel(cmd, **kwargs)
        self.way, self.why = FORKED, None
        return self.connection_info

    async def exited(self) -> None:
        """Return as soon as the kernel has ended."""
        process = self.process
        while process is not None and process.poll() is None:
            if isinstance(process, ForkedProcess):
                await _news(process)
            else:
                await asyncio.sleep(0.02)

    async def ready(self, timeout: float | None = None) -> dict[str, Any] | None:
        """Return what the kernel says of its language, once it is ready; None where it does not say so by itself.

        Raises RuntimeError where it has ended before, or was not ready after `timeout` seconds.
        """
        process = self.process
        if not isinstance(process, ForkedProcess) or not process.says_ready:
            return None
        try:
            await asyncio.wait_for(_ready(process), timeout)
        except asyncio.TimeoutError:
            raise RuntimeError(f"the kernel was not ready within {timeout} s") from None
        if process.ready is None:
            why = "the kernel ended before it was ready"
            if self._server is not None and process.returncode is not None and process.returncode >= 0:
                # not killed: its environment may have another kernel than it seemed, which is not to be tried again
                servers.refused(self._server, NotForked(f"an earlier forked kernel failed: {why}", unable=True))
            raise RuntimeError(why)
        return process.ready

    async def wait(self) -> int | None:
        """Return the exit code when the kernel has ended."""
        await self.exited()
        return await super().wait()

    async def send_signal(self, signum: int) -> None:
        """Send a signal to the kernel's group, as long as the kernel lives: its number may be someone else's then."""
        if not isinstance(self.process, ForkedProcess) or self.process.poll() is None:
            await super().send_signal(signum)

    async def kill(self, restart: bool = False) -> None:
        """Kill the kernel and what is in its group; returns when a forked one is gone."""
        await super().kill(restart)
        if isinstance(self.process, ForkedProcess):
            await self.exited()

    async def _fork(self, cmd: Sequence[str], options: dict[str, Any]) -> None:
        understood = _understood(cmd, options)
        python = understood.interpreter
        request = {**_request(understood.arguments, options), "lean": self.lean}
        environment = request["env"]
        with _streams(options) as streams:
            try:
                process = await self._forked(python, environment, request, streams)
            except NotForked as refusal:
                if refusal.unfit is not None or not refusal.replace:
                    raise
                # it was out of date, or left just now: the next one is not
                process = await self._forked(python, environment, request, streams)
        self.process = process
        self.pid = self.pgid = process.pid  # it has a session of its own
        self.cwd = request["cwd"]

    async def _forked(
        self, python: Sequence[str], environment: dict[str, str], request: dict[str, Any], streams: list[int]
    ) -> ForkedProcess:
        """Fork from the server at hand and wait for the kernel's sockets. Raises NotForked."""
        server = servers.get(python, self.preload, environment)
        process = None
        try:
            process = server.fork(request, streams)
            await asyncio.wait_for(_bound(process), START_SECONDS)
        except (NotForked, asyncio.TimeoutError) as error:
            if process is not None:
                process.close()
            if not isinstance(error, NotForked):
                error = NotForked(f"a forked kernel was not ready within {START_SECONDS:.0f} s", unable=True)
            elif error.lost and server.last_line:
                error = NotForked(f"{error}: {server.last_line}", replace=True, lost=True)
            servers.refused(server, error)
            raise error from None
        except BaseException:
            if process is not None:
                process.close()
            raise
        server.has_forked = True
        self._server = server
        return process


async def _bound(process: ForkedProcess) -> None:
    while not (process.is_decided and process.bound):
        if process.returncode is not None:
            code = process.returncode
            raise NotForked(f"a forked kernel ended with code {code} before it was ready", unable=code >= 0)
        await _news(process)


async def _ready(process: ForkedProcess) -> None:
    while process.poll() is None and process.ready is None:
        await _news(process)


async def _news(process: ForkedProcess) -> None:
    """Return when the line of the process has something to read."""
    loop = asyncio.get_running_loop()
    came = loop.create_future()
    with process.watch() as line:
        loop.add_reader(line, _set, came)
        try:
            await came
        finally:
            loop.remove_reader(line)


def _set(came: asyncio.Future[None]) -> None:
    if not came.done():
        came.set_result(None)


def _request(arguments: Sequence[str], options: dict[str, Any]) -> dict[str, Any]:
    """Return what to tell the server about a kernel."""
    environment = dict(options["env"])
    paths = [os.path.abspath(path) for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    return {
        "argv": ["ipykernel_launcher.py", *arguments],
        "env": environment,
        "cwd": os.path.abspath(options.get("cwd") or os.getcwd()),
        "path": list(dict.fromkeys(paths)),
        "umask": _umask(),
    }


def _understood(cmd: Sequence[str], options: dict[str, Any]) -> Launch:
    """Return the command taken apart. Raises NotForked where a plain start is needed."""
    switch = os.environ.get(SWITCH)
    if switch in (PLAIN, POOL):
        raise NotForked(f"{SWITCH}={switch} is set")
    reason = why_no_fork()
    if reason is not None:
        raise NotForked(reason)
    unknown = {name for name in options.keys() - _KNOWN_OPTIONS if options[name] is not None}
    if unknown:
        raise NotForked(f"it is to be started with {', '.join(sorted(unknown))}")
    if options.get("stdin") not in (None, subprocess.DEVNULL):
        raise NotForked("it is to be given a standard input")
    understood = launch(cmd)
    if understood is None:
        raise NotForked("its command is not that of the Python kernel")
    return understood


@contextmanager
def _streams(options: dict[str, Any]) -> Iterator[list[int]]:
    """Yield the descriptors of standard input, output and error."""
    with ExitStack() as stack:
        null = os.open(os.devnull, os.O_RDWR)
        stack.callback(os.close, null)
        chosen = [null]
        for number, name in ((1, "stdout"), (2, "stderr")):
            wanted = options.get(name)
            if wanted is None:
                chosen.append(number)
            elif wanted == subprocess.DEVNULL:
                chosen.append(null)
            elif wanted == subprocess.STDOUT:
                chosen.append(chosen[1])
            elif wanted == subprocess.PIPE:
                raise NotForked(f"its {name} is to be a new pipe")
            else:
                chosen.append(wanted if isinstance(wanted, int) else wanted.fileno())
        yield chosen


def _umask() -> int | None:
    """Return the mask for new files; asking the system itself would change it for a moment, for all threads."""
    try:
        with open("/proc/self/status", encoding="utf-8") as file:
            found = _UMASK.search(file.read())
    except OSError:
        return None
    return int(found[1], 8) if found else None
