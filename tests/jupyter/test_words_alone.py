"""Cells as GitHub shows them: no style sheets, inline styles, classes, scripts or pictures, only words and tables.

What GitHub keeps is its public list of elements and attributes for what people write; of notebooks it keeps no more.
"""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest

import orchestrator_nb

ELEMENTS = set(re.findall(
    r"\w+",
    "h1 h2 h3 h4 h5 h6 br b i strong em a pre code img tt div ins del sup sub p picture ol ul table thead tbody tfoot "
    "blockquote dl dt dd kbd q samp var hr ruby rt rp li tr td th s strike summary details caption figure figcaption "
    "abbr bdo cite dfn mark small span time wbr",
))  # fmt: skip
ATTRIBUTES = set(re.findall(
    r"[\w-]+",
    "align alt aria-describedby aria-hidden aria-label aria-labelledby border char charoff colspan dir height headers "
    "hspace itemprop lang name nowrap open progress role rowspan rules scope span start summary tabindex title valign "
    "vspace width",
))  # fmt: skip
GONE = {"script", "style", "svg", "math", "iframe", "noscript"}

FIRST = """\
%load_ext orchestrator_nb
from orchestrator_nb import History, Workflow, attach, context
flow = Workflow("sales", parameters={"day": "2026-01-01", "rows": 6})

@flow.command(writes=["clean.txt"])
def clean(rows):
    open("clean.txt", "w").write("x" * rows)
    return rows

@flow.command(after="clean", gates=["rmse < 3.5", {"gate": "rmse < 0.5", "blocking": False}])
def model(clean):
    context.metric("rmse", 5 / clean)
    return 5 / clean

bad = Workflow("bad")
@bad.command(retries=0)
def boom(): raise KeyError("amount")
bad.command(lambda boom: 1, id="never", after="boom")
flow"""
CELLS = {
    "workflow": FIRST,
    "plan": "flow.plan()",
    "run": "run = flow.start()\nrun",
    "result": "run.result",
    "history": "History()",
    "rows": "%workflow history",
    "checkpoints": "run.checkpoints()",
    "checkpoint": "run.checkpoints()[1]",
    "gate": "run.result.report.gates[1]",
    "report": "run.result.report",
    "status": "run.status()",
    "trends": "%workflow trends rmse",
    "dashboard": "%workflow dashboard quality",
    "failed": "failed = bad.run(check=False)\nattach()",
    "failure": "failed",
}


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """The outputs of a notebook that papermill has executed: a bundle for each cell, all its HTML joined."""
    import papermill

    place = tmp_path_factory.mktemp("words")
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": spec})
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in CELLS.values()]
    nbformat.write(notebook, str(place / "in.ipynb"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("ORCHESTRATOR_NB_STORE", str(place / "runs"))
        package = str(Path(orchestrator_nb.__file__).parents[1])
        patch.setenv("PYTHONPATH", os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])]))
        done = papermill.execute_notebook("in.ipynb", "out.ipynb", progress_bar=False, kernel_name="python3")
    found = {}
    for name, cell in zip(CELLS, done.cells, strict=True):
        data = [output["data"] for output in cell.outputs if "data" in output]
        found[name] = {
            "html": "".join(bundle.get("text/html", "") for bundle in data),
            "plain": "\n".join(bundle.get("text/plain", "") for bundle in data),
            "types": {name for bundle in data for name in bundle},
        }
    return found


def kept(html: str) -> str:
    """Return what is left of HTML."""
    import nh3

    return nh3.clean(
        html,
        tags=ELEMENTS,
        attributes={"*": ATTRIBUTES, "a": {"href"}, "img": {"src"}},
        clean_content_tags=GONE,
        url_schemes={"http", "https", "mailto"},
        link_rel=None,
    )


class Reader(HTMLParser):
    """Reads a page as lines: each block, and each row of a table with its cells between bars."""

    BLOCKS = frozenset({"p", "div", "li", "tr", "pre", "h1", "h2", "h3", "summary", "figcaption", "table", "ul", "ol"})

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def handle_starttag(self, tag, attrs):
        """Begin a line, or a cell of one."""
        self.text += "\n" if tag in self.BLOCKS else "| " if tag in ("td", "th") else ""

    def handle_endtag(self, tag):
        """End a cell, or a line."""
        self.text += " " if tag in ("td", "th") else "\n" if tag in self.BLOCKS else ""

    def handle_data(self, data):
        """Read on."""
        self.text += data


def lines(html: str) -> list[str]:
    """Return the lines that a reader reads."""
    reader = Reader()
    reader.feed(kept(html))
    return [" ".join(line.split()) for line in reader.text.splitlines() if line.strip()]


