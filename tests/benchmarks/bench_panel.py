"""What the live panel costs: from a fact to the pixel, bytes to the browser, and CPU, at 10 and 500 commands.

    python tests/benchmarks/bench_panel.py [SECONDS]

A run of SECONDS (20) goes on in a kernel under JupyterLab, in a headless Chromium. The page notes when its bar says that
so many commands are done; the journal says when that was recorded. What ended before the panel was there is left out, and
when it was there is a column of its own. CPU, of the kernel and of all processes of the browser, is compared with that of
the same run without a panel (ORCHESTRATOR_NB_PANEL=off), in two rounds after a short run with a panel, which imports what
is imported once; bytes are those of the messages that the panel sent.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import statistics
import sys
import tempfile
from pathlib import Path

ROUNDS = 2

SETUP = """\
%load_ext orchestrator_nb
import os, threading, time
from orchestrator_nb import Workflow
sent = [0, 0]
"""

COUNT = """\
from orchestrator_nb.jupyter.widget import _widget_class
import json
plain = _widget_class().send_parts
def counted(self, names):
    names = list(names)
    sent[0] += 1
    sent[1] += len(json.dumps({name: self._parts.get(name) for name in names}))
    plain(self, names)
_widget_class().send_parts = counted
"""

RUN = """\
os.environ["ORCHESTRATOR_NB_PANEL"] = "{panel}"
flow = Workflow("bench{panel}")
def step(**_): time.sleep({pause})
for number in range({commands}): flow.command(step, id=f"c{{number:03}}")
sent[:] = [0, 0]
cpu, begun = time.process_time(), time.perf_counter()
run = flow.start(slots=2, durability="process", wait=False)
while run.is_running: time.sleep(0.05)
time.sleep(0.5)
cpu, took = time.process_time() - cpu, time.perf_counter() - begun
done = sorted(c.ended for c in run.state.commands.values())
print("@" + __import__("json").dumps([cpu, took, sent, done, run.state.run.started]))
"""

FORGET = "() => { window.__seen = {}; window.__first = null; }"

WATCH = """() => {
    const look = () => {
        const bar = document.querySelector('.onb-panel [role=progressbar][aria-valuetext]');
        if (bar) window.__first ??= Date.now() / 1000;
        const done = Number(bar?.getAttribute('aria-valuenow') ?? 0);
        for (let number = 1; number <= done; number += 1) window.__seen[number] ??= Date.now() / 1000;
        requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
}"""


def told(outputs: list[dict[str, object]]) -> list[object]:
    """Return what the cell printed as JSON."""
    text = "".join(str(output.get("text", "")) for output in outputs)
    found: list[object] = json.loads(text[text.index("@") + 1 :].splitlines()[0])
    return found


def cpu_of_browser() -> float:
    """Return the seconds of CPU that all processes of the browser have had."""
    import psutil

    found = 0.0
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "chrom" in process.name():
                times = process.cpu_times()
                found += times.user + times.system
    return found


def main() -> None:
    """Measure, and print a table."""
    from playwright.sync_api import sync_playwright

    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    place = Path(__file__).parents[1] / "browser" / "conftest.py"
    spec = importlib.util.spec_from_file_location("browser_conftest", place)
    assert spec is not None
    assert spec.loader is not None
    front = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = front
    spec.loader.exec_module(front)
    print(
        "commands  first ms  median ms   95 % ms  messages   kB/min   kernel's CPU, share   page's CPU, share of the run's time"
    )
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=front.chromium(), args=["--no-sandbox", "--disable-gpu"])
        server = front.Server(Path(folder))
        try:
            desk = front.Desk(browser, server)
            for commands in (10, 500):
                cells = [
                    RUN.format(panel=panel, pause=2 * length / commands, commands=commands)
                    for panel, length in [("on", seconds / 5), *ROUNDS * [("off", seconds), ("on", seconds)]]
                ]
                notebook = desk.open([SETUP + COUNT, *cells])
                notebook.run(0)
                notebook.run(1)
                notebook.page.evaluate(FORGET)
                notebook.page.evaluate(WATCH)
                kernel = page = 0.0
                for number in range(2, len(cells) + 1):
                    notebook.page.evaluate(FORGET)
                    before = cpu_of_browser()
                    notebook.run(number)
                    sign = 1 if number % 2 else -1
                    page += sign * (cpu_of_browser() - before) / ROUNDS
                    cpu, took, (messages, size), done, started = told(notebook.outputs(number))
                    kernel += sign * cpu / ROUNDS
                seen, first = notebook.page.evaluate("() => [window.__seen, window.__first]")
                there = [(place, at) for place, at in enumerate(done, 1) if str(place) in seen and at > first]
                late = sorted(1000 * (seen[str(place)] - at) for place, at in there)
                at95 = late[min(len(late) - 1, int(0.95 * len(late)))]
                print(
                    f"{commands:8} {1000 * (first - started):9.0f} {statistics.median(late):10.0f} {at95:9.0f}  {messages:8}"
                    f" {60 * size / took / 1e3:8.0f}   {kernel:7.2f} s {kernel / took:8.2%}   {page:7.2f} s {page / took:8.2%}"
                    f"   ({len(late)} seen)"
                )
                desk.tidy()
        finally:
            server.close()
            browser.close()


if __name__ == "__main__":
    main()
