"""How a lean forked kernel publishes: at once, on the thread that has something to say, one at a time.

ipykernel hands each message to a thread with an event loop, and has another thread for each standard stream. Here is
one thread for all that has to be taken or sent while a cell runs; it takes what programs write past Python, and sends
what has been printed a while ago.
"""

from __future__ import annotations

import ctypes
import fcntl
import inspect
import os
import select
import sys
import termios
import threading
import time
import traceback
from collections import deque
from functools import lru_cache
from typing import Any

LATE = 1.0
"""Seconds for which a flush waits for the thread that takes what was written past Python."""

READ_SIZE = 4096

_AT_ONCE, _MORE = 1, 2
"""Flags of zmq's function for sending: not to wait, and that another part follows."""

_USED = {
    "OutStream": (
        "_buffers", "_fid", "_should_watch", "_original_stdstream_copy", "_original_stdstream_fd", "_flush_pending",
        "self.watch_fd_thread.join()", "def _schedule_flush(self)", "def _setup_stream_redirects(self, name)",
        "self._io_loop = pub_thread.io_loop",
    ),
    "IOPubThread": (
        "_pipe_uuid", "_pipe_port", "_pipe_flag", "_master_pid", "def _really_send(self, msg", "def schedule(self, f)",
        "self.background_socket", "def _is_master_process(self)", "mp_mode != CHILD",
    ),
}  # fmt: skip
"""What the classes below rely on in those of ipykernel."""


@lru_cache(maxsize=1)
def are_known() -> bool:
    """Whether ipykernel's classes are made as they were when this was written, and zmq's library is at hand."""
    import ipykernel.iostream as module

    try:
        raw_send()
    except (ImportError, AttributeError, OSError):
        return False
    sources = {name: inspect.getsource(getattr(module, name)) for name in _USED}
    return all(each in sources[name] for name, used in _USED.items() for each in used)


@lru_cache(maxsize=1)
def publisher_class() -> type[Any]:
    """Return the class that stands in for ipykernel's thread for publishing."""
    import zmq
    from ipykernel import iostream

    base: Any = iostream.IOPubThread  # its methods are untyped
    background: Any = iostream.BackgroundSocket

    class Publisher(base):  # type: ignore[misc]
        """Sends what it is given on the calling thread; from processes that the kernel forks, through a pipe.

        `lock` is held by whoever sends.
        """

        io_loop = None

        def __init__(self, socket: Any, session: Any) -> None:
            # not as its base does, which makes an event loop, pipes and a thread
            self.socket, self.session = socket, session
            self.background_socket = background(self)
            self.thread = threading.current_thread()
            self.lock = threading.RLock()
            self.watcher = Watcher(self.lock)
            self._master_pid = os.getpid()
            self._pipe_flag = False
            os.register_at_fork(
                before=self._before_fork, after_in_parent=self.lock.release, after_in_child=self.lock.release
            )

        def start(self) -> None:
            """Nothing has to be started."""

        def stop(self) -> None:
            """Nothing has to be stopped."""

        def close(self) -> None:
            with self.lock:
                super().close()

        def schedule(self, f: Any) -> None:
            f()

        def send_multipart(self, msg: Any, *_: Any, **options: Any) -> None:
            """Send a message, whole: an interrupt of the cell comes before or after it."""
            if not self._is_master_process():
                self._really_send(msg, **options)
                return
            with self.lock:
                if not self.closed:
                    send_whole(self.socket, msg)

        def _before_fork(self) -> None:
            self.lock.acquire()
            if self._is_master_process() and not self._pipe_flag and not self.closed:
                self._listen()

        def _listen(self) -> None:
            """Be there for the children to come."""
            pipe = self.socket.context.socket(zmq.PULL)
            pipe.linger = 0
            self._pipe_uuid = os.urandom(16)
            try:
                self._pipe_port = pipe.bind_to_random_port("tcp://127.0.0.1")
            except zmq.ZMQError:  # then what they print is lost, as it is with ipykernel
                pipe.close()
                return
            self._pipe_flag = True
            threading.Thread(target=self._hear, args=[pipe], name="IOPub of children", daemon=True).start()

        def _hear(self, pipe: Any) -> None:
            try:
                while True:
                    first, *message = pipe.recv_multipart()
                    if first == self._pipe_uuid:
                        self.send_multipart(message)
            except zmq.ZMQError:  # the kernel is at its end
                pipe.close()

    return Publisher


