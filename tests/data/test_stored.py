"""Stored forms: the same value back, for every reader its own, or a refusal that names the place."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
import math
import sys
import uuid
from collections import Counter, OrderedDict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.data.live import LiveResultMissing, LiveResults
from orchestrator_nb.data.stored import INLINE, load, store
from orchestrator_nb.errors import ResultRefused, StoreError
from orchestrator_nb.events import Stored
from orchestrator_nb.events.json_form import stored_from_plain, stored_to_plain


class Place:
    """Where values are kept in a test, and back through the text of a journal."""

    def __init__(self, folder: Path) -> None:
        self.artifacts = Artifacts(folder)
        self.live = LiveResults()

    def store(self, value, **options):
        return store(value, artifacts=self.artifacts, live=options.get("live", self.live), at="result")

    def load(self, stored, **options):
        return load(stored, artifacts=self.artifacts, live=options.get("live", self.live))

    def through(self, value):
        text = json.dumps(stored_to_plain(self.store(value)), allow_nan=False)
        return self.load(stored_from_plain(json.loads(text)))


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path / "artifacts")


plain_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(value=plain_json)
def test_plain_json_comes_back_as_it_was(tmp_path_factory, value):
    """Whatever is plain JSON is equal, down to its types, after it went through a journal."""
    place = Place(tmp_path_factory.mktemp("artifacts"))
    assert repr(place.through(value)) == repr(value)


def test_a_list_that_is_changed_later_changes_nothing_downstream(place):
    """Producer and consumers each have a copy of their own."""
    produced = {"rows": [1, 2, {"deep": [3]}]}
    stored = place.store(produced)
    produced["rows"].append("late")
    produced["rows"][2]["deep"].clear()
    first = place.load(stored)
    first["rows"][2]["deep"].append("mine")
    assert place.load(stored) == {"rows": [1, 2, {"deep": [3]}]}


@pytest.mark.parametrize(
    ("given_value", "expected"),
    [(np.int64(3), 3), (np.float32(0.5), 0.5), (np.bool_(True), True), ({"a": [np.uint8(7)]}, {"a": [7]})],
)
def test_numbers_of_numpy_become_those_of_python(place, given_value, expected):
    """A scalar of numpy is a number to those who come after."""
    found = place.through(given_value)
    assert found == expected
    assert type(found) is type(expected)


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 1


class Point(NamedTuple):
    x: int
    y: int


@pytest.mark.parametrize(
    ("value", "place_named", "said"),
    [
        ((1, 2), "result", "a tuple"),
        ({"a": [0, {"b": (1,)}]}, 'result["a"][1]["b"]', "a tuple"),
        ([1, {2}], "result[1]", "a set"),
        ({"a": frozenset()}, 'result["a"]', "a frozenset"),
        (Point(1, 2), "result", "Point"),
        ({1: "a"}, "result[1]", "key of type int"),
        ({"a": {None: 1}}, 'result["a"][None]', "key of type NoneType"),
        ({"a": {"b": b"x"}}, 'result["a"]["b"]', "bytes"),
        ([b"x"], "result[0]", "bytes"),
        (bytearray(b"x"), "result", "bytes(…)"),
        (math.nan, "result", "nan"),
        ([1.0, math.inf], "result[1]", "inf"),
        (dt.date(2026, 1, 1), "result", "isoformat"),
        ([dt.datetime(2026, 1, 1)], "result[0]", "isoformat"),  # noqa: DTZ001 - refused either way
        ({"t": dt.timedelta(1)}, 'result["t"]', "total_seconds"),
        (decimal.Decimal("1.1"), "result", "str(…)"),
        (uuid.UUID(int=1), "result", "str(…)"),
        (1j, "result", "complex"),
        (2**63, "result", "64 bits"),
        ({"deep": [-(2**63) - 1]}, 'result["deep"][0]', "64 bits"),
        ("half \ud800", "result", "surrogate"),
        ({"\udfff": 1}, r'result["\udfff"]', "surrogate"),
        (Colour.RED, "result", ".value"),
        (Level.LOW, "result", ".value"),
        (Counter("aab"), "result", "dict(…)"),
        (OrderedDict(a=1), "result", "dict(…)"),
        (range(3), "result", "list(…)"),
        ((number for number in ()), "result", "list(…)"),
        ({"a": {}.keys()}, 'result["a"]', "list(…)"),
        (np.datetime64("2026-01-01"), "result", "numpy.datetime64"),
        (np.array([object()]), "result", "Python objects"),
        ({"a": {"b": np.zeros(2)}}, 'result["a"]["b"]', "at the top"),
        ([Path("x")], "result[0]", "at the top"),
        (np.ma.masked_array([1]), "result", "plain array"),
    ],
)  # fmt: skip
def test_what_would_come_back_changed_is_refused_by_name(place, value, place_named, said):
    """A value without a stored form that equals it is refused: where it is, what it is, what to do."""
    with pytest.raises(ResultRefused) as caught:
        place.store(value)
    message = str(caught.value)
    assert message.startswith(f"{place_named} ")
    assert said in message


def test_a_value_that_holds_itself_is_refused(place):
    """Cycles and endless depth end in a refusal, not in a crash."""
    value: list = []
    value.append(value)
    with pytest.raises(ResultRefused, match="holds itself"):
        place.store(value)


def test_a_long_json_value_is_kept_in_a_file(place):
    """Above 64 KiB of text a value goes to an artifact, and comes back the same."""
    value = {"rows": [{"n": number, "t": "é"} for number in range(6000)]}
    stored = place.store(value)
    assert stored.form == "json"
    assert stored.value is None
    assert stored.size > INLINE
    assert place.through(value) == value
    assert place.store("a" * INLINE).artifact is not None
    assert place.store("a" * (INLINE - 2)).artifact is None


def test_too_much_json_is_refused(place):
    """More than 64 MiB of JSON is refused, with what to use instead."""
    with pytest.raises(ResultRefused, match="more than 64 MiB"):
        place.store(["x" * 2**20] * 65)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6).reshape(2, 3),
        np.asfortranarray(np.eye(3)),
        np.array(5.0),
        np.array([], dtype="float32"),
        np.array(["a", "bcd"]),
        np.array(["2026-01-01"], dtype="datetime64[D]"),
        np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]),
        np.array([1 + 2j, math.nan]),
    ],
)
def test_arrays_come_back_as_they_were(place, array):
    """An array keeps its type, shape and values; the reader may change its own."""
    found = place.through(array)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)
    assert found.flags.writeable
    assert found.flags.owndata or found.base is not None


def test_bytes_come_back(place):
    """Bytes are kept in a file."""
    stored = place.store(b"\0\xff")
    assert (stored.form, stored.size) == ("bytes", 2)
    assert place.through(b"\0\xff") == b"\0\xff"


def test_a_path_is_the_content_of_its_file(place, tmp_path):
    """The content of a file is stored under its hash; what happens to the file later changes nothing."""
    made = tmp_path / "plot.png"
    made.write_bytes(b"png")
    stored = place.store(made)
    made.unlink()
    assert (stored.form, stored.name, stored.size) == ("file", "plot.png", 3)
    assert place.load(stored).read_bytes() == b"png"
    assert place.load(stored).suffix == ".png"


def test_a_path_of_no_file_is_refused(place, tmp_path):
    """A folder and a path where nothing is are refused, with the place that was looked at."""
    with pytest.raises(ResultRefused, match="a folder"):
        place.store(tmp_path)
    with pytest.raises(ResultRefused, match=r'result\["f"\].*nothing-here'):
        place.store({"f": tmp_path / "nothing-here", "n": 1})


def test_a_mapping_keeps_each_value_in_its_form(place):
    """A dict at the top may hold tables, arrays, bytes and plain values side by side."""
    pd = pytest.importorskip("pandas")
    value = {"table": pd.DataFrame({"n": [1, 2]}), "array": np.ones(2), "n": 5, "none": None, "l": [1], "b": b"x"}
    stored = place.store(value)
    assert {name: item.form for name, item in stored.items.items()} == {
        "table": "parquet", "array": "npy", "n": "json", "none": "json", "l": "json", "b": "bytes",
    }  # fmt: skip
    found = place.through(value)
    assert list(found) == list(value)
    pd.testing.assert_frame_equal(found["table"], value["table"])
    assert found["n"] == 5
    with pytest.raises(ResultRefused, match=r'result\["l"\]\[0\]'):
        place.store({**value, "l": [(1,)]})
    with pytest.raises(ResultRefused, match="key of type int"):
        place.store({**value, 3: 1})


def test_a_fitted_model_passes_live(place):
    """A model has no stored form: consumers in this process get the very object, the journal its type."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    model = linear_model.LinearRegression().fit([[0.0], [1.0]], [1.0, 3.0])
    stored = place.store({"model": model, "rmse": 0.0})
    journalled = stored_from_plain(json.loads(json.dumps(stored_to_plain(stored))))
    assert journalled.items["model"].form == "live"
    assert journalled.items["model"].type == "sklearn.linear_model._base.LinearRegression"
    assert place.load(journalled)["model"] is model
    assert place.load(journalled)["model"].predict([[2.0]])[0] == pytest.approx(5.0)


