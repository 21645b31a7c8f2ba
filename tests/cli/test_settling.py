"""What becomes of a stdout that a command has closed, and of what cannot be told on one that is open."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from orchestrator_nb import Workflow
from orchestrator_nb.cli.drive import tell


@pytest.mark.parametrize("closed", [False, True])
def test_stdout_points_at_nothing_also_where_it_was_closed(closed):
    """Its number is taken by nothing else: what is written there vanishes, and no error comes of it."""
    program = (
        "import os\nfrom orchestrator_nb.cli.settling import point_at_nothing\n"
        f"if {closed}: os.close(1)\npoint_at_nothing()\nos.write(1, b'lost')\nprint('lost too', flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_only_a_closed_stdout_is_passed_over(tmp_path):
    """What a command has closed, or taken the ground from, takes nothing; a mistake in telling is no closed stream."""
    flow = Workflow("w", folder=tmp_path)
    flow.command(lambda: 1, id="one")
    result = flow.run(store=tmp_path / "runs")
    closed, taken = io.StringIO(), io.TextIOWrapper(io.BytesIO())
    closed.close()
    taken.detach()
    for out in (closed, taken):
        tell(result, out, code=0, as_json=True, ending=None)

    def ending(_):
        raise ValueError("a mistake")

    with pytest.raises(ValueError, match="a mistake"):
        tell(result, io.StringIO(), code=0, as_json=False, ending=ending)
