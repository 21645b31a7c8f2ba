"""The script and style of the panel as they are sent: for every front end of widgets, from no network, within a CSP."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from orchestrator_nb.drawing.card import style
from orchestrator_nb.jupyter.widget import SCRIPTS, script

THEMES = r"var\(--jp-[\w-]+(?P<fallback>\s*,)?"


def test_the_script_asks_no_network_and_makes_no_code_of_text():
    """No address of another host, no request, no eval, no Function, no script element; the one import is of a blob."""
    text = script()
    addresses = set(re.findall(r"https?://[^\s\"'`)]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg"}  # a namespace
    for forbidden in (r"\beval\b", r"\bFunction\(", r"\bfetch\(", "XMLHttpRequest", "WebSocket", r"document\.write",
                      r"createElement\(\"script\"\)", "localStorage", r"\bcookie\b", r"setTimeout\(\s*[\"'`]"):  # fmt: skip
        assert not re.search(forbidden, text), forbidden
    assert len(re.findall(r"\bimport\b\s*\(", text)) == 1
    assert not re.search(r"^\s*import\b(?!\s*\()", text, re.MULTILINE)
    assert text.count("export default") == 2  # the widget itself, and that which plotly.js is wrapped in
    assert not re.search(r"@import|url\(", style())


def test_every_colour_of_a_theme_has_one_for_pages_without_it():
    """Where Jupyter's variables are not there, those of VS Code are asked, and then there is a plain colour."""
    text = style()
    found = list(re.finditer(THEMES, text))
    assert len(found) >= 12
    assert all(match["fallback"] for match in found)
    defined = dict(re.findall(r"(--onb-[\w]+): (var\(--jp-[^;]+);", text))
    for name, value in defined.items():
        assert re.fullmatch(r"var\(--jp-[\w-]+, var\(--vscode-[\w-]+, [^()]+\)\)", value), f"{name}: {value}"
    used = set(re.findall(r"var\((--onb-[\w]+)", text)) - {"--onb-c"}
    assert used <= set(defined)
    assert {"--onb-ink", "--onb-paper", "--onb-line", "--onb-live", "--onb-good", "--onb-bad", "--onb-warn"} <= set(
        defined
    )


def test_the_names_of_the_style_are_our_own():
    """A style sheet of a widget is the page's: every rule is one of the panel's, and none touches what is beside it."""
    text = re.sub(r"/\*.*?\*/", "", style(), flags=re.DOTALL)
    text = re.sub(r"@keyframes \S+ \{[^}]*\{[^}]*\}\s*\}", "", text)
    text = re.sub(r"@media [^{]*\{(.*?\})\s*\}", r"\1", text, flags=re.DOTALL)
    for selectors in re.findall(r"([^{}]+)\{[^{}]*\}", text):
        bare = re.sub(r":is\([^)]*\)", "", selectors)
        for selector in bare.split(","):
            assert selector.strip().startswith(".onb-"), selector


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node to read the script")
def test_the_script_is_a_module(tmp_path):
    """Its files, one after the other, are one module without a mistake of grammar or a name that is there twice."""
    place = tmp_path / "panel.mjs"
    place.write_text(script(), encoding="utf-8")
    done = subprocess.run(["node", "--check", str(place)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(SCRIPTS) == len(set(SCRIPTS))
