"""The taxonomy against real faults: for each of its sixteen kinds one is caused, and told for what it is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from orchestrator_nb import Workflow
from orchestrator_nb.executors.failures import OUT_OF_MEMORY
from orchestrator_nb.recovery.taxonomy import CATEGORY_OF

FAULTS = """\
import os
import socket
import sqlite3
import threading
import time
import urllib.request
from contextlib import closing

from orchestrator_nb import context


def partial_completion():
    context.record("rows", 3)
    raise ValueError("the second half is not there")


def resource_exhaustion():
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    opened = [open(os.devnull) for _ in range(100)]


def dependency_violation():
    import a_module_that_is_nowhere


def state_synchronization_failure():
    barrier = threading.Barrier(2)
    barrier.abort()
    barrier.wait()


def resource_contention():
    with closing(sqlite3.connect("shared.db")) as holder, closing(sqlite3.connect("shared.db", timeout=0)) as other:
        holder.execute("create table if not exists t (x)")
        holder.execute("begin exclusive")
        other.execute("insert into t values (1)")


def coordination_timeout():
    from filelock import FileLock

    with FileLock("the.lock"):
        FileLock("the.lock").acquire(timeout=0.05)


def quality_gate_failure():
    return {"rows": 0}


def compliance_violation():
    return {"licence": "all rights reserved"}


def security_validation_failure():
    print("postgresql://ada:analytical-engine@db/birds")


def performance_degradation():
    time.sleep(0.05)


def context_overflow():
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
    bytearray(2**32)


def network_connectivity():
    socket.getaddrinfo("no-such-host.invalid", 80)


def storage_limitations():
    with open("/dev/full", "wb", buffering=0) as full:
        full.write(b"x")


def external_service_failure(port):
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://127.0.0.1:{port}/")


def nobody_listens():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    socket.create_connection(("127.0.0.1", port), timeout=5)


def led_to_by_another():
    try:
        socket.create_connection(("127.0.0.1", 1), timeout=5)
    except OSError as error:
        raise RuntimeError("no data") from error


def killed():
    os.kill(os.getpid(), 9)
"""

GATES: dict[str, dict[str, object]] = {
    "quality_gate_failure": {"gates": ["rows > 0"]},
    "compliance_violation": {"gates": [{"gate": "licence == 'CC-BY'", "name": "licence of the data"}]},
    "security_validation_failure": {"gates": ["secrets"]},
    "performance_degradation": {"targets": {"seconds": 0.01}, "gates": [{"gate": "targets", "blocking": True}]},
}
"""What real gates hold the results of these commands against."""

APART = ("resource_exhaustion", "context_overflow", "killed")
"""Faults that take their process with them, or change it."""

TRANSIENT = {
    "command_failure": None,
    "partial_completion": None,
    "timeout_expiration": None,
    "resource_exhaustion": True,
    "dependency_violation": False,
    "state_synchronization_failure": None,
    "resource_contention": True,
    "coordination_timeout": True,
    "quality_gate_failure": False,
    "compliance_violation": False,
    "security_validation_failure": False,
    "performance_degradation": False,
    "context_overflow": None,
    "network_connectivity": True,
    "storage_limitations": True,
    "external_service_failure": True,
}
"""Each kind, and whether the fault that is caused here may pass by itself, None where nobody knows."""


class Unavailable(BaseHTTPRequestHandler):
    """A service that is there and cannot answer."""

    def do_GET(self) -> None:
        self.send_error(503)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[int]:
    """The port of a service on this host that answers 503."""
    server = HTTPServer(("127.0.0.1", 0), Unavailable)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="faults of Linux")
def test_every_kind_of_error_is_told_for_what_it_is(project: Path, service: int) -> None:
    """Caused for real in callables, processes and shell commands; each with its category, and whether it may pass."""
    (project / "faults.py").write_text(FAULTS)
    commands: dict[str, dict[str, object]] = {
        "command_failure": {"shell": ["sh", "-c", "exit 3"]},
        "timeout_expiration": {"shell": ["sleep", "60"], "timeout": 0.3},
    }
    for name in (*TRANSIENT, "nobody_listens", "led_to_by_another", "killed"):
        if name not in commands:
            apart = {"isolation": "process"} if name in APART else {}
            commands[name] = {"call": f"faults:{name}", **apart, **GATES.get(name, {})}
    commands["external_service_failure"]["parameters"] = {"port": service}
    document = {
        "workflow": "faults",
        "commands": {n: {**c, "retries": 0, "optional": True} for n, c in commands.items()},
    }
    result = Workflow.load(document).run(check=False)
    found = {name: record.error for name, record in result.commands.items()}
    assert all(found.values())
    told = {name: (error.kind, error.transient) for name, error in found.items() if error is not None}
    assert {name: told[name] for name in TRANSIENT} == {name: (name, passing) for name, passing in TRANSIENT.items()}
    assert set(TRANSIENT) == set(CATEGORY_OF)
    assert all(error.category == CATEGORY_OF[error.kind] and error.evidence for error in found.values() if error)
    assert told["nobody_listens"] == ("external_service_failure", True)
    assert told["led_to_by_another"] == ("external_service_failure", True)
    # What somebody kills is not out of memory, where the system says so, or where it is known to have had little.
    assert told["killed"][0] == ("command_failure" if OUT_OF_MEMORY.account else "context_overflow")


def test_a_rule_of_the_user_has_the_first_word(project: Path) -> None:
    """Whoever knows the domain says what a failure is, how severe, and whether it may pass: then it is tried again."""
    tries = []
    flow = Workflow(
        "w",
        recovery={
            "retry_delay": 0.01,
            "rules": [
                {"type": "LookupError", "message": "QUOTA", "kind": "external_service_failure", "transient": True},
                {"type": "KeyError", "severity": "critical"},
            ],
        },
    )

    @flow.command
    def quota() -> None:
        tries.append(1)
        raise IndexError("the quota is used up")

    @flow.command
    def other() -> None:
        raise KeyError("another one")

    result = flow.run(check=False)
    first, second = result.commands["quota"].error, result.commands["other"].error
    assert first is not None
    assert second is not None
    assert (first.kind, first.transient, first.evidence[-1], len(tries)) == (
        "external_service_failure", True, "rule 1 of the definition", 4,
    )  # fmt: skip
    assert (second.kind, second.severity, result.commands["other"].attempt) == ("command_failure", "critical", 1)
    from orchestrator_nb import attach

    assert "an error of the kind external service failure, major, which may pass by itself" in str(
        attach().why("quota")
    )
