"""Forked kernels with a client each, and an environment of Python with packages of our own."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from contextlib import ExitStack

import pytest

from orchestrator_nb.kernels.forking_manager import ForkingManager

HISTORY = "--HistoryManager.hist_file=:memory:"


class Kernel:
    """A kernel and its client, on an event loop in a thread of their own."""

    def __init__(self, folder, *, name="python3", preload=(), cwd=None, env=None, connected=True):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        folder.mkdir(mode=0o700, exist_ok=True)
        at = folder / f"{len(os.listdir(folder))}"
        at.mkdir()
        self.folder = at
        self.manager = self.call(self._start(at, name, preload, cwd, {**os.environ, **(env or {})}, connected))
        self.way, self.why = self.manager.provisioner.way, self.manager.provisioner.why
        self.process = self.manager.provisioner.process

    @property
    def pid(self):
        return self.process.pid

    def call(self, work, timeout=60.0):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout)

    async def _start(self, at, name, preload, cwd, env, connected):
        manager = ForkingManager(
            kernel_name=name, transport="ipc", ip=str(at / "k"), connection_file=str(at / "c.json"), preload=list(preload)
        )  # fmt: skip
        await manager.start_kernel(extra_arguments=[HISTORY], cwd=str(cwd or at), env=env)
        self.client = manager.client()
        if connected:
            self.client.start_channels()
            await self.client.wait_for_ready(timeout=60)
        return manager

    def run(self, code, timeout=30.0):
        """Run code and return what it printed; raises RuntimeError with the name of what it raised."""
        return self.call(self._run(code, timeout), timeout + 5)

    async def _run(self, code, timeout):
        printed = self.printed = []  # what the cell that runs last has printed so far

        def hear(message):
            if message["msg_type"] == "stream":
                printed.append(message["content"]["text"])

        reply = await self.client.execute_interactive(code, output_hook=hear, timeout=timeout)
        if reply["content"]["status"] != "ok":
            raise RuntimeError(reply["content"]["ename"])
        return "".join(printed)

    def start(self, code):
        """Begin to run code and return what gives its result."""
        self.printed = []
        return asyncio.run_coroutine_threadsafe(self._run(code, 30.0), self._loop)

    def value(self, expression):
        """Return the value of an expression, by way of JSON."""
        return json.loads(self.run(f"import json; print(json.dumps({expression}))"))

    def close(self):
        if self._loop.is_closed():
            return
        if self.manager.has_kernel:
            self.call(self.manager.shutdown_kernel(now=self.process.poll() is not None))
        self.call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _stop(self):
        self.client.stop_channels()


@pytest.fixture
def kernel(tmp_path_factory):
    """Return a function that starts a kernel; all are ended after the test."""
    folder = tmp_path_factory.mktemp("k")
    with ExitStack() as stack:

        def start(**options):
            found = Kernel(folder, **options)
            stack.callback(found.close)
            return found

        yield start


@pytest.fixture
def python(environment):
    """The site-packages of an environment of Python, for what a test puts there; its kernel is called `own`."""
    return environment("own").packages
