"""A kernel manager and its client that wait for events and not for fixed times, and that fork where they can."""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
import time
import uuid
from contextlib import suppress
from datetime import datetime
from hmac import compare_digest
from queue import Empty
from typing import Any

import zmq.asyncio  # noqa: TID253 - like jupyter_client below: this module is imported where a kernel is started
from jupyter_client.asynchronous.client import AsyncKernelClient  # noqa: TID253
from jupyter_client.channels import AsyncZMQSocketChannel  # noqa: TID253
from jupyter_client.manager import AsyncKernelManager, KernelManager  # noqa: TID253
from jupyter_client.session import Session  # noqa: TID253
from traitlets import Bool, List, Type, Unicode, default

from orchestrator_nb.kernels.provisioner import ForkProvisioner
from orchestrator_nb.kernels.quick_traits import QuicklyConfigured
from orchestrator_nb.kernels.specs import installed_specs

ASK_AGAIN = 1.0
"""Seconds after which a kernel that has not answered is asked again: it may not have been listening."""

IDLE_SECONDS = 0.1
"""Seconds after its answer within which a kernel is expected to publish that it is idle. If it has not, it did so
before it knew of our subscription, and is asked again."""

BUSY_SECONDS = 0.3
"""Seconds after which a kernel that was asked to shut down is taken to be busy with a cell, and is interrupted."""

_contexts: dict[int, Any] = {}
_lock = threading.Lock()


def shared_context() -> Any:
    """Return the one context of this process for talking to kernels.

    It has no limit of messages: with one, those of a kernel that prints faster than they are read are dropped, the one
    that says that the cell is done among them.
    """
    with _lock:
        context = _contexts.get(os.getpid())
        if context is None:
            context = _contexts[os.getpid()] = zmq.asyncio.Context()
            context.rcvhwm = 0
        return context


class QuickSession(QuicklyConfigured, Session):
    """Takes messages apart as Jupyter does, but looks for times only where the protocol has them."""

    def deserialize(self, msg_list: Any, content: bool = True, copy: bool = True) -> dict[str, Any]:
        """Return the message. Raises ValueError where its signature is wrong, or was there before."""
        usual = content and copy and self.auth is not None and len(msg_list) >= 5
        header = self.unpack(msg_list[1]) if usual else {}
        if not str(header.get("version", "")).startswith("5."):
            return super().deserialize(msg_list, content=content, copy=copy)
        signature = msg_list[0]
        if signature in self.digest_history:
            raise ValueError(f"Duplicate Signature: {signature!r}")
        if not compare_digest(signature, self.sign(msg_list[1:5])):
            raise ValueError(f"Invalid Signature: {signature!r}")
        self._add_digest(signature)
        return {
            "header": _with_time(header),
            "msg_id": header["msg_id"],
            "msg_type": header["msg_type"],
            "parent_header": _with_time(self.unpack(msg_list[2])),
            "metadata": self.unpack(msg_list[3]),
            "content": self.unpack(msg_list[4]),
            "buffers": [memoryview(buffer) for buffer in msg_list[5:]],
        }


def _with_time(header: dict[str, Any]) -> dict[str, Any]:
    date = header.get("date")
    if isinstance(date, str):
        with suppress(ValueError):
            header["date"] = datetime.fromisoformat(date.replace("Z", "+00:00"))  # "Z" is known from Python 3.11 on
    return header


class QuickChannel(AsyncZMQSocketChannel):
    """A channel that waits for a message once, and not for its coming and then for itself."""

    async def get_msg(self, timeout: float | None = None) -> dict[str, Any]:  # type: ignore[override] # as its base does
        """Return the next message. Raises queue.Empty after `timeout` seconds."""
        if timeout is not None:
            return await super().get_msg(timeout)
        return await self._recv()


