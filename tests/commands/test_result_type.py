"""What annotations tell about results: only what is sure to have no stored form is named."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Optional, Protocol, TypedDict, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import LinearRegression

from orchestrator_nb.commands.result_type import unstorable
from orchestrator_nb.commands.signature import Signature
from orchestrator_nb.data.command_result import CommandResult

Some = TypeVar("Some")


@dataclass
class Plain:
    a: int


class Pair(NamedTuple):
    a: int


class Fields(TypedDict):
    a: int


class Closing(Protocol):
    def close(self) -> None: ...


class Colour(enum.Enum):
    RED = 1


@pytest.mark.parametrize(
    "annotation",
    [
        None, type(None), Any, object, int, str, dict, list, bytes, dict[str, int], list[Any], Mapping, Mapping[str, Any],
        Sequence[int], Iterator[int], Path, pd.DataFrame, pd.Series, pa.Table, np.ndarray, np.float64, Optional[Plain],  # noqa: UP045 - users write it
        Plain | None, int | str, Pair, Fields, Closing, Colour, dt.date, Some, "Unknown", CommandResult, tuple[int, ...],
    ],
)  # fmt: skip
def test_what_may_be_stored_is_not_named(annotation):
    """Values with a stored form, those that are refused otherwise, and annotations that leave it open."""
    assert unstorable(annotation) is None


@pytest.mark.parametrize("annotation", [LinearRegression, Plain, Annotated[LinearRegression, "fitted"], dt.tzinfo])
def test_what_has_no_stored_form_is_named(annotation):
    """A class of its own, such as a fitted model's."""
    name = unstorable(annotation)
    assert name is not None
    assert name.rpartition(".")[2] in ("LinearRegression", "Plain", "tzinfo")


def test_annotations_written_as_text_are_evaluated():
    """With `from __future__ import annotations` they are; one that names nothing here stays text."""

    def fit() -> LinearRegression: ...

    def other() -> Missing: ...  # noqa: F821

    assert unstorable(Signature(fit).returns) == "sklearn.linear_model._base.LinearRegression"
    assert unstorable(Signature(other).returns) is None
    assert Signature(print).returns is None
