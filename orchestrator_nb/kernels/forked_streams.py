"""How a forked kernel publishes: by fewer hand-overs between its threads than ipykernel has, and with nothing lost that
a cell's programs have written past Python."""

from __future__ import annotations

import fcntl
import inspect
import os
import select
import termios
import threading
import time
from functools import lru_cache
from typing import Any

LATE = 1.0
"""Seconds for which a flush waits for the thread that takes what was written past Python."""

AT_ONCE = 1000
"""How many messages are published before the thread that does it looks for anything else."""

READ_SIZE = 4096


_ATTRIBUTES = {
    "OutStream": ("_buffers", "_fid", "_should_watch", "_original_stdstream_copy", "_watch_pipe_fd", "_flush"),
    "IOPubThread": ("_events", "_event_pipe", "_handle_event", "io_loop"),
}


@lru_cache(maxsize=1)
def are_known() -> bool:
    """Whether ipykernel's classes are made as they were when this was written."""
    import ipykernel.iostream as module

    sources = {name: inspect.getsource(getattr(module, name)) for name in _ATTRIBUTES}
    return all(each in sources[name] for name, attributes in _ATTRIBUTES.items() for each in attributes)


def install() -> None:
    """Give ipykernel's classes these methods."""
    from ipykernel.iostream import IOPubThread, OutStream

    _install_streams(OutStream)
    _install_publisher(IOPubThread)


def _install_streams(stream_class: Any) -> None:
    stock_flush, stock_send = stream_class.flush, stream_class._flush

    def flush(self: Any) -> None:
        """Publish what was written; nothing has to be done where nothing was."""
        thread = getattr(self.pub_thread, "thread", None)
        if thread is not None and thread.is_alive() and thread.ident != threading.get_ident():
            _await_watcher(self)
            # in this order: it is marked as being sent before it is taken out of the buffers
            if not self._buffers and not self._sending and self.echo is None:
                return
        stock_flush(self)

    def send(self: Any) -> None:
        self._sending = True
        try:
            stock_send(self)
        finally:
            self._sending = False

    def watch(self: Any) -> None:
        """Take what is written to the descriptor, and tell how much that was, and whether some is in hand."""
        try:
            _watch(self)
        except Exception as error:  # noqa: BLE001 - as ipykernel does: it is told when the stream is closed
            self._exc = (type(error), error, error.__traceback__)
            self._fid = None

    stream_class._sending = stream_class._in_hand = False
    stream_class._taken = 0
    stream_class.flush, stream_class._flush, stream_class._watch_pipe_fd = flush, send, watch


def _watch(stream: Any) -> None:
    if stream._fid is None:
        return
    ready = select.poll()
    ready.register(stream._fid, select.POLLIN)
    while True:
        ready.poll()
        stream._in_hand = True  # before it is taken out of the pipe, where others look for it
        data = os.read(stream._fid, READ_SIZE)
        if not data or not stream._should_watch:
            stream._in_hand = False
            return
        stream.write(data.decode(errors="replace"))
        os.write(stream._original_stdstream_copy, data)
        stream._taken += len(data)
        stream._in_hand = False


def _await_watcher(stream: Any) -> None:
    """Return when what has been written to the descriptor until now is in the buffers."""
    if not stream._should_watch or stream._fid is None or stream.watch_fd_thread is threading.current_thread():
        return
    expected = stream._taken + _unread(stream._fid)
    deadline = None
    while (stream._taken < expected or stream._in_hand) and stream.watch_fd_thread.is_alive():
        now = time.monotonic()
        deadline = now + LATE if deadline is None else deadline
        if now >= deadline:
            return
        time.sleep(0.0002)


def _unread(descriptor: int) -> int:
    return int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, b"\0\0\0\0"), "little")


def _install_publisher(publisher_class: Any) -> None:
    def schedule(self: Any, work: Any) -> None:
        """Have the thread do this; it is woken only where it has nothing to do yet."""
        if not self.thread.is_alive():
            work()
            return
        self._events.append(work)
        if len(self._events) == 1:
            self._event_pipe.send(b"")

    def handle(self: Any, _: Any = None) -> None:
        """Do what there is to do. What comes in after the last look finds the list empty, and wakes the thread."""
        try:
            for _number in range(AT_ONCE):
                if not self._events:
                    return
                self._events.popleft()()
        finally:
            if self._events:
                self.io_loop.add_callback(self._handle_event, None)

    publisher_class.schedule, publisher_class._handle_event = schedule, handle
