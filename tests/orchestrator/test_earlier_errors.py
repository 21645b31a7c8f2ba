"""What retries achieved in earlier runs: an error that they never mended is not tried again, which is said."""

from __future__ import annotations

import pytest

from orchestrator_nb import Workflow, context


@pytest.fixture
def flow(project):
    """A workflow with an error that passes, and one that never does though it looks as if."""
    flow = Workflow("w", recovery={"retry_delay": 0.01})

    def passes():
        if context.attempt == 1:
            raise ConnectionResetError("for once")

    def never():
        raise ConnectionRefusedError("nobody is there")

    flow.command(passes, id="passes")
    flow.command(never, id="never", optional=True)
    return flow


def test_what_never_helped_is_not_done_again(flow):
    """After three runs in which retries were in vain there are none; the other error is still tried again."""
    for _ in range(3):
        assert flow.run().commands["never"].attempt == 4
    run = flow.start()
    attempts = {name: record.attempt for name, record in run.result.commands.items()}
    assert attempts == {"passes": 2, "never": 1}
    assert any("never: an error such as external service failure" in text for text in run.status().notices)


def test_it_can_be_overruled_and_is_forgotten(flow):
    """With `learn: false` it is tried again; and when it was not tried for some runs nothing is known any more."""
    for _ in range(3):
        flow.run()
    assert flow.run(recovery={"learn": False}).commands["never"].attempt == 4
    attempts = [flow.run().commands["never"].attempt for _ in range(5)]
    assert attempts[0] == 1
    assert 4 in attempts
