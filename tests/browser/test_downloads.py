"""What a click on a data link saves, against the files of the run folder, read here without headstart."""

import base64
import csv
import gzip
import io
import json

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve, roc_curve

pytestmark = pytest.mark.browser

PARTS = {"test": "test", "out-of-fold": "out_of_fold", "train": "train", "validation": "validation"}
GALLERIES = ("mistakes", "confused-pairs", "least-sure", "sure-and-right", "finalists-disagree")
MEASURED = (
    *("accuracy-against-speed", "learning-rates", "top-k", "reliability", "coverage"),
    "accuracy-against-training-images",
)
CURVES = {
    "roc": (roc_curve, ("false_positive_rate", "true_positive_rate")),
    "precision-recall": (precision_recall_curve, ("precision", "recall")),
}


class Files:
    """The files of a run folder as rows of text and as the numbers that stand in them."""

    def __init__(self, path):
        self.path = path
        with gzip.open(path / "predictions.csv.gz", "rt", encoding="utf-8", newline="") as stream:
            self.predictions = list(csv.DictReader(stream))
        self.summary = json.loads((path / "summary.json").read_text("utf-8"))
        timings = json.loads((path / "timings.json").read_text("utf-8"))
        self.numbers = set(numbers_in(self.summary)) | set(numbers_in(timings))
        self.classes = self.summary["dataset"]["classes"]

    def lines(self, name):
        return (self.path / name).read_text("utf-8").splitlines()

    def of_the_best(self, part):
        best = self.summary["best"]
        return [row for row in self.predictions if (row["candidate"], row["part"]) == (best, part)]


def numbers_in(value):
    """Yield every number in a JSON document."""
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from numbers_in(one)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield float(value)


def decoded(address):
    """Return the text in a data address."""
    kind, content = address.split(",", 1)
    assert kind == "data:text/csv;charset=utf-8;base64"
    return base64.b64decode(content).decode()


def test_every_data_link_holds_what_the_run_folder_says(opened):
    files = Files(opened.folder.path)
    links = opened.ask("links")
    names = [link["name"] for link in links]
    assert len(names) == len(set(names)) >= 10
    for link in links:
        check(link["name"].removesuffix(".csv"), decoded(link["address"]), files)


def check(name, text, files):
    """Compare one table with the files that it comes from; a name without a rule is an error."""
    rows = list(csv.DictReader(io.StringIO(text)))
    assert rows, name
    if name in ("results", "map", "layers", "doubts"):
        assert text.splitlines() == files.lines(f"{name}.csv"), name
    elif name.startswith("learning-curves-"):
        header, *lines = files.lines("history.csv")
        mine = [line for line in lines if next(csv.reader([line]))[0] == rows[0]["candidate"]]
        assert text.splitlines() == [header, *mine], name
    elif name.startswith("confusion-matrix-"):
        assert text.splitlines()[1:] == confusions(PARTS[name.removeprefix("confusion-matrix-")], files), name
    elif name in GALLERIES:
        said = {(row["candidate"], row["path"]): row for row in files.predictions if row["part"] == "test"}
        for row in rows:
            whole = said[row["candidate"], row["path"]]
            assert {key: whole[key] for key in row} == row, name
    elif name == "images-per-class":
        assert rows == list(counts(files.summary["dataset"]["counts"])), name
    elif name in CURVES:
        check_curve(name, rows, files)
    else:
        assert name in MEASURED, f"{name}.csv has no rule here"
        cells = [number(cell) for row in rows for cell in row.values()]
        found = {cell for cell in cells if cell is not None}
        assert found <= files.numbers | shown(files.summary) | set(range(11)), name


def shown(summary):
    """Return the accuracies on images held back as figures show them: less what choosing the best of several adds."""
    at_end = summary["optimism"] and summary["protocol"]["score_epoch"] == "last"
    by = (summary["optimism"]["selection"] or 0.0) if at_end else 0.0
    accuracies = [one["cv"]["accuracy"] for one in summary["candidates"] if one["cv"]]
    values = [value for one in accuracies for value in (one["mean"], *(one["ci95"] or ()))]
    return {min(1.0, max(0.0, value - by)) for value in values}


def number(cell):
    try:
        return float(cell)
    except ValueError:
        return None


def confusions(part, files):
    """Return the lines of the best candidate's matrix."""
    pairs = [(row["label"], row["predicted"]) for row in files.of_the_best(part)]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([true, *(pairs.count((true, said)) for said in files.classes)] for true in files.classes)
    return stream.getvalue().splitlines()


def counts(splits):
    for name in next(iter(splits.values())):
        own = {split: found[name] for split, found in splits.items()}
        yield {"class": name, **{split: str(found) for split, found in own.items()}, "all": str(sum(own.values()))}


def check_curve(name, rows, files):
    """Every point of a curve is one that scikit-learn finds."""
    curve, columns = CURVES[name]
    test = files.of_the_best("test")
    for label in {row["class"] for row in rows}:
        truth = np.array([row["label"] == label for row in test])
        score = np.array([float(row[f"p:{label}"]) for row in test])
        exact = {"drop_intermediate": False} if curve is roc_curve else {}
        found = curve(truth, score, **exact)[:2]
        points = set(zip(found[0].round(9).tolist(), found[1].round(9).tolist(), strict=True))
        mine = [[round(float(row[column]), 9) for column in columns] for row in rows if row["class"] == label]
        assert len(mine) > 1 and set(map(tuple, mine)) <= points, (name, label)


def test_a_click_saves_the_file(opened):
    page = opened.show()
    link = opened.ask("links")[0]
    with page.expect_download() as saving:
        page.locator("a[download]").first.click()
    assert saving.value.suggested_filename == link["name"]
    assert saving.value.path().read_text("utf-8") == decoded(link["address"])
