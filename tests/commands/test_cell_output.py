"""Outputs that are not held against the schema: only those that would pass, and as nbformat makes them."""

from __future__ import annotations

import json

import pytest
from nbformat.v4 import output_from_msg

from orchestrator_nb.commands.notebooks.cell_output import plain_output


def message(kind, **content):
    return {"msg_type": kind, "header": {"msg_type": kind}, "content": content}


@pytest.mark.parametrize(
    "heard",
    [
        message("stream", name="stdout", text="a\r\nb\n"),
        message("stream", name="stderr", text=""),
        message("display_data", data={"text/plain": "x", "text/html": "<b>x</b>"}, metadata={}, transient={}),
        message("execute_result", data={"text/plain": "1"}, metadata={}, execution_count=3),
    ],
)
def test_a_plain_output_is_nbformats_own(heard):
    """The same keys and values, of the same types."""
    found, wanted = plain_output(heard), output_from_msg(heard)
    assert json.dumps(found, sort_keys=True) == json.dumps(wanted, sort_keys=True)
    assert {type(value) for value in found.values()} == {type(value) for value in wanted.values()}


@pytest.mark.parametrize(
    "heard",
    [
        message("stream", name="elsewhere", text="a"),
        message("stream", name="stdout", text=["a"]),
        message("stream", name="stdout"),
        message("display_data", data={"application/json": {"a": 1}}, metadata={}),
        message("display_data", data={"image/png": "aa"}, metadata={"image/png": {"width": 3}}),
        message("display_data", data=[], metadata={}),
        message("execute_result", data={"text/plain": "1"}, metadata={}, execution_count="3"),
        message("error", ename="E", evalue="e", traceback=[]),
        message("status", execution_state="idle"),
    ],
)
def test_what_is_not_plain_is_left_to_nbformat(heard):
    """It decides what is made of it, or that it is refused."""
    assert plain_output(heard) is None
