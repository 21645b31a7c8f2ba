"""Floods of output: cut where they go beyond measure, with a word about it, and dropped from there on."""

from __future__ import annotations

from orchestrator_nb.commands.notebooks import bounds as notebook_bounds
from orchestrator_nb.commands.notebooks.bounds import Bounds


def printed(text):
    return {"msg_type": "stream", "content": {"name": "stdout", "text": text}}


def shown(text):
    return {"msg_type": "display_data", "content": {"data": {"text/plain": text}, "metadata": {}}}


def test_text_beyond_the_limit_is_cut_once(monkeypatch):
    """The message that goes beyond is cut and says so; those after it are dropped, also of the other stream."""
    monkeypatch.setattr(notebook_bounds, "PRINTED_LIMIT", 10)
    bounds = Bounds()
    first, second = printed("x" * 6), printed("y" * 6)
    assert bounds.keep(first)
    assert bounds.keep(second)
    assert first["content"]["text"] == "x" * 6
    assert second["content"]["text"].startswith("yyyy\n")
    assert "left out" in second["content"]["text"]
    assert not bounds.keep(printed("z"))
    assert bounds.keep(shown("a picture"))


def test_displays_beyond_the_limit_are_left_out_once(monkeypatch):
    """The display that goes beyond is replaced by a word about it; those after it are dropped."""
    monkeypatch.setattr(notebook_bounds, "SHOWN_LIMIT", 10)
    bounds = Bounds()
    assert bounds.keep(shown("x" * 10))
    second = shown("y")
    assert bounds.keep(second)
    assert "left out" in second["content"]["data"]["text/plain"]
    assert not bounds.keep(shown("z"))
    assert bounds.keep(printed("text"))


def test_the_number_of_outputs_is_bounded(monkeypatch):
    """Many small outputs are a flood, too; errors and replies always pass."""
    monkeypatch.setattr(notebook_bounds, "MOST_OUTPUTS", 3)
    bounds = Bounds()
    kept = [bounds.keep(printed("x")) for _ in range(9)] + [bounds.keep(shown("x")) for _ in range(9)]
    assert sum(kept) == 5
    assert bounds.keep({"msg_type": "error", "content": {}})
    assert bounds.keep({"msg_type": "status", "content": {}})
