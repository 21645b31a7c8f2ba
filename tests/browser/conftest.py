"""JupyterLab, Notebook 7 and Voilà in a real headless Chromium, and nothing of the user's configuration.

One server gives all three front ends. A browser context lets no request leave the machine and keeps those that would.
"""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import nbformat
import pytest

import orchestrator_nb

PATIENCE = 90.0
"""Seconds that anything may take: a shared machine may be slow, and no test says how fast something is."""

SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
    "@jupyterlab/apputils-extension:themes": {"theme": "JupyterLab Light", "adaptive-theme": False},
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
}
FOLDERS = {
    "JUPYTER_CONFIG_DIR": "config",
    "JUPYTER_DATA_DIR": "data",
    "JUPYTER_RUNTIME_DIR": "runtime",
    "IPYTHONDIR": "ipython",
    "JUPYTERLAB_SETTINGS_DIR": "settings",
    "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
}
SHELL = "window.jupyterapp.shell.currentWidget"


def chromium() -> str | None:
    """Return the path of Chromium or Chrome, None where there is neither."""
    named = os.environ.get("CHROMIUM")
    return named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a browser these tests are skipped, in CI they fail: there it is installed."""
    here = Path(__file__).parent
    missing = None
    if chromium() is None:
        missing = "there is no Chromium; Debian has it as the package chromium"
    else:
        wanted = ("axe_playwright_python", "playwright", "jupyterlab", "notebook", "voila", "anywidget")
        gone = [name for name in wanted if importlib.util.find_spec(name) is None]
        if gone:
            missing = f"{', '.join(gone)} cannot be imported; the extra test has all of them"
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if missing is not None and not os.environ.get("CI"):
                item.add_marker(pytest.mark.skip(reason=missing))


class Server:
    """A Jupyter server in a process of its own, in folders of its own."""

    def __init__(self, base: Path) -> None:
        self.base, self.root, self.token = base, base / "work", secrets.token_hex(16)
        for name in ("work", "config/labconfig", *FOLDERS.values()):
            (base / name).mkdir(parents=True, exist_ok=True)
        (base / "config/labconfig/default_setting_overrides.json").write_text(json.dumps(SETTINGS))
        package = Path(orchestrator_nb.__file__).parents[1]
        environment = {
            **os.environ,
            **{name: str(base / folder) for name, folder in FOLDERS.items()},
            "PYTHONPATH": os.pathsep.join([str(package), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "ORCHESTRATOR_NB_STORE": str(base / "work/runs"),
        }
        self._log = base / "server.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1",
                    "--ServerApp.port=0", f"--IdentityProvider.token={self.token}",
                    f"--ServerApp.root_dir={self.root}", "--ServerApp.terminals_enabled=False",
                    "--LabApp.expose_app_in_browser=True", "--JupyterNotebookApp.expose_app_in_browser=True",
                    "--LabApp.extension_manager=readonly",
                    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
                    "--LanguageServerManager.autodetect=False",
                ],
                env=environment, cwd=self.root, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        self.url = self._started()

    def _started(self) -> str:
        told = self.base / "runtime" / f"jpserver-{self._process.pid}.json"
        end = time.monotonic() + 2 * PATIENCE
        while time.monotonic() < end and self._process.poll() is None:
            try:
                self.url = str(json.loads(told.read_text())["url"]).rstrip("/")
                self.ask("/api/status")
            except (OSError, ValueError, KeyError):
                time.sleep(0.05)
            else:
                return self.url
        self.close()
        raise AssertionError(f"the Jupyter server has not started:\n{self._log.read_text()[-4000:]}")

    def ask(self, path: str, method: str = "GET") -> Any:
        """Ask the server's own interface."""
        request = urllib.request.Request(
            self.url + path, method=method, headers={"Authorization": f"token {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
            body = reply.read()
        return json.loads(body) if body else None

    def end_kernels(self) -> None:
        """End all kernels; Voilà's are of no session."""
        for session in self.ask("/api/sessions"):
            self.ask(f"/api/sessions/{session['id']}", "DELETE")
        for kernel in self.ask("/api/kernels"):
            self.ask(f"/api/kernels/{kernel['id']}", "DELETE")

    def close(self) -> None:
        """End the server."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(10)


class Notebook:
    """A notebook that is open in JupyterLab or Notebook 7; `page` is Playwright's."""

    def __init__(self, server: Server, page: Any, path: str, front: str) -> None:
        self.server, self.page, self.path, self.front = server, page, path, front
        if front == "lab" and page.url.startswith(server.url):
            self.command("docmanager:open", {"path": path, "factory": "Notebook"})
            self._ready()
        else:
            self.load()

    def load(self) -> None:
        """Load the page, also again, and wait until its kernel answers."""
        where = {"lab": f"lab/tree/{self.path}?reset&", "notebook": f"notebooks/{self.path}?"}[self.front]
        url = f"{self.server.url}/{where}token={self.server.token}"
        self.page.goto(url, wait_until="domcontentloaded", timeout=1000 * PATIENCE)
        self.wait("() => window.jupyterapp?.restored.then(() => true) ?? false")
        self._ready()

    def _ready(self) -> None:
        self.wait(
            f"(path) => {{ const w = {SHELL}; return w?.context?.path === path && w.context.isReady"
            " && w.sessionContext?.isReady && w.sessionContext.session?.kernel?.status === 'idle' }",
            self.path,
        )
        self.panel = self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")

    def wait(self, script: str, argument: Any = None) -> Any:
        """Wait until a script of the page gives something true."""
        return self.page.wait_for_function(script, arg=argument, timeout=1000 * PATIENCE)

    def command(self, name: str, arguments: dict[str, Any] | None = None, *, wait: bool = True) -> None:
        """Execute a command of JupyterLab."""
        key = self.page.evaluate(
            "([name, args]) => { const key = 'c' + Math.random(), box = (window.__done ??= {});"
            " window.jupyterapp.commands.execute(name, args).then(() => { box[key] = 'ok' },"
            " (e) => { box[key] = 'failed: ' + e }); return key }",
            [name, arguments or {}],
        )
        if wait:
            assert self.wait("(key) => window.__done[key]", key).json_value() == "ok"

    def run(self, number: int, *, wait: bool = True) -> None:
        """Run a cell."""
        self.page.evaluate(f"(i) => {{ {SHELL}.content.deselectAll(); {SHELL}.content.activeCellIndex = i }}", number)
        self.command("notebook:run-cell", wait=wait)

    def output(self, number: int) -> Any:
        """Return the place where a cell shows what it gives."""
        return self.panel.locator(".jp-Notebook .jp-Cell").nth(number).locator(".jp-Cell-outputArea")

    def outputs(self, number: int) -> list[dict[str, Any]]:
        """Return the outputs of a cell as a save would write them."""
        found: list[dict[str, Any]] = self.page.evaluate(
            f"(i) => {SHELL}.content.widgets[i].model.outputs.toJSON()", number
        )
        return found

    def save(self) -> Any:
        """Save, and return the notebook as it is in the file."""
        self.command("docmanager:save")
        return nbformat.read(self.server.root / self.path, as_version=4)


class Desk:
    """A browser context; `refused` are the requests to other hosts that were made and not let through."""

    def __init__(self, browser: Any, server: Server, **options: Any) -> None:
        self.server = server
        self.refused: list[str] = []
        self.context = browser.new_context(viewport={"width": 1280, "height": 1000}, **options)
        self.context.set_default_timeout(1000 * PATIENCE)
        self.context.route(
            lambda url: url.startswith("http") and not url.startswith(("http://127.0.0.1", "http://localhost")),
            self._refuse,
        )
        self._lab: Any = None

    def _refuse(self, route: Any) -> None:
        self.refused.append(route.request.url)
        route.abort()

    def open(self, cells: list[str], front: str = "lab") -> Notebook:
        """Open a new notebook with these cells, with a kernel of its own; JupyterLab's page is loaded once for all."""
        if front != "lab":
            return Notebook(self.server, self.context.new_page(), self.write(cells), front)
        if self._lab is None:
            self._lab = self.context.new_page()
        self._lab.bring_to_front()
        return Notebook(self.server, self._lab, self.write(cells), front)

    def tidy(self) -> None:
        """Close what a test has opened, but for the page of JupyterLab."""
        for page in self.context.pages:
            if page is not self._lab:
                page.close()
        if self._lab is not None:
            self._lab.evaluate(
                "() => { for (const w of [...window.jupyterapp.shell.widgets('main')])"
                " if (w.context) { w.context.model.dirty = false; w.dispose() } }"
            )
        self.refused.clear()
        self.server.end_kernels()

    def write(self, cells: list[str]) -> str:
        """Write a notebook with these cells; return its name."""
        name = f"n{secrets.token_hex(4)}.ipynb"
        spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook = nbformat.v4.new_notebook(metadata={"kernelspec": spec})
        notebook.cells = [nbformat.v4.new_code_cell(source) for source in cells]
        nbformat.write(notebook, str(self.server.root / name))
        return name

    def voila(self, cells: list[str]) -> Any:
        """Open a notebook with these cells in Voilà; return Playwright's page."""
        page = self.context.new_page()
        url = f"{self.server.url}/voila/render/{self.write(cells)}?token={self.server.token}"
        page.goto(url, wait_until="domcontentloaded", timeout=1000 * PATIENCE)
        return page


@pytest.fixture(scope="module")
def browser():
    """Chromium."""
    from playwright.sync_api import expect, sync_playwright

    path = chromium()
    assert path is not None, "there is no Chromium; Debian has it as the package chromium"
    expect.set_options(timeout=1000 * PATIENCE)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                  "--disable-background-networking", "--disable-component-update", "--disable-sync"],
            timeout=1000 * PATIENCE,
        )  # fmt: skip
        yield started
        started.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    """The Jupyter server of all tests."""
    started = Server(tmp_path_factory.mktemp("jupyter"))
    yield started
    started.close()


@pytest.fixture(scope="module")
def wide_desk(browser, server):
    """The browser context of all tests."""
    opened = Desk(browser, server, reduced_motion="reduce")
    yield opened
    opened.context.close()


@pytest.fixture
def desk(wide_desk):
    """The browser context, without anything open in it."""
    yield wide_desk
    wide_desk.tidy()
