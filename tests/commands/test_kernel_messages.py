"""What kernels tell by their messages: our own calls, and what scrapbook and papermill have left in notebooks."""

from __future__ import annotations

import base64
import io

import pandas as pd
import pytest

from orchestrator_nb.commands.notebooks import kernel_messages
from orchestrator_nb.commands.notebooks.kernel_messages import MIME, OUTPUT, PAPERMILL, SCRAPBOOK


def told(mime, plain, kind="display_data"):
    message = {"msg_type": kind, "content": {"data": {mime: plain, "text/plain": "…"}, "metadata": {}}}
    return [(each.kind, each.name, each.value) for each in kernel_messages.read(message)]


def scrap(encoder, data, **fields):
    return told(f"{SCRAPBOOK}{encoder}+json", {"name": "x", "data": data, "encoder": encoder, "version": 1, **fields})


def test_scraps_of_json_and_text_are_outputs():
    """What was glued is recorded as it was given."""
    assert scrap("json", {"a": [1, None]}) == [(OUTPUT, "x", {"a": [1, None]})]
    assert scrap("text", "1") == [(OUTPUT, "x", "1")]


def test_a_scrap_of_a_table_is_read_back():
    """scrapbook's Parquet in base64 becomes a table again."""
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
    file = io.BytesIO()
    frame.to_parquet(file)
    ((kind, name, value),) = scrap("pandas", base64.b64encode(file.getvalue()).decode())
    assert (kind, name) == (OUTPUT, "x")
    pd.testing.assert_frame_equal(value, frame)


def test_records_of_papermill_are_outputs():
    """Each name of a record is an output."""
    assert told(PAPERMILL, {"a": 1, "b": "two"}) == [(OUTPUT, "a", 1), (OUTPUT, "b", "two")]


@pytest.mark.parametrize(
    ("mime", "plain", "says"),
    [
        (f"{SCRAPBOOK}pickle+json", {"name": "x", "data": "gA==", "encoder": "pickle"}, "Parquet"),
        (f"{SCRAPBOOK}pandas+json", {"name": "x", "data": "no base64!", "encoder": "pandas"}, "no table in Parquet"),
        (f"{SCRAPBOOK}json+json", {"name": "x", "reference": "s3://a"}, "kept elsewhere"),
        (f"{SCRAPBOOK}json+json", ["x"], "expected an object"),
        (PAPERMILL, 1, "expected an object"),
        (MIME, {"kind": "metric", "name": "x", "value": "1"}, "is no number"),
    ],
)
def test_what_cannot_be_read_says_what_can(mime, plain, says):
    """A message that is not what it should be is named, with what was expected."""
    with pytest.raises(ValueError, match=says):
        told(mime, plain)


def test_other_messages_tell_nothing():
    """Printed text, and displays of other kinds, are no one's records."""
    assert told("text/html", "<b>") == []
    assert told(PAPERMILL, {"a": 1}, kind="stream") == []
