"""Events: plain JSON and back, for every kind."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import fields

from orchestrator_nb import events as e
from orchestrator_nb.events.json_form import decode, encode, from_plain, to_plain

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
STORED = st.recursive(
    st.builds(
        e.Stored,
        form=st.sampled_from(["json", "parquet", "file", "live"]),
        value=JSON,
        artifact=st.none() | st.text("0123456789abcdef", min_size=64, max_size=64),
        size=st.none() | st.integers(0, 2**40),
        name=st.none() | st.text(),
    ),
    lambda inner: st.builds(
        e.Stored, form=st.just("mapping"), items=st.dictionaries(st.text(), inner, min_size=1, max_size=3)
    ),
    max_leaves=4,
)
FAILURE = st.builds(
    e.Failure,
    kind=st.text(min_size=1),
    message=st.text(),
    types=st.lists(st.text()).map(tuple),
    cell=st.none() | st.integers(0, 99),
    transient=st.none() | st.booleans(),
    advice=JSON,
)
BY_TYPE = {
    "str": st.text(),
    "int": st.integers(0, 2**40),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "float | None": st.none() | st.floats(allow_nan=False, allow_infinity=False),
    "bool": st.booleans(),
    "bool | None": st.none() | st.booleans(),
    "str | None": st.none() | st.text(),
    "int | None": st.none() | st.integers(),
    "tuple[str, ...]": st.lists(st.text(), max_size=3).map(tuple),
    "Mapping[str, Any]": st.dictionaries(st.text(), JSON, max_size=3),
    "Mapping[str, Any] | None": st.none() | st.dictionaries(st.text(), JSON, max_size=3),
    "Mapping[str, Mapping[str, Any]]": st.dictionaries(st.text(), st.dictionaries(st.text(), JSON), max_size=3),
    "Mapping[str, tuple[str, ...]]": st.dictionaries(st.text(), st.lists(st.text(), max_size=3).map(tuple), max_size=3),
    "Mapping[str, int]": st.dictionaries(st.text(), st.integers(1, 99), max_size=3),
    "Mapping[str, str]": st.dictionaries(st.text(), st.text(), max_size=3),
    "Mapping[str, str | None] | None": st.none() | st.dictionaries(st.text(), st.none() | st.text(), max_size=3),
    "Mapping[str, float]": st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False), max_size=3),
    "Mapping[str, Stored]": st.dictionaries(st.text(), STORED, max_size=3),
    "Any": JSON,
    "Stored": STORED,
    "Stored | None": st.none() | STORED,
    "Failure": FAILURE,
    "Failure | None": st.none() | FAILURE,
    "Used | None": st.none()
    | st.builds(e.Used, cpu=st.none() | st.floats(0, 1e9), memory=st.none() | st.integers(0, 2**50)),
}


def events() -> st.SearchStrategy[e.Event]:
    """Every kind of event, with whatever its fields may hold."""
    kinds = [
        st.builds(
            kind, **{name: BY_TYPE[hint] for name, hint in {**e.Event.__annotations__, **kind.__annotations__}.items()}
        )
        for kind in e.KINDS.values()
    ]
    return st.one_of(kinds)


@given(events())
def test_an_event_comes_back_from_json_as_it_was(event: e.Event) -> None:
    """What the journal holds of an event is all of it."""
    assert from_plain(json.loads(json.dumps(to_plain(event)))) == event


@pytest.mark.parametrize("kind", e.KINDS.values(), ids=lambda kind: kind.__name__)
def test_every_kind_is_described_and_frozen(kind: type[e.Event]) -> None:
    """A kind has a sentence about itself, is frozen, and is known by its own name."""
    assert kind.__doc__
    assert not kind.__doc__.startswith(kind.__name__)
    assert kind.__struct_config__.frozen
    assert e.KINDS[kind.__name__] is kind


def test_defaults_are_left_out() -> None:
    """A field at its default takes no place in the journal."""
    event = e.AttemptReturned(at=1.0, command="a", attempt=1, seconds=0.5)
    assert to_plain(event) == {"kind": "AttemptReturned", "at": 1.0, "command": "a", "attempt": 1, "seconds": 0.5}


def test_text_that_is_no_unicode_is_escaped_and_kept() -> None:
    """A file name or an error message with half a surrogate pair does not stop the journal."""
    assert decode(encode(e.NoticeGiven(at=1.0, text="a\ud800b"))) == e.NoticeGiven(at=1.0, text="a\\ud800b")


def test_a_field_of_a_later_version_is_ignored() -> None:
    """A journal of a version that knows more can be read as far as its kinds are known."""
    plain = {"kind": "RetryDue", "at": 1.0, "command": "a", "mood": "hopeful"}
    assert from_plain(plain) == e.RetryDue(at=1.0, command="a")


def test_new_fields_have_defaults() -> None:
    """The fields that every journal so far holds are these; any other needs a default, or old journals break."""
    needed = {name: {item.name for item in fields(kind) if item.required} for name, kind in e.KINDS.items()}
    assert needed == {
        "RunStarted": {"at", "run", "workflow"},
        "RunPlanned": {"at", "commands"},
        "RunResumed": {"at"},
        "RunPaused": {"at", "reason"},
        "RunStopping": {"at", "reason"},
        "RunCompleting": {"at"},
        "RunEnded": {"at", "state"},
        "DefinitionChanged": {"at", "changes"},
        "JournalCut": {"at", "bytes", "file"},
        "NoticeGiven": {"at", "text"},
        "AttemptStarted": {"at", "command", "attempt"},
        "KernelStarted": {"at", "command", "attempt", "way", "seconds"},
        "ModulesImported": {"at", "command", "attempt", "modules"},
        "CellStarted": {"at", "command", "attempt", "cell", "number", "of"},
        "CellFinished": {"at", "command", "attempt", "cell", "status", "seconds"},
        "OutputRecorded": {"at", "command", "attempt", "name", "value"},
        "MetricRecorded": {"at", "command", "attempt", "name", "value"},
        "ArtifactRecorded": {"at", "command", "attempt", "name", "value"},
        "AttemptReturned": {"at", "command", "attempt", "seconds"},
        "GateChecked": {"at", "gate", "verdict"},
        "AttemptFailed": {"at", "command", "attempt", "seconds", "failure"},
        "AttemptAbandoned": {"at", "command", "attempt", "seconds", "failure"},
        "AttemptInterrupted": {"at", "command", "attempt", "reason"},
        "RetryScheduled": {"at", "command", "due", "retry", "retries"},
        "RetryDue": {"at", "command"},
        "CommandSucceeded": {"at", "command", "attempt"},
        "CommandFailed": {"at", "command"},
        "CommandCrashed": {"at", "command"},
        "CommandSkipped": {"at", "command", "reason"},
        "UpstreamFailed": {"at", "command", "upstream"},
        "CommandCancelled": {"at", "command", "reason"},
        "DeviationRecorded": {"at", "command", "text"},
        "CommandReopened": {"at", "command", "reason"},
        "RunDeleted": {"at", "run"},
        "RunRated": {"at", "run"},
        "StoreAudited": {"at", "runs", "findings", "seconds"},
        "StepsDue": {"at", "moment"},
        "CheckpointTaken": {"at", "boundary", "id", "commit"},
        "CheckpointSkipped": {"at", "boundary", "reason"},
        "RollbackAsked": {"at", "rollback"},
        "RolledBack": {"at", "rollback", "what"},
        "CommandRestored": {"at", "command", "generation", "attempt", "state"},
        "RollbackFailed": {"at", "rollback", "reason"},
        "StatePreserved": {"at", "command", "attempt", "value"},
        "SharedMerged": {"at", "command", "attempt"},
        "ReuseDeclined": {"at", "command", "attempt", "reason"},
        "CommandReused": {"at", "command", "origin"},
        "CommandAccepted": {"at", "command", "key"},
        "ErrorClassified": {"at", "command", "attempt", "category", "error", "severity"},
        "CommandAdapted": {"at", "command"},
        "ProbeDue": {"at", "command"},
        "MemoryProbed": {"at", "available", "total"},
        "WorkersChanged": {"at"},
        "DeadlineNear": {"at", "deadline"},
        "ResourcesProbed": {"at", "command", "attempt"},
        "DecisionRequested": {"at", "number", "question", "options"},
        "DecisionDue": {"at", "number"},
        "DecisionMade": {"at", "number", "answer"},
        "AttemptTakenOver": {"at", "command", "attempt", "decision"},
    }