@lru_cache(maxsize=1)
def stream_class() -> type[Any]:
    """Return the class that stands in for ipykernel's standard streams; it is called like theirs, by which some
    libraries know where they are."""
    from ipykernel import iostream

    base: Any = iostream.OutStream  # its methods are untyped

    class OutStream(base):  # type: ignore[misc]
        _taken = 0
        _in_hand = _flush_pending = False

        def flush(self) -> None:
            """Publish what was written, past Python too."""
            publisher = self.pub_thread
            if publisher is None:
                return
            if self._should_watch and self._is_master_process():
                _await_watcher(self)
            if self._buffers or self.echo is not None:
                self._flush()

        def _flush(self) -> None:
            publisher = self.pub_thread
            if publisher is None:
                return
            with publisher.lock:  # so that nobody's later text comes before what is in hand here
                try:
                    super()._flush()
                except Exception:  # noqa: BLE001 - what cannot be sent must not end the cell, nor the thread
                    traceback.print_exc(file=sys.__stderr__)

        def _schedule_flush(self) -> None:
            if not self._flush_pending:
                self._flush_pending = True
                self.pub_thread.watcher.flush_soon(self.flush_interval)

        def _setup_stream_redirects(self, name: str) -> None:
            reading, writing = os.pipe()
            number = self._original_stdstream_fd = getattr(sys, name).fileno()
            self._original_stdstream_copy = os.dup(number)
            os.dup2(writing, number)
            os.close(writing)
            self._fid, self._exc = reading, None
            self.watch_fd_thread = _Watched()

    OutStream.__module__, OutStream.__qualname__ = iostream.OutStream.__module__, iostream.OutStream.__qualname__
    return OutStream


class _Watched:
    """Stands where a stream has its thread: what waits for that one's end waits for ours to let go of the stream."""

    def __init__(self) -> None:
        self._ended = threading.Event()

    def end(self) -> None:
        self._ended.set()

    def join(self, timeout: float | None = None) -> None:
        self._ended.wait(timeout)

    def is_alive(self) -> bool:
        return not self._ended.is_set()


class Watcher:
    """The thread that takes what is written to the descriptors of the streams, and sends what they keep."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self._streams: tuple[Any, ...] = ()
        self._seconds: float | None = None
        self._wakeup = os.pipe()

    def start(self, *streams: Any) -> None:
        """Begin with these streams."""
        self._streams = streams
        self._poll = select.poll()
        self._poll.register(self._wakeup[0], select.POLLIN)
        self._watched = {stream._fid: stream for stream in streams if stream._fid is not None}
        for descriptor in self._watched:
            self._poll.register(descriptor, select.POLLIN)
        self._thread = threading.Thread(target=self._run, name="IOPub", daemon=True)
        self._thread.start()

    def flush_soon(self, seconds: float) -> None:
        """Send what the streams keep after so many seconds; from any thread."""
        if self._seconds is None:
            self._seconds = seconds
            os.write(self._wakeup[1], b"\0")

    def _run(self) -> None:
        due: float | None = None
        while True:
            left = None if due is None else max(0.0, due - time.monotonic()) * 1000 + 1
            for descriptor, _ in self._poll.poll(left):
                stream = self._watched.get(descriptor)
                if stream is None:
                    os.read(descriptor, READ_SIZE)
                    due = time.monotonic() + (self._seconds or 0.0)
                elif not _take(stream):
                    self._poll.unregister(descriptor)
                    stream.watch_fd_thread.end()
            if due is not None and time.monotonic() >= due:
                due = self._seconds = None  # before they are asked: what comes later is for the next time
                for stream in self._streams:
                    if stream._flush_pending:
                        stream._flush()


def _take(stream: Any) -> bool:
    """Take what is written to the descriptor, and tell how much that was, and whether some is in hand; False when there
    is to be no more."""
    stream._in_hand = True  # before it is taken out of the pipe, where others look for it
    try:
        data = os.read(stream._fid, READ_SIZE)
        if not data or not stream._should_watch:
            return False
        stream.write(data.decode(errors="replace"))
        os.write(stream._original_stdstream_copy, data)
        stream._taken += len(data)
    except Exception as error:  # noqa: BLE001 - as ipykernel does: it is told when the stream is closed
        stream._exc = (type(error), error, error.__traceback__)
        stream._fid = None
        return False
    else:
        return True
    finally:
        stream._in_hand = False


def _await_watcher(stream: Any) -> None:
    """Return when what has been written to the descriptor until now is in the buffers."""
    if stream._fid is None or stream.pub_thread.watcher._thread is threading.current_thread():
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


def send_whole(socket: Any, parts: Any) -> None:
    """Send the parts of a message in a loop that no signal handler gets into: after an exception between two of them the
    next message would be taken for the rest of this one. Does nothing where the socket is closed."""
    texts = [part if isinstance(part, bytes) else bytes(part) for part in parts]
    flags = [_MORE | _AT_ONCE] * (len(texts) - 1)
    # neither this loop nor what is called in it is Python's; pyzmq's own function looks for signals
    deque(map(raw_send(), [socket.underlying] * len(texts), texts, map(len, texts), [*flags, _AT_ONCE]), maxlen=0)


@lru_cache(maxsize=1)
def raw_send() -> Any:
    """Return the function of the library of zmq that sends one part. Raises AttributeError where it is not found."""
    from zmq.backend.cython import _zmq

    # with the interpreter's lock held: it does not wait, and to let go of it would cost more than the call
    send: Any = ctypes.PyDLL(_zmq.__file__).zmq_send
    send.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int)
    send.restype = ctypes.c_int
    return send
