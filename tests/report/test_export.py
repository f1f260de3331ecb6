"""Figures for papers: which files are written, what they hold, and what is left alone."""

import csv
import io
import json
import sys
import xml.etree.ElementTree as ElementTree

import pytest
from PIL import Image

from headstart import storage
from headstart.errors import MissingExtraError, RunError
from headstart.report.export import MARKER, write_figures
from headstart.runs.folder import MapRow

NAMES = ("<b>bold</b>", "$x_1$ & co", 'say "hi"', "日本", "x" * 60)


@pytest.fixture(scope="module")
def written(evidence_run, tmp_path_factory):
    folder, _ = evidence_run
    directory = tmp_path_factory.mktemp("figures") / "new"
    return folder, directory, write_figures(folder, directory)


def test_every_figure_is_there_as_svg_png_and_data(written):
    _, directory, paths = written
    assert sorted([*paths, directory / MARKER]) == sorted(directory.iterdir()) and len(set(paths)) == len(paths)
    stems = {suffix: {path.stem for path in paths if path.suffix == suffix} for suffix in (".svg", ".png", ".csv")}
    assert stems[".svg"] == stems[".png"]
    expected = {
        "accuracy-against-speed",
        "learning-rates",
        "roc",
        "precision-recall",
        "top-k",
        "reliability",
        "coverage",
    }
    expected |= {
        f"confusion-matrix-{part}-{kind}"
        for part in ("test", "train", "out-of-fold")
        for kind in ("counts", "shares", "shares-of-said")
    }
    expected |= {f"learning-curves-mobilenet-lr0.001-{kind}" for kind in ("accuracy", "loss", "precision", "recall")}
    assert expected | {"ranking", "accuracy-against-training-images"} <= stems[".svg"]
    for path in paths:
        if path.suffix == ".svg":
            ElementTree.parse(path)
        elif path.suffix == ".png":
            with Image.open(path) as picture:
                picture.verify()
                assert picture.width > 900 and picture.height > 600
        else:
            assert len(list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))) > 2


def test_data_of_matrices_are_those_of_the_summary(written):
    folder, directory, _ = written
    summary = json.loads((folder.path / "summary.json").read_text())
    rows = list(csv.reader((directory / "confusion-matrix-test.csv").read_text(encoding="utf-8").splitlines()))
    assert rows[0][1:] == summary["dataset"]["classes"] == [row[0] for row in rows[1:]]
    assert [[int(cell) for cell in row[1:]] for row in rows[1:]] == summary["test"]["confusion_matrix"]


def test_other_files_are_left_alone_and_old_figures_replaced(build_run, tmp_path):
    folder = build_run(backbones=("mobilenet",), rates=(1e-3,), classes=NAMES, per_class=10)
    rows = [
        MapRow(row.path, row.label, row.split, row.label, 1 / 3, float(number))
        for number, row in enumerate(folder.images())
    ]
    folder.write_map(rows)
    (tmp_path / "notes.txt").write_text("mine")
    write_figures(folder, tmp_path)
    (tmp_path / "roc.csv").write_text("old")
    paths = write_figures(folder, tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "roc.csv").read_text(encoding="utf-8").startswith("class,false_positive_rate")
    assert (tmp_path / "map.csv").read_bytes() == (folder.path / "map.csv").read_bytes()
    assert tmp_path / "map.svg" in paths and tmp_path / "map.png" in paths
    assert not list(tmp_path.glob("*.part")) and [one.name for one in tmp_path.glob(".*")] == [MARKER]
    first = {path: path.read_bytes() for path in paths}
    assert {path: path.read_bytes() for path in write_figures(folder, tmp_path)} == first
    texts = [one.text for one in ElementTree.parse(tmp_path / "confusion-matrix-test-counts.svg").iter() if one.text]
    assert {"<b>bold</b>", "$x_1$ & co", "日本"} <= set(texts)


def test_files_of_others_and_run_folders_are_refused(build_run, tmp_path):
    folder = build_run(backbones=("mobilenet",), rates=(1e-3,))
    before = sorted(folder.path.rglob("*"))
    with pytest.raises(RunError, match=r"run is a run folder.*Choose another folder for --figures"):
        write_figures(folder, folder.path)
    assert sorted(folder.path.rglob("*")) == before
    figures = tmp_path / "figures"
    storage.write_text(figures / "roc.csv", "precious")
    storage.write_text(figures / "top-k.svg", "precious")
    # a table of another one beside figures of headstart stays too
    for names in ("", "ranking.svg\n"):
        storage.write_text(figures / MARKER, names)
        with pytest.raises(RunError, match=r"roc\.csv and 1 more would be overwritten") as caught:
            write_figures(folder, figures)
        assert "\n" not in str(caught.value)
        assert sorted(one.name for one in figures.iterdir()) == [MARKER, "roc.csv", "top-k.svg"]
        assert (figures / "roc.csv").read_text() == "precious"


def test_nothing_is_written_when_a_figure_fails(build_run, tmp_path, monkeypatch):
    folder = build_run(backbones=("mobilenet",), rates=(1e-3,))
    monkeypatch.setattr("headstart.report.export.heatmaps.matrix_panel", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_figures(folder, tmp_path / "figures")
    assert not (tmp_path / "figures").exists()


def test_a_file_is_no_folder(build_run, tmp_path):
    storage.write_text(tmp_path / "taken", "x")
    with pytest.raises(RunError, match=r"taken is a file\. --figures needs a folder"):
        write_figures(build_run(), tmp_path / "taken")


def test_a_missing_package_is_named(build_run, monkeypatch, tmp_path):
    folder = build_run()
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"matplotlib is not installed.*headstart\[study\]"):
        write_figures(folder, tmp_path / "figures")
