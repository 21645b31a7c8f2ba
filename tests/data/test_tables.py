"""Tables: what comes back from Parquet equals what went in, or the column is named that would not."""

from __future__ import annotations

import datetime as dt
import decimal
import math

import numpy as np
import pytest

from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.data.stored import load, store
from orchestrator_nb.errors import ResultRefused

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")


@pytest.fixture
def through(tmp_path):
    artifacts = Artifacts(tmp_path)

    def go(value):
        stored = store(value, artifacts=artifacts, live=None, at="result")
        assert stored.form == "parquet"
        return load(stored, artifacts=artifacts, live=None)

    return go


def two(values, **options):
    return pd.DataFrame({"first": [1, 2], "x": pd.Series(values, **options)})


FRAMES = {
    "numbers": pd.DataFrame({"a": [1, 2], "b": [0.5, math.nan], "c": np.array([1, 2], dtype="uint8")}),
    "text": two(["a", None]),
    "text as objects with NaN": two(["a", math.nan], dtype=object),
    "text as objects with None": two(["a", None], dtype=object),
    "text of the old kind": two(["a", None], dtype="string[python]"),
    "integers with nulls": two([1, None], dtype="Int64"),
    "timestamps": two(pd.to_datetime(["2026-01-01", None])),
    "timestamps with a zone": two(pd.to_datetime(["2026-01-01", "2026-07-01"]).tz_localize("Europe/Berlin")),
    "durations": two(pd.to_timedelta([1, 2], unit="s")),
    "periods": two(pd.period_range("2026-01", periods=2, freq="M")),
    "intervals": two(pd.interval_range(0, 2)),
    "dates": two([dt.date(2026, 1, 1), None], dtype=object),
    "decimals": two([decimal.Decimal("1.10"), decimal.Decimal("2.50")]),
    "lists": two([[1], [2, 3]]),
    "bytes": two([b"a", b"b"]),
    "ordered categories": two(pd.Categorical(["a", "b"], categories=["z", "b", "a"], ordered=True)),
    "categories that are numbers": two(pd.Categorical([1, 2])),
    "numbered columns": pd.DataFrame(np.zeros((2, 3))),
    "columns of two levels": pd.DataFrame(np.zeros((1, 2)), columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])),
    "an index by name": pd.DataFrame({"a": [1, 2]}, index=pd.Index(["x", "y"], name="key")),
    "an index of two levels": pd.DataFrame(
        {"a": [1, 2]}, index=pd.MultiIndex.from_tuples([("x", 1), ("y", 2)], names=["p", "q"])
    ),
    "a range with steps": pd.DataFrame({"a": [1, 2]}, index=pd.RangeIndex(5, 9, 2)),
    "days in a row": pd.DataFrame({"a": [1, 2, 3]}, index=pd.date_range("2026-01-01", periods=3)),
    "nothing": pd.DataFrame(),
    "no rows": pd.DataFrame({"a": pd.Series([], dtype="int64"), "b": pd.Series([], dtype=object)}),
    "no columns": pd.DataFrame(index=[1, 2, 3]),
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_comes_back_equal(through, name):
    """Types, index, names and values are those that went in."""
    found = through(FRAMES[name])
    pd.testing.assert_frame_equal(found, FRAMES[name], check_exact=True)
    assert str(found.dtypes.to_dict()) == str(FRAMES[name].dtypes.to_dict())


def test_cells_keep_their_python_types(through):
    """Lists come back as lists, and a missing text as what it was."""
    assert through(FRAMES["lists"])["x"].tolist() == [[1], [2, 3]]
    assert through(FRAMES["text as objects with None"])["x"][1] is None
    assert math.isnan(through(FRAMES["text as objects with NaN"])["x"][1])


