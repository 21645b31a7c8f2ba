"""The functions of this project; each may be a command of workflow.yaml."""

from orchestrator_nb import context


def report(count):
    """Write what the notebook found to a file. `count` is the result of the command of that name."""
    lines = [f"{row['word']}: {row['times']}" for row in count["frequent"]]
    with open("report.txt", "w", encoding="utf-8") as file:
        file.write("\n".join([f"{count['total']} words", *lines]) + "\n")
    context.artifact("report.txt")
    return {"lines": len(lines) + 1}