class ForkingClient(QuicklyConfigured, AsyncKernelClient):
    """A client without the channels that nobody listens to here, those for heartbeats and for questions to the user.

    `kernel_info_reply` is what the kernel has said of itself, of its language at the least. `provisioner` is there where
    it may say so as soon as it is ready, and listens to what it publishes, without being asked.
    """

    shell_channel_class = Type(QuickChannel)
    iopub_channel_class = Type(QuickChannel)
    kernel_info_reply: dict[str, Any] | None = None
    provisioner: ForkProvisioner | None = None

    @default("context")
    def _shared(self) -> Any:
        return shared_context()

    def start_channels(
        self, shell: bool = True, iopub: bool = True, stdin: bool = False, hb: bool = False, control: bool = True
    ) -> None:
        """Start the channels."""
        super().start_channels(shell=shell, iopub=iopub, stdin=stdin, hb=hb, control=control)

    def stop_channels(self) -> None:
        """Stop those that were started; asking for another one would make it."""
        for channel in (
            self._shell_channel, self._iopub_channel, self._stdin_channel, self._hb_channel, self._control_channel,
        ):  # fmt: skip
            if channel is not None and channel.is_alive():
                channel.stop()

    async def _async_wait_for_ready(self, timeout: float | None = None) -> None:
        """Return when the kernel has answered and all that it publishes is received. Raises RuntimeError."""
        if self.provisioner is not None:
            language = await self.provisioner.ready(timeout)
            if language is not None:
                self.kernel_info_reply = {"content": {"language_info": language}}
                return
        deadline = time.monotonic() + (float("inf") if timeout is None else timeout)
        asked: set[str] = set()
        while True:
            asked.add(self.kernel_info())
            reply = await self._heard_on(self.shell_channel, asked, "kernel_info_reply", ASK_AGAIN)
            if reply is not None and await self._heard_on(self.iopub_channel, asked, "status", IDLE_SECONDS):
                self._handle_kernel_info_reply(reply)
                self.kernel_info_reply = reply
                return
            if not await self.is_alive():
                raise RuntimeError("the kernel ended before it had answered")
            if time.monotonic() > deadline:
                raise RuntimeError(f"the kernel did not answer within {timeout} s")

    wait_for_ready = _async_wait_for_ready

    @staticmethod
    async def _heard_on(channel: Any, asked: set[str], kind: str, seconds: float) -> dict[str, Any] | None:
        """Return the message of that kind about one of the questions asked, None where none comes in that time.

        Of messages about its state, the one that it is idle again is meant.
        """
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                message: dict[str, Any] = await channel.get_msg(timeout=left)
            except Empty:
                return None
            about = message["parent_header"].get("msg_id") in asked
            if about and message["msg_type"] == kind and message["content"].get("execution_state", "idle") == "idle":
                return message
        return None


class ForkingManager(QuicklyConfigured, AsyncKernelManager):
    """Starts kernels by forking them where it `forks`, with `preload` imported before, unless the kernelspec says how.

    All waiting for the kernel's end is told by the system, none is done by looking again.
    """

    forks = Bool(True, help="Whether kernels are forked where they can be.")

    preload = List(Unicode(), help="Modules that are imported before the fork.")

    @property
    def kernel_spec(self) -> Any:
        """The kernelspec; of those that Jupyter finds where it is not told where to look."""
        if self._kernel_spec is None and not self.config:
            self._kernel_spec = installed_specs().get(self.kernel_name)
        return super().kernel_spec

    @default("client_factory")
    def _client(self) -> type[Any]:
        return ForkingClient

    @default("session")
    def _quick(self) -> Session:
        return QuickSession(parent=self)

    @default("context")
    def _shared(self) -> Any:
        return shared_context()

    async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]  # theirs is untyped
        """Start the kernel."""
        metadata: Any = getattr(self.kernel_spec, "metadata", None) or {}
        if self.forks and self.provisioner is None and "kernel_provisioner" not in metadata:
            self.kernel_id = self.kernel_id or uuid.uuid4().hex
            self.provisioner = ForkProvisioner(
                kernel_id=self.kernel_id,
                kernel_spec=self.kernel_spec,
                parent=self,
                preload=self.preload,
                lean=True,
            )
        await _without_pause(KernelManager._async_start_kernel)(self, **options)

    def client(self, **options: Any) -> Any:
        """Return a client for the kernel."""
        client: Any = super().client(**options)
        client.provisioner = self.provisioner if isinstance(self.provisioner, ForkProvisioner) else None
        return client

    async def _async_shutdown_kernel(self, now: bool = False, restart: bool = False) -> None:
        provisioner = self.provisioner
        if isinstance(provisioner, ForkProvisioner) and self.has_kernel and not now and not restart:
            # Jupyter interrupts first, which an idle kernel takes for an error and reports; only a busy one needs it
            self.shutting_down = True
            self.stop_restarter()
            await self._async_request_shutdown()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(provisioner.exited(), BUSY_SECONDS)
                await self._async_finish_shutdown()
                await self._async_cleanup_resources()
                return
        await _without_pause(KernelManager._async_shutdown_kernel)(self, now=now, restart=restart)

    shutdown_kernel = _async_shutdown_kernel

    async def _async_wait(self, pollinterval: float = 0.1) -> None:
        if isinstance(self.provisioner, ForkProvisioner):
            await self.provisioner.exited()
        else:
            await super()._async_wait(pollinterval)


def _without_pause(method: Any) -> Any:
    """Return a method of Jupyter's without its wrapper, which sleeps so that others can watch a state go by."""
    return inspect.unwrap(method)
