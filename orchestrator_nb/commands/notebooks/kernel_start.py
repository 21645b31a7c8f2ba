"""How the kernel of one attempt is started: by a manager that belongs to it alone, and that lets it hear all messages."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import Any

from traitlets import Instance, default

from orchestrator_nb.kernels.forking_manager import ForkingManager, QuickChannel

log = logging.getLogger("orchestrator_nb.kernel")
log.addHandler(logging.NullHandler())  # what Jupyter has to say about a kernel is no business of the terminal


class HeardChannel(QuickChannel):
    """A channel that shows each message to `listener` before it hands it on."""

    listener: Callable[[dict[str, Any]], None] | None = None

    async def get_msg(self, timeout: float | None = None) -> dict[str, Any]:  # type: ignore[override] # as its base does
        """Return the next message."""
        message = await super().get_msg(timeout)
        if self.listener is not None:
            self.listener(message)
        return message


class PrivateManager(ForkingManager):
    """Starts the kernel of `owner`, a KernelProcess, in its environment, over the sockets in its folder."""

    owner = Instance(object)

    @default("log")
    def _quiet(self) -> logging.Logger:
        return log

    @default("transport")
    def _private(self) -> str:
        return "tcp" if sys.platform == "win32" else "ipc"

    @default("ip")
    def _place(self) -> str:
        return "127.0.0.1" if sys.platform == "win32" else str(self._owner.folder / "k")

    @default("connection_file")
    def _connection(self) -> str:
        return str(self._owner.folder / "connection.json")

    @default("forks")
    def _if_it_may(self) -> bool:
        return self._owner.plain_reason is None

    @default("preload")
    def _imported_before(self) -> list[str]:
        return list(self._owner.preload)

    @property
    def _owner(self) -> Any:
        return self.owner

    async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]  # theirs is untyped
        """Start the kernel, with its output going to its owner."""
        owner = self._owner
        with owner.output() as pipe:
            begun = time.monotonic()
            await super().start_kernel(**options, env=owner.environment, stdout=pipe, stderr=pipe)
            owner.started(self.provisioner, time.monotonic() - begun)

    async def _async_wait(self, pollinterval: float = 0.1) -> None:
        # instead of asking ten times a second, both when it was asked to leave and when it was killed
        if self._owner.pid is None:
            await super()._async_wait(pollinterval)
        else:
            await self._owner.exited()

    def client(self, **options: Any) -> Any:
        """Return the client by which its owner talks to it."""
        client = super().client(**options)
        client.iopub_channel_class = HeardChannel
        client.iopub_channel.listener = self._owner.on_message
        self._owner.client = client
        return client
