"""Failure cards: which cell of which notebook failed and why, in text and in HTML."""

from __future__ import annotations

import sys
from pathlib import Path

from orchestrator_nb import Workflow
from orchestrator_nb.events import Failure
from orchestrator_nb.orchestrator.display.failure_card import SOURCE_LINES, card_html, card_lines
from orchestrator_nb.orchestrator.display.shown import headline

CELL = [f"value_{number} = {number}" for number in range(1, 41)]


def failure(**fields):
    return Failure(
        **{
            "kind": "exception", "message": "the <server> is busy", "types": ("mine.Busy",), "cell": 4, "line": 30,
            "cell_source": "\n".join(CELL), "source": "/home/me/model.ipynb",
            "traceback": "Cell In[3], line 30\n<frame>", **fields,
        }
    )  # fmt: skip


def test_a_card_names_cell_and_line_and_both_notebooks():
    """Command, cell, line, exception, the notebook that was run, and a link to the one with the outputs."""
    lines = list(card_lines("model", failure(), Path("/runs/a b/model.ipynb"), None, cell=(3, 7)))
    assert lines[0] == '"model" failed in cell 4, code cell 3 of 7, line 30 (exception)'
    assert "  Busy: the <server> is busy" in lines
    assert lines[-2:] == ["  notebook: /home/me/model.ipynb", "  output notebook: file:///runs/a%20b/model.ipynb"]


def test_a_card_shows_the_source_around_the_line_that_raised():
    """The line is marked, and what is left out before and after it is counted."""
    lines = [line.strip() for line in card_lines("model", failure(), None, None)]
    assert "-->   30 value_30 = 30" in lines
    shown = [line for line in lines if "value_" in line]
    assert len(shown) == SOURCE_LINES
    before, after = int(shown[0].split()[0]) - 1, 40 - int(shown[-1].split()[0])
    assert f"... {before} lines before" in lines
    assert f"... {after} more lines" in lines


def test_the_first_and_the_last_line_have_no_lines_missing_on_their_side():
    """A line at the edge of its cell is shown with as many others."""
    for line in (1, 40):
        lines = [each.strip() for each in card_lines("model", failure(line=line), None, None)]
        assert f"-->   {line:2} value_{line} = {line}" in lines
        assert sum("value_" in each for each in lines) == SOURCE_LINES
        assert sum(each.endswith(("lines before", "more lines")) for each in lines) == 1


def test_without_a_line_the_cell_is_shown_from_its_beginning():
    """A kernel that died says which cell it was in, and no line of it."""
    lines = [line.strip() for line in card_lines("model", failure(line=None, traceback=None), None, None)]
    assert lines[0] == '"model" failed in cell 4 (exception)'
    assert lines[1 : SOURCE_LINES + 1] == CELL[:SOURCE_LINES]


def test_a_card_in_html_escapes_all_texts_and_links_the_files():
    """What a command says is shown, and never becomes part of the page."""
    said = failure(message="<script>alert(1)</script>", source='/home/me/"><b>.ipynb')
    page = card_html("mo<del", said, Path("/runs/model.ipynb"), Path("/runs/model.log"), cell=(3, 7))
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "mo&lt;del" in page
    assert '"><b>' not in page
    assert "&lt;frame&gt;" in page
    assert '<a href="file:///runs/model.ipynb">/runs/model.ipynb</a>' in page


def test_a_failure_that_is_no_exception_is_told_in_its_own_words():
    """A time limit that has passed names no class of ours."""
    ours = ("orchestrator_nb.errors.CommandError", "orchestrator_nb.errors.OrchestratorError", "Exception")
    said = failure(kind="timeout", message="its cell 4 was ended", types=ours, traceback=None, line=None)
    assert "  its cell 4 was ended" in card_lines("model", said, None, None)
    assert headline(said) == "timeout: its cell 4 was ended"


def test_the_headline_of_a_program_is_what_it_said_last(project):
    """One line has the exit status and the last line of its output; the whole message has the lines before it, too."""
    flow = Workflow("w")
    flow.shell([sys.executable, "-c", "print('looking'); print('no such table'); raise SystemExit(3)"], id="look")
    failure = flow.run(check=False).errors["look"]
    assert headline(failure) == f'"{sys.executable}" exited with status 3: no such table'
    assert failure.message.endswith("its last lines were:\nlooking\nno such table")
