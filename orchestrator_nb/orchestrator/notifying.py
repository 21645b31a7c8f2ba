"""Telling people who do not look on: a function, or any service that apprise knows, each on a thread of its own.

Whatever becomes of a notification, the run neither fails nor waits: it is handed over, and what goes wrong is logged.
"""

from __future__ import annotations

import atexit
import logging
import queue
import re
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from weakref import WeakSet

from orchestrator_nb import events as e
from orchestrator_nb.data.redaction import REDACTOR
from orchestrator_nb.data.secret_values import secret
from orchestrator_nb.definition.models import WorkflowDefinition
from orchestrator_nb.errors import UsageError
from orchestrator_nb.orchestrator.notification import Notification, notifications
from orchestrator_nb.state.run_state import RunState

EXTRA = 'pip install "orchestrator-nb[notify]"'
WAITING = 1000
"""Notifications that may wait for one that is under way; what comes beyond is dropped, and that is logged."""

PATIENCE = 10.0
"""Seconds for which a process that is about to leave waits for what it has not delivered."""

_SECRET = re.compile(r"\$\{\{\s*secrets\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
log = logging.getLogger("orchestrator_nb.notify")

Send = Callable[[Notification], object]


class Notify:
    """An observer that tells somebody: ``flow.start(observers=[Notify(send)])``.

    `send` is called with each `Notification`, on a thread of its own; or it is the address of a service for apprise
    (``mailto://…``, ``slack://…``, ``json://localhost:8080/``), in which ``${{ secrets.NAME }}`` is that secret.
    """

    def __init__(self, send: Send | str) -> None:
        """Raises UsageError for an address that apprise cannot read, and where it is not installed."""
        self._send, self._name = (
            (_service(send), send.partition(":")[0]) if isinstance(send, str) else (send, str(send))
        )
        self._waiting: queue.Queue[Notification] = queue.Queue(WAITING)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def __call__(self, events: Sequence[e.Event], state: RunState) -> None:
        """Hand over what a turn has to tell."""
        for notification in notifications(events, state):
            try:
                self._waiting.put_nowait(notification)
            except queue.Full:
                log.warning("%s: too many notifications wait; dropped: %s", self._name, notification.title)
                continue
            self._begin()

    def delivered(self, timeout: float) -> bool:
        """Wait so many seconds at the most until all was delivered or has failed; tell whether it was."""
        end = time.monotonic() + timeout
        with self._waiting.all_tasks_done:
            while self._waiting.unfinished_tasks:
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self._waiting.all_tasks_done.wait(left)
        return True

    def _begin(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="orchestrator-nb notify", daemon=True)
                self._thread.start()
        if not _AT_WORK:
            atexit.register(_leave)
        _AT_WORK.add(self)

    def _work(self) -> None:
        """Deliver what waits, and end: a process may see very many runs."""
        while True:
            try:
                notification = self._waiting.get_nowait()
            except queue.Empty:
                with self._lock:
                    if self._waiting.empty():
                        self._thread = None
                        return
                continue
            try:
                self._send(notification)
            except BaseException as error:  # noqa: BLE001 - it is somebody else's code, and the next one may go well
                trouble = REDACTOR.text(f"{type(error).__name__}: {error}")
                log.warning("%s: not delivered: %s (%s)", self._name, notification.title, trouble)
            finally:
                self._waiting.task_done()

    def __repr__(self) -> str:
        return f"Notify({self._name})"


_AT_WORK: WeakSet[Notify] = WeakSet()


def _leave() -> None:
    """Give what is under way some time before the process is gone."""
    end = time.monotonic() + PATIENCE
    for notify in list(_AT_WORK):
        if not notify.delivered(max(0.0, end - time.monotonic())):
            log.warning("%r: left before everything was delivered", notify)


def notifiers(definition: WorkflowDefinition) -> tuple[Notify, ...]:
    """Return what tells the services that a definition names. Raises UsageError."""
    return tuple(Notify(address) for address in definition.notify)


def _service(address: str) -> Send:
    if find_spec("apprise") is None:
        raise UsageError(f'to notify "{address.partition(":")[0]}", apprise has to be installed: {EXTRA}')
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what its services are made with, which is no matter of ours
        import apprise

        service = apprise.Apprise()
        known = service.add(_SECRET.sub(lambda found: secret(found.group(1)), address))
    if not known:
        scheme = address.partition(":")[0]
        raise UsageError(f'apprise cannot read the address that begins with "{scheme}:"; expected one of its URLs')

    def send(notification: Notification) -> None:
        kind = apprise.NotifyType.WARNING if notification.bad else apprise.NotifyType.SUCCESS
        if not service.notify(title=notification.title, body=notification.text or notification.title, notify_type=kind):
            raise ConnectionError("the service did not take it")

    return send
