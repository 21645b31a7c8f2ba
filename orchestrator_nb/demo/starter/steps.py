"""The functions of this project; each may be a command of workflow.yaml."""

from pathlib import Path

from orchestrator_nb import context

HERE = Path(__file__).parent


def report(count):
    """Write what the notebook found to a file. `count` is the result of the command of that name."""
    lines = [f"{row['word']}: {row['times']}" for row in count["frequent"]]
    file = HERE / "report.txt"
    file.write_text("\n".join([f"{count['total']} words", *lines]) + "\n", encoding="utf-8")
    context.artifact(file)
    return {"lines": len(lines) + 1}
