"""Modules beside a definition: found, and loaded anew when they were changed."""

from __future__ import annotations

import os
import sys

from orchestrator_nb.commands.importing import find


def test_an_edit_within_a_second_that_keeps_the_size_counts(project, monkeypatch):
    """Python takes the compiled form of such a module for current; what runs is the source as it is."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    steps = project / "edited_steps.py"
    second = 1_800_000_000 * 10**9
    for number in (1, 2, 3):
        steps.write_text(f"def tell():\n    return {number}\n")
        os.utime(steps, ns=(second + number, second + number))
        assert find("edited_steps:tell", folder=project, fresh=True)() == number
