"""A page is printed by whatever Chromium is there; what goes wrong is one clear line and leaves nothing behind."""

import os
import shutil
import stat
import sys

import pytest

from headstart.errors import ReportError
from headstart.report import pdf
from headstart.report.page import write_report
from headstart.report.pdf import find_browser, print_page
from headstart.report.several import write_page

PROGRAM = """#!{python}
import json, pathlib, sys, time
arguments = sys.argv[1:]
target = next(one.partition("=")[2] for one in arguments if one.startswith("--print-to-pdf="))
pathlib.Path({log!r}).write_text(json.dumps(arguments))
{action}
"""
WRITES = 'pathlib.Path(target).write_bytes(b"%PDF-1.4 words %%EOF\\n")'


@pytest.fixture(autouse=True)
def no_browser(monkeypatch, tmp_path):
    """Hide the browsers of this machine."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv(pdf.CHOSEN, raising=False)
    monkeypatch.setattr(pdf, "APPLICATIONS", {})


@pytest.fixture
def browser(tmp_path):
    """Return a function that puts a browser into the path: it notes its arguments, then does something."""

    def make(action=WRITES, name="chromium"):
        program = tmp_path / "bin" / name
        program.write_text(PROGRAM.format(python=sys.executable, log=str(tmp_path / "arguments.json"), action=action))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return program

    return make


@pytest.fixture
def page(tmp_path):
    (tmp_path / "a run").mkdir()
    path = tmp_path / "a run" / "report #1.html"
    path.write_text("<!doctype html><title>x</title>")
    return path


def arguments_in(tmp_path):
    import json

    return json.loads((tmp_path / "arguments.json").read_text())


def test_the_browser_is_asked_to_print_and_nothing_else(browser, page, tmp_path):
    browser()
    target = tmp_path / "out" / "report.pdf"
    assert print_page(page, target) == target
    assert target.read_bytes().startswith(b"%PDF-")
    *options, address = arguments_in(tmp_path)
    assert address == page.as_uri() and "%20" in address and "%23" in address
    assert {"--headless", "--disable-gpu", "--disable-background-networking", "--no-pdf-header-footer"} <= set(options)
    profile = next(one.partition("=")[2] for one in options if one.startswith("--user-data-dir="))
    assert str(tmp_path / "out") in profile
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.pdf"]


@pytest.mark.parametrize(("user", "given"), [(0, True), (1000, False)])
def test_the_sandbox_is_left_out_for_root_alone(browser, page, tmp_path, monkeypatch, user, given):
    browser()
    monkeypatch.setattr(os, "geteuid", lambda: user, raising=False)
    print_page(page, tmp_path / "x.pdf")
    assert ("--no-sandbox" in arguments_in(tmp_path)) == given


@pytest.mark.parametrize("name", pdf.PROGRAMS)
def test_every_browser_of_the_family_is_found(browser, name):
    program = browser(name=name)
    assert find_browser() == program


def test_an_application_that_is_not_in_the_path_is_found(browser, tmp_path, monkeypatch):
    program = browser()
    elsewhere = program.rename(tmp_path / "Google Chrome")
    monkeypatch.setattr(pdf, "APPLICATIONS", {sys.platform: (str(tmp_path / "nowhere"), str(elsewhere))})
    assert find_browser() == elsewhere


def test_the_variable_wins(browser, tmp_path, monkeypatch):
    browser()
    chosen = browser(name="my-own-build")
    monkeypatch.setenv(pdf.CHOSEN, str(chosen))
    assert find_browser() == chosen
    monkeypatch.setenv(pdf.CHOSEN, str(tmp_path / "nowhere"))
    with pytest.raises(ReportError, match=r"HEADSTART_CHROMIUM names .*nowhere, which is no program"):
        find_browser()


def test_without_a_browser_it_is_said_how_to_get_one(page, tmp_path):
    with pytest.raises(ReportError, match="none was found") as caught:
        print_page(page, tmp_path / "x.pdf")
    said = str(caught.value)
    assert "apt install chromium" in said and pdf.CHOSEN in said and "print it to PDF there" in said
    assert "\n" not in said and not (tmp_path / "x.pdf").exists()


FAILURES = {
    "nothing written": ("print('no space on device', file=sys.stderr)", "no space on device"),
    "silent": ("sys.exit(3)", "it said nothing"),
    "half written": ('pathlib.Path(target).write_bytes(b"%PDF-1.4 and no end")', "it said nothing"),
    "no pdf": ('pathlib.Path(target).write_text("<html>")', "it said nothing"),
    "empty": ('pathlib.Path(target).write_bytes(b"")', "it said nothing"),
}


@pytest.mark.parametrize("kind", FAILURES)
def test_a_browser_that_fails_is_told_and_the_old_file_stays(browser, page, tmp_path, kind):
    action, words = FAILURES[kind]
    browser(action)
    (tmp_path / "out").mkdir()
    target = tmp_path / "out" / "x.pdf"
    yesterday = b"%PDF-1.4 of yesterday %%EOF\n" + pdf.OURS
    target.write_bytes(yesterday)
    with pytest.raises(ReportError, match=f"wrote no PDF .{words}") as caught:
        print_page(page, target)
    assert "\n" not in str(caught.value)
    assert target.read_bytes() == yesterday
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["x.pdf"]


def test_a_browser_that_hangs_is_ended(browser, page, tmp_path):
    browser("time.sleep(60)")
    with pytest.raises(ReportError, match="did not print the page within 1 seconds"):
        print_page(page, tmp_path / "x.pdf", timeout=1)
    assert not (tmp_path / "x.pdf").exists()


def test_a_program_that_cannot_run_is_told(browser, page, tmp_path):
    browser().write_bytes(b"\x00\x01 no program")
    with pytest.raises(ReportError, match="cannot be started"):
        print_page(page, tmp_path / "x.pdf")


def test_only_pdfs_of_headstart_are_written_over(browser, page, tmp_path):
    browser()
    thesis = b"%PDF-1.4 my thesis on headstart %%EOF\n"
    for name, words in (("thesis.txt", "is no PDF of"), ("thesis.pdf", "is no PDF of"), ("bin", "is a folder")):
        path = tmp_path / name
        if not path.exists():
            path.write_bytes(thesis)
        with pytest.raises(ReportError, match=words) as caught:
            print_page(page, path)
        assert "\n" not in str(caught.value)
    assert (tmp_path / "thesis.txt").read_bytes() == (tmp_path / "thesis.pdf").read_bytes() == thesis
    printed = print_page(page, tmp_path / "old.pdf")
    printed.write_bytes(printed.read_bytes().replace(b"words", b"older"))
    assert b"words" in print_page(page, printed).read_bytes()


CHROMIUM = shutil.which("chromium")


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")
def test_chromium_prints_one_run_and_several(build_run, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", os.defpath)
    monkeypatch.setenv(pdf.CHOSEN, CHROMIUM)
    folders = [build_run("one", backbones=("mobilenet",), pictures=True), build_run("two", seed=1)]
    several = write_page([folder.path for folder in folders], tmp_path / "several.html")
    sizes = []
    for page in (write_report(folders[0]), several):
        print_page(page, tmp_path / f"{page.stem}.pdf")
        printed = print_page(page, tmp_path / f"{page.stem}.pdf").read_bytes()
        assert printed.startswith(b"%PDF-")
        sizes.append(printed.count(b"/Type /Page\n"))
    assert sizes[0] >= 4 and sizes[1] >= 2, sizes
