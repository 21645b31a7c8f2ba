"""The sockets of a lean forked kernel: those that running cell after cell for one client takes, all on one thread.

There is no heartbeat, since the system tells of a kernel's end; no subshells and no debugger; nobody to ask for input;
and requests to shut down are answered between cells, as a busy kernel is interrupted first.
"""

from __future__ import annotations

import atexit
import json
import threading
from functools import lru_cache
from typing import Any

from orchestrator_nb.kernels import forked_streams

CLIENT_SECONDS = 10.0
"""How long a kernel waits at its start for its client to listen to what it publishes."""


def open_sockets(app: Any, connection: dict[str, Any]) -> None:
    """Do what the application's method `init_sockets` does."""
    import zmq
    from tornado.ioloop import IOLoop

    context = app.context = zmq.Context()
    atexit.register(app.close)
    app.transport, app.ip = connection["transport"], connection["ip"]
    for name, kind in (("shell", zmq.ROUTER), ("control", zmq.ROUTER), ("iopub", zmq.XPUB)):
        socket = context.socket(kind)
        socket.linger = 1000
        socket.sndhwm = 0  # with a limit, what a cell prints faster than it can be sent would be dropped
        if kind == zmq.ROUTER:
            socket.router_handover = 1
        port = connection[f"{name}_port"]
        socket.bind(f"{app.transport}://{app.ip}-{port}")
        setattr(app, f"{name}_port", port)
        setattr(app, f"{name}_socket", socket)
    app.iopub_thread = forked_streams.publisher_class()(app.iopub_socket, app.session)
    app.iopub_socket = app.iopub_thread.background_socket
    app.control_thread = _MainThread(IOLoop.current())


def read_connection(path: str) -> dict[str, Any] | None:
    """Return what the connection file says, None where that is not what a lean kernel is made for."""
    with open(path, encoding="utf-8") as file:
        connection: dict[str, Any] = json.load(file)
    usual = connection.get("transport") == "ipc" and connection.get("signature_scheme") == "hmac-sha256"
    ports = [connection.get(f"{name}_port") for name in ("shell", "control", "iopub")]
    return (
        connection if usual and connection.get("key") and all(ports) and "curve_secretkey" not in connection else None
    )


def open_streams(app: Any) -> dict[str, Any]:
    """Return what the application's method `init_kernel` gives to a kernel, as far as it is not there before."""
    return {
        "session": app.session,
        "shell_stream": _stream_class()(app.shell_socket),
        "control_stream": _stream_class()(app.control_socket),
        "control_thread": app.control_thread,
        "shell_channel_thread": _NoThread(),
        "iopub_thread": app.iopub_thread,
        "iopub_socket": app.iopub_socket,
    }


def await_client(app: Any) -> None:
    """Return when the client listens to what is published, or has not within its time."""
    import zmq

    socket = app.iopub_thread.socket
    socket.rcvtimeo = round(CLIENT_SECONDS * 1000)
    try:
        socket.recv()
    except zmq.Again:
        return


@lru_cache(maxsize=1)
def _stream_class() -> type[Any]:
    """Return a class of streams that send at once, where zmq's puts off what it then has to be urged to do."""
    import zmq
    from zmq.eventloop.zmqstream import ZMQStream

    base: Any = ZMQStream  # its methods are untyped in part

    class Stream(base):  # type: ignore[misc]
        def send_multipart(self, msg: Any, *_: Any, **__: Any) -> None:
            forked_streams.send_whole(self.socket, msg)
            self._update_handler(self._state)  # to send may have taken the sign that something has come

        def flush(self, flag: int = zmq.POLLIN | zmq.POLLOUT, limit: int | None = None) -> int:
            return int(super().flush(flag, limit)) if flag & zmq.POLLIN else 0

    return Stream


class _MainThread:
    """Stands where the thread would be that answers requests to shut down; the main one does."""

    def __init__(self, loop: Any) -> None:
        self.io_loop = loop

    def is_alive(self) -> bool:
        return False


class _NoThread:
    """Stands where the thread that hands the requests of subshells on would be; requests come to the main thread."""

    def __init__(self) -> None:
        self.parent_thread = threading.current_thread()

    def __bool__(self) -> bool:
        return False


def prepare() -> None:
    """Make, before the fork, what is the same for all kernels."""
    _stream_class()
    forked_streams.publisher_class()
    forked_streams.stream_class()
