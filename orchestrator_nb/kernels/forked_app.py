"""The application of a Python kernel, built as far as it can be before the fork, and finished after it."""

from __future__ import annotations

import importlib
import os
import sys
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from orchestrator_nb.kernels import forked, forked_shell, forked_sockets, forked_streams

SPLIT = 7
"""The major version of ipykernel whose start is known well enough here to be done in two parts."""

KNOWN = (6, SPLIT)
"""The major versions of ipykernel that are known to bear it that their modules are imported before the fork."""

NO_HISTORY = "--HistoryManager.hist_file=:memory:"
"""The argument without which all kernels of a user write to one file; the prebuilt application writes to none."""

AFTER_START = (
    "IPython.core.completerlib", "IPython.core.historyapp", "IPython.core.logger", "IPython.core.magics", "IPython.core.ultratb",
    "IPython.extensions.storemagic", "IPython.lib.pretty", "concurrent.futures.thread", "decimal", "getpass",
    "importlib.metadata", "multiprocessing", "pygments.formatters.terminal256", "pygments.lexers.python",
    "pygments.styles.default", "psutil", "sqlite3", "stack_data", "tempfile", "timeit", "tornado.locks",
    "tornado.platform.asyncio", "tornado.queues", "zmq.asyncio", "zmq.eventloop.zmqstream",
)  # fmt: skip
"""What every kernel imports sooner or later in its first cells."""


def check_version() -> None:
    """Raise RuntimeError where the ipykernel of this environment is not known here, ImportError where it has none."""
    from ipykernel._version import __version__, version_info

    if version_info[0] not in KNOWN:
        known = " and ".join(map(str, KNOWN))
        raise RuntimeError(f"ipykernel {__version__} is not known to bear a fork, only versions {known} are")


def import_kernel() -> None:
    """Import the kernel's own libraries, without the debugger: it is expensive, and nobody steps through a fork."""
    # as every kernel does, but before matplotlib could be imported, which looks at it then
    if not os.environ.get("MPLBACKEND"):
        os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    absent = "debugpy" not in sys.modules
    if absent:
        sys.modules["debugpy"] = None  # type: ignore[assignment]  # so is an import made to fail
    try:
        import ipykernel.compiler
        import ipykernel.debugger
        import ipykernel.displayhook
        import ipykernel.iostream
        import ipykernel.ipkernel
        import ipykernel.kernelapp
        import ipykernel.zmqshell  # noqa: F401
    finally:
        if absent:
            del sys.modules["debugpy"]


def build() -> Any:
    """Return the application with kernel and shell, without sockets, threads and event loop; None where it is not known
    how."""
    from ipykernel._version import version_info
    from ipykernel.kernelapp import IPKernelApp
    from IPython.core.application import BaseIPythonApplication

    if version_info[0] != SPLIT:
        return None
    app: Any = IPKernelApp.instance()
    app.parent_handle = 1  # who starts a kernel from a program wants no advice on standard output
    initialize: Any = BaseIPythonApplication.initialize
    initialize(app, ["--HistoryManager.enabled=False"])
    app.init_pdb()
    app.init_blackhole()
    app.kernel = app.kernel_class.instance(
        parent=app, session=app.session, log=app.log, profile_dir=app.profile_dir, user_ns=app.user_ns
    )
    app.init_path()
    app.init_shell()
    shell = app.shell
    shell.Completer, shell.display_formatter.formatters  # noqa: B018 - made when they are first asked for
    if "StoreMagics" not in app.config:  # else it may read what was stored by other kernels meanwhile
        for extension in app.default_extensions:
            shell.extension_manager.load_extension(extension)
    app.may_be_lean = forked_streams.are_known() and app.outstream_class == "ipykernel.iostream.OutStream"
    if app.may_be_lean:
        forked_sockets.prepare()
    return app


def settle(app: Any) -> None:
    """Note what there is before the fork, once all is imported that is to be."""
    app.quick_start = forked_shell.QuickStart(app)


def import_soon_needed() -> None:
    """Import what the first cells would; what is missing in this version is not needed by it."""
    for name in AFTER_START:
        with suppress(ImportError):
            importlib.import_module(name)


def config_files(app: Any) -> list[str]:
    """Return the files of configuration that went into it, and those that would have, had they been there."""
    names = {f"{stem}.{ending}" for stem in ("ipython_config", "ipython_kernel_config") for ending in ("py", "json")}
    return [os.path.join(folder, name) for folder in app.config_file_paths for name in sorted(names)]


def run(app: Any, argv: Sequence[str], tell: Callable[[dict[str, Any]], None], *, lean: bool = False) -> Any:
    """Run a kernel with these arguments until it is shut down; return its application.

    `tell` is called once its sockets are there, with whether it will tell more; if so, then with what it has to say of
    its language, once it runs what it is asked to. A `lean` one has what running cell after cell for one client takes.
    """
    from ipykernel.kernelapp import IPKernelApp

    _children_are_few()
    connection_file = _plain_arguments(argv)
    if app is None or connection_file is None:
        _forget(app)
        tell({"bound": True, "more": False})
        app = IPKernelApp.instance()
        app.initialize([*argv, "--IPKernelApp.parent_handle=1"])
    else:
        _finish(app, argv, connection_file, tell, lean=lean)
    app.start()
    # the thread that publishes is stopped at exit: the one that still answers the request to shut down must be done
    control = getattr(app, "control_thread", None)
    if control is not None and control.is_alive():
        control.stop()
        control.join(2.0)
    return app


