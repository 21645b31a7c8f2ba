"""Plain JSON that people may read."""

from __future__ import annotations

import json

from orchestrator_nb.data.plain import indented
from orchestrator_nb.events import Stored


def test_names_that_are_no_utf_8_change_nothing_else() -> None:
    """Records inside and numbers that are none are written as they are beside names that are Unicode."""
    document = {"result": Stored(form="json", value=1), "loss": float("nan"), "of": ("a", None)}
    odd = json.loads(indented({**document, "file": "na\udcefve.csv"}))
    assert odd.pop("file") == "na\udcefve.csv"
    assert odd == json.loads(indented(document))
