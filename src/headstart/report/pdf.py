"""A page -> PDF, printed by a Chromium that is there already. Nothing is installed and nothing is fetched."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from headstart.errors import ReportError

CHOSEN = "HEADSTART_CHROMIUM"
"""The environment variable that names the program to use."""

PROGRAMS = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
    *("microsoft-edge", "microsoft-edge-stable", "msedge"),
)
APPLICATIONS = {
    "darwin": (
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    ),
    "win32": (
        r"C:\Program Files\Google\Chrome\Application\chrome.exe",
        r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
        r"C:\Program Files\Microsoft\Edge\Application\msedge.exe",
    ),
}
ARGUMENTS = (
    *("--headless", "--disable-gpu", "--disable-background-networking", "--disable-extensions", "--no-first-run"),
    *("--no-pdf-header-footer", "--hide-scrollbars"),
)

TIMEOUT_SECONDS = 180
START, END = b"%PDF-", b"%%EOF"
OURS = b"%headstart\n"
"""A comment after the end of a PDF, by which one that headstart wrote is known; readers pass over it."""

OTHERWISE = "Or open the page in a browser and print it to PDF there."


def find_browser() -> Path:
    """Return the program that prints: ``HEADSTART_CHROMIUM``, else the first Chromium, Chrome or Edge that is found.

    Raises:
        ReportError: there is none; the message says how to get one.
    """
    chosen = os.environ.get(CHOSEN)
    if chosen:
        found = shutil.which(chosen)
        if found is None:
            raise ReportError(f"{CHOSEN} names {chosen}, which is no program. Name a Chromium, Chrome or Edge.")
        return Path(found)
    for path in _programs():
        return path
    raise ReportError(
        "A PDF is printed by Chromium, Chrome or Edge, and none was found. Install one (Debian, Ubuntu: apt install "
        f"chromium), or name it by {CHOSEN}. {OTHERWISE}"
    )


def _programs() -> Iterator[Path]:
    found = (shutil.which(name) for name in (*PROGRAMS, *APPLICATIONS.get(sys.platform, ())))
    return (Path(path) for path in found if path)


def check_place(path: Path) -> None:
    """Refuse to write a PDF over something else.

    Raises:
        ReportError: the path is a folder, or a file that headstart did not write.
    """
    if path.is_dir():
        raise ReportError(f"{path} is a folder. Name a file for the PDF, such as {path / 'report.pdf'}.")
    if path.exists() and not path.read_bytes().endswith(OURS):
        raise ReportError(f"{path} is there already and is no PDF of headstart. Choose another name with --pdf.")


def print_page(page: Path, target: Path, *, timeout: float = TIMEOUT_SECONDS) -> Path:
    """Print a page to a PDF and return its path. The file is there whole or not at all.

    Raises:
        ReportError: no browser is found, it fails or takes longer than ``timeout`` seconds, or at ``target`` lies
            something else.
    """
    browser = find_browser()
    check_place(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    # beside the target: renamed in one step, and a browser in a sandbox of its own may not write to the system's /tmp
    with tempfile.TemporaryDirectory(prefix="headstart-pdf-", dir=target.parent, ignore_cleanup_errors=True) as name:
        printed = Path(name).resolve() / "page.pdf"
        said = _run(_command(browser, page, printed), timeout)
        if not _is_whole(printed):
            last = said.strip().splitlines()[-1:] or ["it said nothing"]
            raise ReportError(f"{browser} wrote no PDF ({last[0][:200]}). Try another by {CHOSEN}. {OTHERWISE}")
        with printed.open("ab") as stream:
            stream.write(b"\n" + OURS)
        printed.replace(target)
    return target


def _command(browser: Path, page: Path, printed: Path) -> list[str]:
    """Return the command line; a profile of its own keeps it apart from a browser that is open."""
    # Chromium refuses its sandbox to root, and what it prints here is our own page
    as_root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    own = [f"--user-data-dir={printed.with_name('profile')}", f"--print-to-pdf={printed}"]
    return [str(browser), *ARGUMENTS, *as_root, *own, page.resolve().as_uri()]


def _run(command: list[str], timeout: float) -> str:
    """Run the browser and return what it said on stderr; how it ended is told by the file, not by its status."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False, text=True,
            errors="replace",
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ReportError(
            f"{command[0]} did not print the page within {timeout:.0f} seconds. Try another by {CHOSEN}. {OTHERWISE}"
        ) from None
    except OSError as error:
        raise ReportError(
            f"{command[0]} cannot be started ({error.strerror or error}). Try another by {CHOSEN}. {OTHERWISE}"
        ) from None
    return done.stderr


def _is_whole(printed: Path) -> bool:
    """Tell whether a PDF was written to its end."""
    if not printed.is_file():
        return False
    with printed.open("rb") as stream:
        start = stream.read(len(START))
        stream.seek(-min(1024, printed.stat().st_size), os.SEEK_END)
        return start == START and END in stream.read()
