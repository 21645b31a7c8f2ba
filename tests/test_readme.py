"""The README: its first screen, its commands, and the diagram drawn from the tables of transitions."""

from __future__ import annotations

import re
from pathlib import Path

from orchestrator_nb.state.transitions import COMMAND_TRANSITIONS, RUN_TRANSITIONS

README = Path(__file__).parents[1] / "README.md"


def diagram(transitions: dict[str, dict[str, str]]) -> str:
    """Return a table of transitions as a Mermaid state diagram: an arrow for each pair of states, its events on it."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for event, row in transitions.items():
        for before, after in row.items():
            if before != after:
                arrows.setdefault((before, after), []).append(event.split()[0])
    lines = [f"    {before} --> {after}: {', '.join(events)}" for (before, after), events in arrows.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"]).replace("    new -->", "    [*] -->")


def test_the_diagrams_are_those_of_the_tables() -> None:
    """What the README draws is what the code allows; on a mismatch, put in what this test shows."""
    text = README.read_text(encoding="utf-8")
    drawn = text[text.index("<!-- states -->") : text.index("<!-- /states -->")]
    for transitions in (RUN_TRANSITIONS, COMMAND_TRANSITIONS):
        assert diagram(transitions) in drawn, diagram(transitions)


def test_the_first_two_blocks_set_up_and_run() -> None:
    """A newcomer copies the first block to see it work, the second to pass the tests: no prompts, no output in them."""
    first, second = re.findall(
        r"^```sh\n(.*?)^```", README.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )[:2]
    assert first.splitlines()[-2:] == ["pip install .", "orchestrator-nb demo"]
    assert second.splitlines()[-2:] == ["pip install '.[test]'", "python -m pytest -q"]
    assert "$" not in first + second
