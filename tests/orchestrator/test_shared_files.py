"""Shared values that are large or no JSON: kept in files of the run, read when they are asked for."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest

from orchestrator_nb import RunFailed, Workflow, attach, context
from orchestrator_nb.data import stored, tables
from orchestrator_nb.data.transfer import FORMS, from_form, to_form
from orchestrator_nb.orchestrator.store.audit import audit_run

TABLE = pd.DataFrame({"x": [1, 2, 3], "name": ["a", "b", None]})


def share(**values):
    for name, value in values.items():
        context.shared[name] = value


def test_tables_arrays_files_and_large_values_come_back_as_they_were(project):
    """In a thread and in a process of its own; the journal has references only."""
    Path("notes.txt").write_text("read me")
    large = ["x" * 100] * 2000

    def give():
        share(table=TABLE, array=np.arange(6).reshape(2, 3), file=Path("notes.txt"), large=large, raw=b"\0\1")

    def take():
        shared = context.shared
        assert shared["table"].equals(pd.DataFrame({"x": [1, 2, 3], "name": ["a", "b", None]}))
        assert shared["array"].tolist() == [[0, 1, 2], [3, 4, 5]]
        assert shared["file"].read_text() == "read me"
        assert (len(shared["large"]), shared["raw"]) == (2000, b"\0\1")
        return sorted(shared)

    flow = Workflow("w")
    flow.command(give, isolation="process")
    flow.command(take, after="give")
    flow.command(take, id="apart", after="take", isolation="process")
    result = flow.run()
    assert result.outputs["apart"] == ["array", "file", "large", "raw", "table"]
    assert result.shared["table"].equals(TABLE)
    assert result.shared["large"] == large
    assert (result.folder / "journal.jsonl").stat().st_size < 20_000
    assert audit_run(result.folder) == []


def test_a_table_is_read_only_by_whoever_asks_for_it(project, monkeypatch):
    """Looking at names, or at other values, opens no file."""
    reads = []
    read_table = tables.read_table
    monkeypatch.setattr(stored, "read_table", lambda *given: reads.append(given) or read_table(*given))
    flow = Workflow("w", context={"rows": 3})
    flow.command(lambda: share(table=TABLE), id="give")

    def look():
        assert "table" in context.shared
        return sorted(context.shared), context.shared["rows"]

    flow.command(lambda: list(look()), id="look", after="give")
    flow.run()
    assert not reads
    flow.command(lambda: len(context.shared["table"]), id="take", after="look")
    assert flow.run().outputs["take"] == 3
    assert len(reads) == 1


def test_values_over_the_limit_of_the_definition_are_kept_in_files(project):
    """`context_limit` is in bytes of JSON."""
    flow = Workflow("w", context_limit="100B")
    flow.command(lambda: share(small="x", large="x" * 200), id="give")
    result = flow.run()
    assert (result.shared["small"], len(result.shared["large"])) == ("x", 200)
    raw = attach("latest").state.shared
    assert raw["small"] == "x"
    assert (raw["large"]["$stored"]["form"], raw["large"]["$stored"]["type"]) == ("json", "str")


def test_a_command_that_declares_its_keys_gets_those_and_their_types_are_checked(project):
    """A table for a table; what is in a file is known by its form and its type."""
    flow = Workflow("w", context_limit=10)
    flow.command(lambda: share(table=TABLE, items=[1] * 20), id="give")
    good = {"table": "table", "items": "list"}
    flow.command(lambda: sorted(context.shared), id="take", after="give", context=good)
    assert flow.run().outputs["take"] == ["items", "table"]
    for key, type_name, said in (("table", "list", "is a table, expected a list"), ("items", "object", "is a list")):
        flow = Workflow("w", context_limit=10)
        flow.command(lambda: share(table=TABLE, items=[1] * 20), id="give")
        flow.command(lambda: None, id="take", after="give", context={key: type_name})
        with pytest.raises(RunFailed, match=said):
            flow.run()


def test_what_a_strategy_looks_into_stays_in_the_journal(project):
    """Up to a megabyte at a time; beyond, and for tables, it is said what to do."""
    flow = Workflow("w", merge={"rows": "append", "table": "deep"})
    flow.command(lambda: share(rows=["x" * 1000] * 500), id="a")
    flow.command(lambda: share(rows=["y"]), id="b", after="a")
    assert len(flow.run().shared["rows"]) == 501
    for values, said in (
        ({"rows": ["x" * 1000] * 2000}, "merged with append, which takes plain JSON of at most 1,048,576 bytes"),
        ({"table": TABLE}, "found a table: hand it on as a result, or merge it with a function"),
    ):
        flow = Workflow("w", merge={"rows": "append", "table": "deep"})
        flow.command(lambda values=values: share(**values), id="a")
        with pytest.raises(RunFailed, match=said):
            flow.run()


def test_a_mapping_that_looks_like_a_reference_is_refused(project):
    """So that nobody can be handed a file that is not theirs."""
    flow = Workflow("w")
    flow.command(lambda: share(k={"$stored": {"form": "file", "artifact": "0" * 64}}), id="a")
    with pytest.raises(RunFailed, match="stands for values in files"):
        flow.run()


def test_documents_carry_references_or_the_values_themselves(project):
    """As asked for, in every form."""
    flow = Workflow("w")

    @flow.command
    def give():
        share(table=TABLE, array=np.array([1.5, np.nan]), day=b"x")
        return {"table": TABLE}

    run = flow.start(wait=True)
    referring, carrying = run.context(), run.context(values=True)
    assert referring["shared"]["table"]["$stored"]["form"] == "parquet"
    assert carrying["shared"]["table"] == {
        "form": "table",
        "columns": ["x", "name"],
        "rows": [[1, "a"], [2, "b"], [3, None]],
    }
    assert carrying["shared"]["array"] == {"form": "array", "dtype": "float64", "values": [1.5, None]}
    assert carrying["commands"]["give"]["result"]["table"]["rows"][2] == [3, None]
    for form in FORMS:
        assert from_form(to_form(carrying, form), form) == carrying
        assert from_form(to_form(referring, form), form) == referring


def test_files_of_shared_values_belong_to_the_run(project):
    """They are in the manifest, missing ones are found by the audit, and a later run that takes them over has its own."""
    flow = Workflow("w")
    flow.command(lambda: share(table=TABLE), id="give")
    flow.command(lambda give: len(context.shared["table"]), id="take", after="give")
    first = flow.run()
    manifest = json.loads((first.folder / "manifest.json").read_text())
    path = first.folder / manifest["commands"]["give"]["shared"]["table"]["path"]
    assert path.is_file()
    later = flow.run(reuse=True)
    assert {record.state for record in later.commands.values()} == {"reused"}
    path.unlink()
    assert later.shared["table"].equals(TABLE)
    (finding, *_) = audit_run(first.folder)
    assert 'shared by "give"' in finding.place or 'result of "give"' in finding.place
    assert "--from give" in finding.repair or '"give" again' in finding.repair


def test_a_gate_looks_at_the_rows_of_a_shared_table(project):
    """As it does with results."""
    flow = Workflow("w")
    flow.command(lambda: share(table=TABLE), id="give")
    flow.command(lambda: 1, id="take", after="give", gates=["shared.table.rows == 3"])
    assert flow.run().state == "completed"


@pytest.mark.parametrize(
    ("shares", "isolation", "said"),
    [
        ({"other": "any"}, "thread", r"not among the keys that it declares to change \(shares: other\)"),
        ({"rows": "table"}, "thread", r"not as it is declared \(shares\) is plain JSON, expected a table"),
        ({"rows": "string"}, "process", r"not as it is declared \(shares\): found the number 3"),
    ],
)
def test_a_command_that_declares_what_it_shares_shares_nothing_else(project, shares, isolation, said):
    """Another key, or another type, is refused where it is shared; in a process of its own as in a thread."""
    flow = Workflow("w")
    flow.command(lambda: share(rows=3), id="give", shares=shares, isolation=isolation)
    with pytest.raises(RunFailed, match=said):
        flow.run()


@pytest.mark.kernel
def test_notebooks_share_tables(project):
    """What one kernel has stored another one reads when it asks for it."""
    give = "import pandas as pd\nfrom orchestrator_nb import context\ncontext.shared['t'] = pd.DataFrame({'x': [1, 2]})"
    take = "from orchestrator_nb import context\ncontext.record('rows', int(context.shared['t']['x'].sum()))"
    for name, code in (("give", give), ("take", take)):
        nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)]), f"{name}.ipynb")
    flow = Workflow("w")
    flow.notebook("give.ipynb")
    flow.notebook("take.ipynb", after="give")
    result = flow.run()
    assert result.outputs["take"] == {"rows": 3}
    assert result.shared["t"]["x"].tolist() == [1, 2]
