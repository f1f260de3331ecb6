"""`headstart report` and `headstart runs`: exit statuses, what stands on stdout, one clear line for what is wrong."""

import json
import sys

import pytest

from headstart.report import export, pdf

SMALL = {"backbones": ("mobilenet",), "rates": (1e-3,)}


@pytest.fixture
def two(build_run, tmp_path):
    """Make two runs in the folder ``runs``."""
    (tmp_path / "runs").mkdir()
    return build_run("runs/one", **SMALL), build_run("runs/two", **SMALL, seed=1)


@pytest.fixture
def printer(monkeypatch):
    """Replace the browser by a note of what it was asked."""
    asked = []
    monkeypatch.setattr(pdf, "find_browser", lambda: "chromium")
    monkeypatch.setattr(pdf, "print_page", lambda page, target: asked.append((str(page), str(target))) or target)
    return asked


def test_the_report_of_one_run_is_written_into_it(headstart, two):
    two[0].report.unlink(missing_ok=True)
    assert headstart("report", "runs/one") == (0, "runs/one/report.html\n", "")
    assert two[0].report.read_text().startswith("<!doctype html>")


def test_the_report_of_one_run_goes_where_it_is_asked_for(headstart, two, tmp_path):
    assert headstart("report", "runs/one", "--out", "pages/mine.html") == (0, "pages/mine.html\n", "")
    headstart("report", "runs/one")
    assert (tmp_path / "pages" / "mine.html").read_bytes() == two[0].report.read_bytes()


def test_several_runs_share_a_page_beside_them(headstart, two, tmp_path):
    assert headstart("report", "runs/one", "runs/two") == (0, "runs/comparison.html\n", "")
    assert "2 runs side by side" in (tmp_path / "runs" / "comparison.html").read_text()
    assert headstart("report", "runs/one", "runs/two", "--out", "both.html") == (0, "both.html\n", "")
    assert (tmp_path / "both.html").read_bytes() == (tmp_path / "runs" / "comparison.html").read_bytes()
    # the page among the runs is no run
    assert len(json.loads(headstart("runs", "--json")[1])) == 2


def test_pdf_figures_and_browser_follow_the_page(headstart, two, printer, monkeypatch, tmp_path):
    drawn, opened = [], []
    monkeypatch.setattr(export, "write_figures", lambda folder, directory: drawn.append((folder.path, directory)) or ())
    monkeypatch.setattr("click.launch", opened.append)
    status, out, error = headstart("report", "runs/one", "--pdf", "x.pdf", "--figures", "figures", "--open")
    assert (status, out.splitlines(), error) == (0, ["runs/one/report.html", "figures", "x.pdf"], "")
    assert printer == [("runs/one/report.html", "x.pdf")] and opened == ["runs/one/report.html"]
    assert [(str(folder), str(directory)) for folder, directory in drawn] == [("runs/one", "figures")]
    assert headstart("report", "runs/one", "runs/two", "--pdf", "y.pdf")[1].splitlines()[-1] == "y.pdf"
    assert printer[-1] == ("runs/comparison.html", "y.pdf")


BAD = [
    (["runs/one", "runs/one"], 2, "The run runs/one is given twice. Name each run once."),
    (["runs/one", "nowhere"], 1, "There is no folder nowhere."),
    (["runs"], 1, "runs is no run of headstart."),
    (["runs/one", "runs/torn"], 1, "The study in runs/torn is not finished."),
    (["runs/torn"], 1, "The study in runs/torn is not finished."),
    (["runs/one", "runs/two", "--out", "thesis.txt"], 1, "thesis.txt is there already and is no page of headstart."),
    (["runs/one", "--out", "thesis.txt"], 1, "thesis.txt is there already and is no page of headstart."),
    (["runs/one", "--pdf", "thesis.txt"], 1, "thesis.txt is there already and is no PDF of headstart."),
    (["runs/one", "runs/two", "--figures", "f"], 2, "--figures takes one RUN"),
    ([], 2, "Missing argument 'RUN...'"),
]


