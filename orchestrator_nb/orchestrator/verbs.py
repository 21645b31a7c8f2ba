"""The verbs, as the command line and the magic have them: one table of what each does, in a line."""

from __future__ import annotations

VERBS = {
    "run": "Run a workflow and wait for its end.",
    "plan": "Check everything and show what would run.",
    "status": "Show how a run stands, whoever owns it.",
    "resume": "Go on with a run that was killed, paused or failed.",
    "schema": "Print the JSON Schema of definitions.",
    "demo": "Put a small real project into a folder and run it.",
    "watch": "Show what happens in a run, whoever owns it.",
    "why": "Tell the facts that led to where a command is.",
    "metrics": "Show what a run cost.",
    "logs": "Print what a command printed.",
    "pause": "Start nothing new in a run; what runs goes on.",
    "stop": "End what runs and the run.",
    "accept": "Take a result for up to date although its code changed.",
    "checkpoints": "List the checkpoints of a run, show one, compare two, export one.",
    "rollback": "Take a run back to an earlier moment, or undo commands.",
    "decisions": "Show what people are asked in a run.",
    "decide": "Answer a decision of a run.",
    "escalate": "Have people asked about a command.",
    "save": "Write the state of a run to a file.",
    "restore": "Put a run back to a saved state.",
    "history": "List the runs.",
    "trends": "Show a figure over runs: duration, efficiency, a metric.",
    "report": "Write a report about a run or its workflow.",
    "dashboard": "Write the dashboards, each as one offline page.",
    "rate": "Say what you think of a run.",
    "prune": "Delete runs that are no longer wanted.",
    "audit": "Check runs against their journals.",
    "init": "Put a small project into a folder.",
    "kernels": "Forked Python kernels for any Jupyter tool.",
    "attach": "Show the live panel of a run, whoever owns it.",
}
"""What each verb does, by its name; `attach` is a verb of the magic alone."""