def _plain_arguments(argv: Sequence[str]) -> str | None:
    """Return the connection file where there is nothing among the arguments that the prebuilt application lacks."""
    if len(argv) > 2 and argv[0] == "-f" and set(argv[2:]) == {NO_HISTORY}:
        return argv[1]
    return None


def _forget(app: Any) -> None:
    """Undo the building: what is unusual is built from nothing."""
    if app is not None:
        for made in (app.shell, app.kernel, app):
            type(made).clear_instance()


def _finish(
    app: Any, argv: Sequence[str], connection_file: str, tell: Callable[[dict[str, Any]], None], *, lean: bool
) -> None:
    """Give the application an identity, sockets and threads, in the order in which ipykernel does it."""
    app.argv = list(argv)
    app.connection_file = connection_file
    _renew(app.session)
    shell = app.shell
    shell.init_environment()
    shell.starting_dir = os.getcwd()
    shell.home_dir = os.path.expanduser("~")
    shell.history_manager.dir_hist[:] = [shell.starting_dir]
    if "JPY_SESSION_NAME" in os.environ:
        shell.user_ns["__session__"] = os.environ["JPY_SESSION_NAME"]
    connection = forked_sockets.read_connection(connection_file) if lean and app.may_be_lean else None
    if connection is None:
        _open_all(app, tell)
    else:
        _open_lean(app, connection, tell)
    shell.save_sys_module_state()
    app.init_gui_pylab()
    app.init_extensions()
    app.quick_start.init_code(app)
    sys.stdout.flush()
    sys.stderr.flush()
    if connection is not None:
        forked_sockets.await_client(app)
        tell({"ready": app.kernel.language_info})


def _renew(session: Any) -> None:
    """Make the session that was prepared one of this process."""
    from jupyter_client.session import new_id, new_id_bytes

    session.session, session.key, session.pid = new_id(), new_id_bytes(), os.getpid()
    session.digest_history, session.message_count = set(), 0


def _open_all(app: Any, tell: Callable[[dict[str, Any]], None]) -> None:
    app.init_connection_file()
    app.init_sockets()
    app.init_heartbeat()
    tell({"bound": True, "more": False})
    app.write_connection_file()
    app.log_connection_info()
    app.init_io()
    app.init_signal()
    _adopt(app.kernel, app.init_kernel)


def _open_lean(app: Any, connection: dict[str, Any], tell: Callable[[dict[str, Any]], None]) -> None:
    from ipykernel import iostream
    from ipykernel.kernelbase import Kernel

    app.session.key = connection["key"].encode()
    forked_sockets.open_sockets(app, connection)
    tell({"bound": True, "more": True})
    iostream.OutStream = forked_streams.stream_class()  # type: ignore[misc]
    app.init_io()
    app.iopub_thread.watcher.start(sys.stdout, sys.stderr)
    app.init_signal()
    kernel: Any = app.kernel
    has: Any = Kernel
    has._supports_kernel_subshells = False
    _give(kernel, forked_sockets.open_streams(app))
    kernel._execute_sleep = 0.0  # it is for what may be late on its way to the thread that publishes
    # as IPython's does, which would complain that there is no debugger
    kernel.start = partial(has.start, kernel)
    kernel.shell.exit_now = False
    app.displayhook.get_execution_count = lambda: kernel.execution_count


def _adopt(kernel: Any, init_kernel: Callable[[], None]) -> None:
    """Have that function, which makes a kernel, take this one instead, and give it what it could not have before."""

    def adopted(**traits: Any) -> Any:
        for name in ("parent", "log", "profile_dir", "user_ns"):  # it was built with them
            del traits[name]
        _give(kernel, traits)
        return kernel

    made: Any = type(kernel)
    made.instance = adopted
    try:
        init_kernel()
    finally:
        del made.instance  # what it hides is its base class's


def _give(kernel: Any, traits: dict[str, Any]) -> None:
    for name, value in traits.items():
        setattr(kernel, name, value)
    kernel.ident = str(uuid.uuid4())
    kernel._stdout, kernel._stderr = sys.stdout, sys.stderr
    shell = kernel.shell
    for publisher in (shell.displayhook, shell.display_pub):
        publisher.session, publisher.pub_socket = kernel.session, kernel.iopub_socket
    shell.displayhook.topic = kernel._topic("execute_result")


def _children_are_few() -> None:
    """Spare a kernel without children the look through all processes of the machine when it shuts down, and one with
    trackers the wait for them: they hear no signal, and end with the kernel."""
    from ipykernel.kernelbase import Kernel

    look = getattr(Kernel, "_process_children", None)
    if look is None:
        return

    def look_if_any(self: Any) -> Any:
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return []
        trackers = {tracker._pid for tracker in forked.trackers()}
        return [child for child in look(self) if child.pid not in trackers]

    Kernel._process_children = look_if_any  # type: ignore[method-assign]