@pytest.mark.parametrize(("arguments", "expected", "words"), BAD, ids=lambda value: str(value)[:50])
def test_what_is_wrong_is_one_clear_line(headstart, two, build_run, printer, tmp_path, arguments, expected, words):
    (build_run("runs/torn", **SMALL).path / "summary.json").unlink()
    (tmp_path / "thesis.txt").write_text("precious")
    status, out, error = headstart("report", *arguments)
    assert (status, out) == (expected, "")
    assert words in error and "Traceback" not in error
    assert len([line for line in error.splitlines() if line.startswith("Error")]) == 1
    assert (tmp_path / "thesis.txt").read_text() == "precious"
    assert not (tmp_path / "runs" / "comparison.html").exists()


def test_without_a_browser_nothing_is_begun(headstart, two, monkeypatch, tmp_path):
    monkeypatch.setenv(pdf.CHOSEN, str(tmp_path / "no-browser"))
    status, out, error = headstart("report", "runs/one", "--pdf", "x.pdf")
    assert (status, out) == (1, "") and "HEADSTART_CHROMIUM names" in error
    assert not two[0].report.exists()


def test_runs_are_listed_newest_first(headstart, two, build_run):
    (build_run("runs/torn", **SMALL).path / "summary.json").write_text("{")
    status, out, error = headstart("runs")
    assert (status, error) == (0, "") and "\x1b" not in out
    lines = out.splitlines()
    assert lines[0].split()[:2] == ["run", "finished"] and len(lines) == 5
    assert {line.split()[0] for line in lines[1:4]} == {"one", "two", "torn"}
    summary = two[0].summary()
    [row] = [line for line in lines if line.startswith("one ")]
    assert summary.best in row and f"{summary.test.accuracy:.1%}" in row and row.split()[-1] == "done"
    assert lines[4].startswith("torn is damaged: summary.json cannot be read (")


def test_runs_as_json_are_one_document(headstart, two):
    status, out, error = headstart("runs", "runs", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert (status, error, set(rows)) == (0, "", {"one", "two"})
    summary = two[0].summary()
    assert rows["one"]["test"] == {
        "accuracy": summary.test.accuracy,
        "ci95": list(summary.test.intervals["accuracy"]),
    }
    assert (rows["one"]["folder"], rows["one"]["best"], rows["one"]["state"]) == ("runs/one", summary.best, "done")


def test_no_runs_are_an_empty_list_and_no_folder_is_an_error(headstart, tmp_path):
    for arguments in (["runs"], ["runs", "."]):
        status, out, error = headstart(*arguments)
        assert (status, out) == (0, "") and error.startswith("There is no run in ") and len(error.splitlines()) == 1
        assert headstart(*arguments, "--json") == (0, "[]\n", "")
    status, out, error = headstart("runs", "nowhere", "--json")
    assert (status, out) == (1, "") and error.startswith("Error: There is no folder nowhere.")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("report", ("--pdf", "--figures", "--out", "comparison.html", "Example: headstart report")),
        ("runs", ('"state": "done"|"not finished"|"damaged"', "Example: headstart runs")),
    ],
)
def test_help_shows_what_can_be_typed(headstart, command, words):
    status, out, _ = headstart(command, "--help")
    assert status == 0
    assert all(word in out for word in words)


@pytest.mark.parametrize("command", [["runs", "."], ["report", "one", "two"]])
def test_neither_command_loads_a_network(headstart, build_run, tmp_path, command):
    import subprocess

    build_run("one", **SMALL)
    build_run("two", **SMALL, seed=1)
    code = (
        "import sys\nfrom headstart import cli\n"
        f"sys.argv = ['headstart', *{command!r}]\n"
        "cli.main()\n"
        "heavy = {'keras', 'tensorflow', 'openvino', 'jax', 'torch', 'sklearn'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, capture_output=True)
