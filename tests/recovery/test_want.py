"""What is looked at before a retry, and how long one is put off for what is missing."""

from __future__ import annotations

import pytest

from orchestrator_nb import events as e
from orchestrator_nb.recovery.retry import Retry
from orchestrator_nb.recovery.taxonomy import classify
from orchestrator_nb.recovery.want import ALWAYS, ENOUGH_DISK, LEAST_DISK, MOST_PUT_OFFS, checks_before_retry, missing
from orchestrator_nb.state.run_state import RunState, fold

REFUSED = ("ConnectionRefusedError", "ConnectionError", "OSError")
FULL = e.Failure(
    kind="exception", message="[Errno 28] No space left on device", types=("OSError",), evidence={"errno": 28}
)
STARVED = e.Failure(kind="exception", message="", types=("MemoryError",))
PROBED = e.ResourcesProbed(at=110.0, command="a", attempt=1)


@pytest.mark.parametrize(
    ("message", "types", "hosts"),
    [
        ("http://127.0.0.1:8001/x refused", REFUSED, ["host 127.0.0.1:8001"]),
        ("https://user:secret@api.example.org/x", REFUSED, ["host api.example.org:443"]),
        ("http://[::1]:8001/", REFUSED, ["host [::1]:8001"]),
        ("HTTPConnectionPool(host='h', port=5000): Max retries exceeded", ("urllib3.exceptions.HTTPError",),
         ["host h:5000"]),
        ("<urllib3.connection.HTTPSConnection(host='h', port=443) at 0x1>: Failed", ("ConnectionError",), ["host h:443"]),
        ("[Errno 111] Connect call failed ('127.0.0.1', 6379)", REFUSED, ["host 127.0.0.1:6379"]),
        ('connection to server at "db" (10.0.0.1), port 5432 failed', ("ConnectionError",), ["host db:5432"]),
        ("[Errno 111] Connection refused", REFUSED, []),
        ("see https://docs.example.org for what to do", ("ValueError",), []),
    ],
)  # fmt: skip
def test_only_hosts_that_the_error_itself_names_are_asked(
    message: str, types: tuple[str, ...], hosts: list[str]
) -> None:
    """Disk, memory and files are looked at before each retry; a host where the network failed and it is named."""
    failure = e.Failure(kind="exception", message=message, types=types)
    assert checks_before_retry(failure, classify(failure)) == (*ALWAYS, *hosts)


def test_a_host_that_has_answered_is_not_asked() -> None:
    """A status is an answer: that the host can be reached is known."""
    failure = e.Failure(kind="exception", message="503 for http://h:1/", types=("x.E",), evidence={"status": 503})
    assert classify(failure).kind == "external_service_failure"
    assert checks_before_retry(failure, classify(failure)) == ALWAYS


def _probed(**found: object) -> e.ResourcesProbed:
    return e.ResourcesProbed(at=110.0, command="a", attempt=1, **found)  # type: ignore[arg-type]


def test_what_failed_for_want_of_something_wants_more_of_it() -> None:
    """With little left hardly anything goes well; what failed by that is held against more."""
    between = _probed(disk={"/data": (LEAST_DISK + ENOUGH_DISK) // 2})
    assert missing(between, classify(STARVED)) == []
    assert '"/data" has 40 MiB free, and 64 MiB are wanted' in missing(between, classify(FULL))
    assert missing(_probed(disk={"/data": 0}), classify(STARVED))
    assert missing(_probed(files=3), classify(STARVED))
    assert missing(_probed(memory=2**20), None)


def test_a_small_file_system_has_enough_with_a_part_of_it() -> None:
    """Nobody waits for more than there could ever be."""
    assert missing(_probed(disk={"/data": 2**20}, disk_sizes={"/data": 8 * 2**20}), classify(FULL)) == []
    assert missing(_probed(disk={"/data": 2**17}, disk_sizes={"/data": 8 * 2**20}), classify(FULL))


def test_memory_that_a_command_says_it_needs_has_to_be_there() -> None:
    """Where it failed for want of memory; else that is a matter of the slots."""
    probed = _probed(memory=3 * 2**30)
    assert missing(probed, classify(STARVED), memory=4 * 2**30)
    assert missing(probed, classify(STARVED), memory=2 * 2**30) == []
    assert missing(probed, classify(FULL), memory=4 * 2**30) == []


def _waiting(put_off: int = 0, *, deadline: float | None = None, **planned: object) -> RunState:
    return fold(
        [
            e.RunStarted(at=0.0, run="r", workflow="w", settings={"deadline": deadline}),
            e.RunPlanned(at=1.0, commands={"a": dict(planned)}),
            e.AttemptStarted(at=1.0, command="a", attempt=1),
            e.AttemptFailed(at=100.0, command="a", attempt=1, seconds=1.0, failure=FULL),
            e.RetryScheduled(
                at=100.0, command="a", due=110.0, retry=1, retries=3, checks=ALWAYS, put_off=put_off
            ),
            e.ProbeDue(at=110.0, command="a"),
            PROBED,
        ]
    )  # fmt: skip


def _answer(state: RunState) -> e.Event:
    (answer,) = Retry()(_probed(disk={"/data": 0}), state)
    return answer


def test_a_retry_goes_when_nothing_is_missing() -> None:
    """Its time has come, in the turn in which that is known."""
    assert list(Retry()(PROBED, _waiting())) == [e.RetryDue(at=110.0, command="a")]


def test_a_retry_is_put_off_ever_longer_and_then_made_all_the_same() -> None:
    """It uses up no try, says what is missing, and comes to an end: only the retry itself knows for sure."""
    waits = []
    for put_off in range(MOST_PUT_OFFS):
        answer = _answer(_waiting(put_off))
        assert isinstance(answer, e.RetryScheduled)
        assert (answer.retry, answer.put_off, answer.checks) == (1, put_off + 1, ALWAYS)
        assert '"/data" has 0 MiB free' in answer.reason
        waits.append(answer.due - answer.at)
    assert waits[0] <= 1.0 < waits[3] < waits[-1] <= 60.0
    assert isinstance(_answer(_waiting(MOST_PUT_OFFS)), e.RetryDue)


def test_a_retry_is_not_put_off_beyond_the_deadline() -> None:
    """Nor beyond the time in which recovery goes on alone: it is made while there is time."""
    assert isinstance(_answer(_waiting(5, deadline=120.0)), e.RetryDue)
    assert isinstance(_answer(_waiting(5, deadline=600.0)), e.RetryScheduled)
    assert isinstance(_answer(_waiting(5, escalation={"automatic": 20.0})), e.RetryDue)


def test_who_has_decided_meanwhile_is_not_overruled() -> None:
    """A question that was asked while the look was under way stands."""
    state = _waiting()
    state.apply(e.DecisionRequested(at=110.0, number=1, question="?", options=("fail",), command="a"))
    assert list(Retry()(PROBED, state)) == []
