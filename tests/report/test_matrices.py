"""The confusion matrices are read back from their HTML and CSV and compared with the files of the run folder."""

import csv
import html
import io
import re
import time

import numpy as np
import pytest

from headstart.evaluation.metrics import confusion_matrix
from headstart.report import content, matrices

CELL = re.compile(r"<td[^>]*>(.*?)</td>")
SPAN = re.compile(r"<span class=(\w+)>(.*?)</span>")


def read(table):
    """Return the cells of a table as {span class: text}, row by row."""
    rows = table.partition("<tbody>")[2].split("</tr>")[:-1]
    return [[dict(SPAN.findall(html.unescape(inside))) for inside in CELL.findall(row)] for row in rows]


def counted(table):
    return [[int(spans.get("count", "0").replace(",", "")) for spans in row] for row in read(table)]


def truth(folder, part):
    """Count what the best candidate said of a part, from the predictions."""
    classes = len(folder.summary().dataset.classes)
    blocks = folder.predictions(candidates=[folder.summary().best], parts=[part])
    return sum(confusion_matrix(one.labels, one.probabilities.argmax(axis=1), classes) for one in blocks)


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        ({"failed": ("mobilenet-lr0.01",)}, ("test", "out_of_fold", "train")),
        ({"classes": ("cat", "dog"), "holdout": True, "folds": 1}, ("test", "validation", "train")),
        ({"classes": tuple(f"class {n}" for n in range(20)), "per_class": 15}, ("test", "out_of_fold", "train")),
        ({"classes": tuple(f"class {n}" for n in range(40)), "per_class": 10}, ("test", "out_of_fold", "train")),
    ],
)
def test_every_cell_is_that_of_the_predictions(build_run, settings, parts):
    folder = build_run(**settings)
    found = matrices.gather(content.gather(folder))
    assert tuple(one.part for one in found) == parts
    for one in found:
        expected = truth(folder, one.part)
        assert counted(one.table) == expected.tolist()
        header, *rows = csv.reader(io.StringIO(one.download.text))
        assert tuple(header[1:]) == tuple(row[0] for row in rows) == folder.summary().dataset.classes
        assert [[int(cell) for cell in row[1:]] for row in rows] == expected.tolist()
        assert one.download.name == f"confusion-matrix-{one.part.replace('_', '-')}.csv"


@pytest.mark.parametrize("classes", [5, 20])
def test_shares_are_of_the_row_and_of_the_column(build_run, classes):
    names = tuple(f"class {n}" for n in range(classes))
    folder = build_run(classes=names, per_class=15)
    test = matrices.gather(content.gather(folder))[0]
    counts = np.array(folder.summary().test.confusion_matrix)
    places = 1 if classes == 5 else 0
    for row, line in zip(counts, read(test.table), strict=True):
        for said, (count, spans) in enumerate(zip(row, line, strict=True)):
            assert spans["share"] == f"{100 * count / row.sum():.{places}f}"
            total = counts[:, said].sum()
            assert spans["said"] == (f"{100 * count / total:.{places}f}" if total else "\u2013")


def test_a_share_is_all_or_nothing_only_where_it_is():
    counts = np.array([[9999, 1], [0, 10]])
    [first, second] = read(matrices._table(matrices.Part("test", "Test", "", counts), ("cat", "dog")))
    assert [spans["share"] for spans in first] == ["99.9", "<0.1"]
    assert [spans["share"] for spans in second] == ["0.0", "100.0"]
    assert [spans["said"] for spans in first] == ["100.0", "9.1"]


def test_cells_of_a_class_without_images_have_no_share():
    first, second = matrices.cells(np.array([[3, 1], [0, 0]]))
    assert [cell.of_true for cell in first] == [0.75, 0.25]
    assert [cell.of_said for cell in first] == [1.0, 1.0]
    assert [cell.of_true for cell in second] == [None, None]
    assert [cell.heat for cell in second] == [0.0, 0.0]
    assert [cell.heat for cell in first] == [0.87, 0.5]
    assert [cell.right for cell in first] == [True, False]


def test_names_of_any_kind_are_text():
    names = ('<b>"bold"</b>', "$x_1$ & co")
    table = matrices._table(matrices.Part("test", "Test", "", np.eye(2, dtype=np.int64)), names)
    assert "<b>" not in table and html.unescape(table).count(names[0]) == 3
    assert re.findall(r'title="([^"]*)"', table) == [html.escape(name) for name in names]


def test_two_openings_of_the_test_set_are_said(build_run):
    found = matrices.gather(content.gather(build_run(openings=2)))
    assert "opened 2 times" in found[0].note
    assert "once" in matrices.gather(content.gather(build_run("once")))[0].note


def test_a_hundred_classes_are_quick_and_small():
    random = np.random.default_rng(0)
    names = tuple(f"a flower called {n}" for n in range(102))
    counts = 60 * np.eye(102, dtype=np.int64) + (random.random((102, 102)) < 0.1)
    start = time.perf_counter()
    table = matrices._table(matrices.Part("test", "Test", "", counts), names)
    assert time.perf_counter() - start < 2
    assert len(table) < 500_000 and "<td></td>" in table
    assert counted(table) == counts.tolist()
