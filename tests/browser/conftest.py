"""Pages of made-up run folders, opened in Debian's Chromium.

On a machine without Chromium or Playwright these tests are skipped and say why. Where ``HEADSTART_BROWSER=required``
is set, as ``.ci/run`` does, they fail instead, so that nobody believes that they ran.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from headstart.recipe import PublishedValue
from headstart.runs.folder import RunFolder

ROOT = Path(__file__).parents[2]
PROBES = Path(__file__).with_name("probes.js")
ASK = "([name, values]) => window.probes[name](...values)"
AXE = ROOT / ".venv" / "node" / "node_modules" / "axe-core" / "axe.min.js"
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
HEIGHT = 900
PRESSES = 400


LONG = tuple(
    f"{kind} of the northern and the western meadows, in full bloom" for kind in ("daisies", "roses", "tulips")
)
PUBLISHED = (
    PublishedValue("mobilenet_v2-lr0.01", "test", "accuracy", 0.91),
    PublishedValue("mobilenet_v2-lr0.01", "validation", "accuracy:fold 1", 0.89),
    PublishedValue("mobilenet_v2-lr0.01", "test", "recall:roses", 0.88),
    PublishedValue("somebody else's", "test", "accuracy", 0.87),
)
CASES = {
    "everything": {
        "backbones": ("mobilenet_v2", "mobilenet", "resnet50"),
        "rates": (1e-2, 1e-3, 1e-4),
        "failed": ("resnet50-lr0.0001",),
        "galleries": True,
        "evidence": True,
        "phases": (8,),
        "published": PUBLISHED,
        "unknown": ("The rate of the second phase is not said.",),
        "openings": 2,
    },
    "two classes": {
        "classes": ("cat", "dog"),
        "pictures": True,
        "augmented": True,
        "holdout": True,
        "evidence": True,
        "clean": True,
    },
    "forty classes": {"classes": tuple(f"species {n:02d}" for n in range(40)), "per_class": 15, "clean": True},
    "long names": {"classes": LONG, "evidence": True, "galleries": True, "named": (LONG[0], "x" * 70)},
    "one candidate": {"backbones": ("mobilenet",), "rates": (1e-3,), "clean": True, "perfect": True},
}
"""What the pages show: every part of a report, and the sizes at which a page breaks. The last one has no error."""


@dataclass
class Opened:
    """A page in the browser, and all that it said and asked for since it was opened."""

    name: str
    folder: RunFolder
    address: str
    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Write down console messages, errors of scripts and requests."""
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def show(self, width: int = 1440, scheme: str = "light", media: str = "screen") -> Any:
        """Set width in pixels, colour scheme and medium, and return Playwright's page."""
        self.page.set_viewport_size({"width": width, "height": HEIGHT})
        self.page.emulate_media(color_scheme=scheme, media=media)
        return self.page

    def ask(self, probe: str, *values: Any) -> Any:
        """Return what a function of ``probes.js`` answers."""
        return self.page.evaluate(ASK, [probe, list(values)])

    def fold(self, *, opened: bool) -> None:
        """Open or shut all that can be unfolded."""
        self.page.evaluate("open => document.querySelectorAll('details').forEach(one => { one.open = open })", opened)


def await_keys(page: Any) -> None:
    """Wait until keys reach the page: on a busy machine the browser loses those that come too soon after loading."""
    page.evaluate("addEventListener('keydown', () => { window.keysReach = true; }, { once: true })")
    for _ in range(PRESSES):
        page.keyboard.press("Shift")
        if page.evaluate("window.keysReach === true"):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"No key reached {page.url}.")


def missing(what: str) -> None:
    """Skip the test, or fail it where the browser is required."""
    if os.environ.get("HEADSTART_BROWSER") == "required":
        pytest.fail(f"{what}, and HEADSTART_BROWSER=required.")
    pytest.skip(what)


@pytest.fixture(scope="session")
def browser():
    """Return headless Chromium, one for all tests."""
    program = shutil.which("chromium")
    if program is None:
        missing("Debian's package chromium is not installed")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        missing("Python's package playwright is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def made_up():
    """Return the module of the report's tests that makes up run folders."""
    path = ROOT / "tests" / "report" / "conftest.py"
    spec = importlib.util.spec_from_file_location("made_up_run_folders", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session", params=list(CASES))
def opened(request, browser, made_up, tmp_path_factory):
    """Return the page of one case, all of it unfolded; every test sets width, colours and medium itself."""
    sample = made_up.Sample(mapped=True, **CASES[request.param])
    folder = made_up.Builder(tmp_path_factory.mktemp("browser") / "run", sample).build()
    path = folder.write_report(made_up.render(folder))
    context = browser.new_context(viewport={"width": 1440, "height": HEIGHT}, reduced_motion="reduce")
    case = Opened(request.param, folder, path.as_uri(), context.new_page())
    case.listen()
    case.page.goto(case.address, wait_until="load")
    await_keys(case.page)
    case.page.evaluate(PROBES.read_text(encoding="utf-8"))
    case.fold(opened=True)
    yield case
    context.close()


@pytest.fixture(scope="session")
def ask_of():
    """Return a function that makes any page answer the functions of ``probes.js``."""

    def answering(page):
        page.evaluate(PROBES.read_text(encoding="utf-8"))
        return lambda probe, *values: page.evaluate(ASK, [probe, list(values)])

    return answering


@pytest.fixture(scope="session")
def axe():
    """Return the source of axe-core."""
    if not AXE.is_file():
        missing("axe-core is not installed (make test fetches it where npm is present)")
    return AXE.read_text(encoding="utf-8")