REFUSED = {
    "numbers and text": (two([1, "a"], dtype=object), '"x"'),
    "numbers of two kinds": (two([1, 2.5], dtype=object), '"x"'),
    "None and NaN": (pd.DataFrame({"x": pd.Series(["a", None, math.nan], dtype=object)}), '"x" holds both'),
    "tuples": (two([(1,), (2,)]), '"x" holds at row 0'),
    "sets": (two([{1}, {2}]), '"x"'),
    "dicts with different keys": (two([{"a": 1}, {"b": 2}]), '"x" holds at row 0'),
    "objects": (two([object(), object()]), '"x"'),
    "complex numbers": (two([1j, 2j]), '"x"'),
    "sparse": (two(pd.arrays.SparseArray([0, 1])), '"x"'),
    "names of two types": (pd.DataFrame(np.zeros((2, 2)), columns=["a", 1]), "column 1 (int)"),
    "a name twice": (pd.DataFrame([[1, 2]], columns=["a", "a"]), '"a" is there more than once'),
    "an index named by a number": (pd.DataFrame({"a": [1]}, index=pd.Index([7], name=3)), "index is named 3"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_frame_that_parquet_would_change_is_refused_naming_the_column(through, name):
    """What would come back otherwise is refused at the producer, with the column's name."""
    frame, said = REFUSED[name]
    with pytest.raises(ResultRefused) as caught:
        through(frame)
    assert said in str(caught.value)
    assert str(caught.value).startswith("result: ")


def test_attributes_that_json_changes_are_refused(through):
    """A frame's attrs travel as JSON, and only if that gives them back."""
    frame = pd.DataFrame({"a": [1]})
    frame.attrs = {"unit": "m"}
    assert through(frame).attrs == {"unit": "m"}
    frame.attrs = {"unit": ("m", "s")}
    with pytest.raises(ResultRefused, match="attrs"):
        through(frame)


def test_a_reader_may_change_its_frame(tmp_path):
    """A frame that was read is the reader's own: changing it changes no one else's."""
    artifacts = Artifacts(tmp_path)
    stored = store(pd.DataFrame({"a": [1.0, 2.0]}), artifacts=artifacts, live=None, at="result")
    mine = load(stored, artifacts=artifacts, live=None)
    mine.loc[0, "a"] = 9.0
    mine["b"] = 1
    assert load(stored, artifacts=artifacts, live=None)["a"].tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("value", "instead"),
    [
        (pd.Series([1]), "to_frame"),
        (pd.Index([1]), "to_frame"),
        (pd.Timestamp("2026-01-01"), "use text"),
        (pd.NaT, "None"),
        ({"a": pd.NA}, "None"),
        (type("Frame", (pd.DataFrame,), {})({"a": [1]}), "no stored form"),
    ],
)
def test_relatives_of_a_frame_say_what_to_use(through, value, instead):
    """What is nearly a table is refused with the way to make it one."""
    with pytest.raises(ResultRefused, match=instead):
        through(value)


def test_arrow_tables_come_back_equal(through):
    """A table of pyarrow keeps its types, nulls, NaN and metadata."""
    table = pa.table(
        {"a": pa.array([1, None], pa.int16()), "b": [math.nan, 1.0], "c": [[1.5], [math.nan]], "d": ["x", None]}
    ).replace_schema_metadata({"unit": "m"})
    found = through(table)
    assert type(found) is pa.Table
    assert found.schema.equals(table.schema)
    assert found.schema.metadata == {b"unit": b"m"}
    assert repr(found.to_pydict()) == repr(table.to_pydict())


def test_an_arrow_table_that_parquet_would_change_is_refused(through):
    """A type that Parquet has no place for is refused by name."""
    with pytest.raises(ResultRefused, match="result: "):
        through(pa.table({"u": pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])}))


def test_polars_frames_come_back_equal(through):
    """A frame of polars comes back as one."""
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"a": [1, None], "b": ["x", "y"], "c": [1.5, math.nan], "d": [[1], []]})
    found = through(frame)
    assert type(found) is pl.DataFrame
    assert found.equals(frame)
    assert found.schema == frame.schema