def test_a_live_result_leaves_no_process(place):
    """What has no stored form is refused where it cannot be kept, and missed by name where it is not."""
    with pytest.raises(ResultRefused, match=r"skops or onnx"):
        place.store(len, live=None)
    stored = place.store(len)
    assert place.load(stored) is len
    with pytest.raises(LiveResultMissing, match="in another process"):
        place.load(stored, live=None)
    with pytest.raises(LiveResultMissing, match="gone with the process"):
        place.load(stored, live=LiveResults())


def test_live_results_can_be_let_go():
    """A dropped value is gone, and dropping twice is nothing."""
    live = LiveResults()
    key = live.put("x")
    assert key in live
    assert len(live) == 1
    live.drop(key)
    live.drop(key)
    assert key not in live


def test_nothing_is_unpickled(place):
    """An array file with pickled objects in it is refused by the reader, and leaves no trace."""
    path = place.artifacts.folder / "evil.npy"
    path.parent.mkdir(parents=True)
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    sha256, size = place.artifacts.put_file(path)
    with pytest.raises(ValueError, match="allow_pickle"):
        place.load(Stored(form="npy", artifact=sha256, size=size))


def test_an_unknown_form_is_said(place):
    """A form of a newer version, and a stored value whose artifact is gone, are errors of the store."""
    sha256, _ = place.artifacts.put_bytes(b"x")
    with pytest.raises(StoreError, match="not known"):
        place.load(Stored(form="zarr", artifact=sha256))
    with pytest.raises(StoreError, match="names no artifact"):
        place.load(Stored(form="bytes"))
    with pytest.raises(StoreError, match="is not in"):
        place.load(Stored(form="bytes", artifact="0" * 64))


def test_storing_plain_values_imports_nothing(place):
    """The usual results cost no import of numpy, pandas or pyarrow."""
    import subprocess

    code = (
        "import sys, pathlib\n"
        "from orchestrator_nb.data.stored import *\n"
        f"a = Artifacts(pathlib.Path({str(place.artifacts.folder)!r}))\n"
        "for value in (None, 5, 'x', {'a': [1]}, b'x', len):\n"
        "    load(s := store(value, artifacts=a, live=(l := LiveResults()), at='result'), artifacts=a, live=l)\n"
        "print([name for name in ('numpy', 'pandas', 'pyarrow', 'pydantic') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stderr