RUN = r"sales-\d{8}-\d{6}-\w{4}"
TIME = r"\d\d:\d\d:\d\d"
EXPECTED = {
    "workflow": [r"sales · 2 commands", r"day: string = '2026-01-01', rows: integer = 6", r"\| model \| call \| clean \| \S+"],
    "plan": [r"2 model call __main__:model after clean", r"critical path: clean → model \(.*\)"],
    "run": [
        rf"sales ✔ completed · {RUN}", r"2 of 2 done · .* · 1 deviation", r"\| model \| ✔ succeeded \| \d+ m?s \|",
        r"Gates: 1 of 2 hold", r"\| ✔ passed \| model \| rmse < 3\.5 \| found 0\.8333 \|",
        r"\| △ failed, warns \| model \| rmse < 0\.5 \| rmse is 0\.8333 \|", rf"{TIME} clean 1 file changed · {RUN}/000002",
        rf"{TIME} model gate rmse < 0\.5: failed, a warning only: rmse is 0\.8333", rf"{TIME} the run completed",
    ],
    "result": [rf"{RUN}: completed", r"\| clean \| ✔ succeeded \| 1 \| [\d.]+ \| 6"],
    "history": [rf"\| {RUN} \| sales \| ✔ completed \| [\d-]+ {TIME} \| [\d.]+"],
    "rows": [r'1 run in ".*"', rf"\| {RUN} \| sales \| ✔ completed \| .* \| 2 of 2"],
    "checkpoints": [rf"3 checkpoints of {RUN}", rf"\| 2 \| command_completion_clean \| command \| [\d-]+ {TIME} \| 1 \| .*"],
    "checkpoint": [rf"{RUN}/000002: command_completion_clean", rf"\| [\d-]+ {TIME} \| 1 file \| \w{{12}}"],
    "gate": [r"△ failed, a warning only model rmse < 0\.5: rmse is 0\.8333"],
    "report": [
        rf"Compliance of {RUN}", r"The run does not comply: completed; 1 of 2 gates passed\.",
        r"\| rmse < 0\.5 \| model \| failed \| no \| 0\.8333 \| rmse < 0\.5 \| rmse is 0\.8333 \|",
    ],
    "status": [rf"{RUN}: completed", r"\| model \| ✔ succeeded \| 1 \| [\d.]+ \|"],
    "trends": [r"rmse over time", r".*0\.8333 in the latest of 1 run.*", rf"\| {RUN} \| model \| .* \| 0\.8333"],
    "dashboard": [r"Quality and performance", r"rmse over time", r".*0\.8333 in the latest of 1 run.*"],
    "failed": [
        r"bad ✘ failed · bad-\S+", r"0 of 2 done · 1 failed · 1 upstream failed · .*", r"boom failed \(exception\)",
        r"KeyError: 'amount'", r"raise KeyError\(.amount.\)|.*def boom\(\): raise KeyError.*",
        r"\| boom \| ✘ failed \| .* \| KeyError: 'amount'", r"\| never \| ⊘ upstream failed \| \| boom did not succeed",
        r"to go on, in .*: flow\.resume\(\)",
    ],
    "failure": [r"bad-\S+: failed \(\"boom\" failed\)", r"\| never \| ⊘ upstream failed \| 0 \| .*", r"boom failed \(exception\)"],
}  # fmt: skip


@pytest.mark.kernel
@pytest.mark.parametrize("name", CELLS)
def test_words_alone_say_what_matters(shown, name):
    """Names, states, numbers and reasons stand there, apart from each other, without a style sheet or a picture."""
    html = shown[name]["html"]
    assert kept(html) != html
    read = lines(html)
    for wanted in EXPECTED[name]:
        assert any(re.fullmatch(wanted, line) for line in read), (wanted, read)
    left = "\n".join(read)
    assert not re.search(r"[{};]\s*--|onb-|display:|<svg|viewBox", left), left


@pytest.mark.kernel
def test_a_terminal_is_told_the_same(shown):
    """Where there is not even HTML, each object has its text: no address in memory, no fields in a row."""
    for name, bundle in shown.items():
        text = bundle["plain"]
        assert text.strip(), name
        assert not re.search(r" object at 0x|kw_only|\\x1b", text), (name, text)
        assert max(map(len, text.splitlines())) < 400, (name, text)
    assert re.search(
        r"<Checkpoint \S+/000002: command_completion_clean, .*, 1 file, \w{12}>", shown["checkpoint"]["plain"]
    )
    assert shown["gate"]["plain"] == "✗ model: rmse < 0.5 (failed, a warning only): rmse is 0.8333"
    assert shown["report"]["plain"].startswith("The run does not comply: completed; 1 of 2 gates passed.\n")
    assert re.search(r"model +succeeded", shown["status"]["plain"])


@pytest.mark.kernel
def test_nothing_but_standard_types_and_no_network(shown):
    """HTML, text, SVG, and plotly's JSON, which every front end may leave out: nothing is loaded from a network."""
    allowed = {"text/html", "text/plain", "image/svg+xml", "application/vnd.plotly.v1+json"}
    for name, bundle in shown.items():
        assert bundle["types"] <= allowed, name
        page = re.sub(r'<iframe srcdoc="[^"]*"', "<iframe", bundle["html"])
        loads = re.findall(
            r"""(?:src|href|action|poster)\s*=\s*["']?(https?:|//)|@import|url\((?!#)|<link\b|<script\b""", page
        )
        assert not loads, (name, loads)
