"""``headstart evaluate`` from outside: on a study's own test images it finds what the study found."""

import csv
import functools
import json

import numpy as np
import pytest
from PIL import Image

import headstart


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A finished study of sixty small pictures, and its folder of images."""
    place, random = tmp_path_factory.mktemp("study"), np.random.default_rng(0)
    for number in range(60):
        path = place / "photos" / ("cat", "dog", "owl")[number % 3] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        colour = random.integers(0, 180, 3) + 25 * (number % 3)
        Image.fromarray(np.full((12, 12, 3), colour, np.uint8)).save(path)
    settings = headstart.Settings(
        backbones=("mobilenet:random",), learning_rates=(1e-2,), folds=2, epochs=2, image_size=32, cost=("cat:dog=3",)
    )
    return headstart.compare(place / "photos", settings, out=place / "run"), place / "photos"


@pytest.fixture
def evaluate(headstart):
    return functools.partial(headstart, "evaluate")


@pytest.fixture
def sealed(study, tmp_path):
    """The study's test images as a CSV."""
    result, photos = study
    with (result.folder / "images.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["split"] == "test"]
    with (tmp_path / "test.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("path", "label"), *((photos / row["path"], row["label"]) for row in rows)])
    return tmp_path / "test.csv"


def test_the_studys_own_test_images(study, sealed, evaluate):
    result, _ = study
    summary = result.summary
    status, out, error = evaluate(result.classifier, sealed, "--json")
    found = json.loads(out)
    assert (status, error) == (0, "")
    assert found["test"]["accuracy"] == summary.test.accuracy
    assert found["test"]["confusion_matrix"] == [list(row) for row in summary.test.confusion_matrix]
    assert found["temperature"] == summary.calibration.temperature
    assert found["test"]["loss"] == pytest.approx(summary.calibration.after.loss, rel=1e-4)
    assert found["calibration"]["brier"] == pytest.approx(summary.calibration.after.brier, rel=1e-4)
    assert (
        found["answers"]["cost"] == pytest.approx(summary.operating.cost_after) or found["answers"]["refused"]["count"]
    )
    before = json.loads((result.folder / "summary.json").read_text())["test"]
    assert set(found["test"]) == set(before)
    assert found["test"]["intervals"]["accuracy"] == before["intervals"]["accuracy"]


def test_talk_and_page(study, sealed, evaluate, tmp_path):
    result, photos = study
    status, out, _ = evaluate(result.classifier, sealed, "--report", "page.html")
    assert status == 0
    assert f"{result.summary.test.accuracy:.1%} of 12 images right" in out
    assert "\nNone of these files was learned from.\n" in out
    assert out.splitlines()[-1] == "page.html"
    assert (tmp_path / "page.html").read_text("utf-8").startswith("<!doctype html>")
    status, out, error = evaluate(result.classifier, photos, "--json", "--report", "page.html")
    assert (json.loads(out)["images"], error) == (60, "page.html\n")


def test_images_learned_from_are_left_out_of_the_headline(study, sealed, evaluate, tmp_path):
    result, photos = study
    found = json.loads(evaluate(result.classifier, photos, "--json")[1])
    # a new key, whose figures are those of the test images alone; "test" stays on all that was shown
    alone = json.loads(evaluate(result.classifier, sealed, "--json")[1])
    assert (found["learned"]["images"], alone["learned"]["images"]) == (48, 0)
    assert found["learned"]["test"]["confusion_matrix"] == alone["test"]["confusion_matrix"]
    assert found["learned"]["test"]["loss"] == pytest.approx(alone["test"]["loss"])
    assert np.sum(found["test"]["confusion_matrix"]) == 60
    headline, said = evaluate(result.classifier, photos)[1].splitlines()[:2]
    assert headline.startswith(f"{result.summary.test.accuracy:.1%} of 12 new images right (95 % interval")
    assert said == (
        f"48 of the 60 images were learned from and are left out here; with them it is "
        f"{found['test']['accuracy']:.1%}, which says nothing about new images."
    )
    with (result.folder / "images.csv").open(newline="") as stream:
        learned = [row for row in csv.DictReader(stream) if row["split"] == "train"]
    with (tmp_path / "train.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("path", "label"), *((photos / row["path"], row["label"]) for row in learned)])
    lines = evaluate(result.classifier, "train.csv")[1].splitlines()
    assert lines[0] == "All 48 images were learned from: this says nothing about new images."
    assert lines[1].split(" ", 1)[1].startswith("of 48 images right")


def test_other_classes(study, evaluate, tmp_path):
    result, photos = study
    for name in ("cat", "emu"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for file in sorted((photos / "cat").iterdir())[:5]:
            (tmp_path / "data" / name / file.name).write_bytes(file.read_bytes())
    status, out, error = evaluate(result.classifier, "data")
    assert (status, out) == (2, "") and "emu" in error and "--other-classes skip" in error
    status, out, _ = evaluate(result.classifier, "data", "--other-classes", "skip")
    assert status == 0 and "Left out: emu (5 images)." in out
    status, out, _ = evaluate(result.classifier, "data", "--other-classes", "unknown")
    assert status == 0 and "Of 5 images of other classes" in out
    (tmp_path / "names.csv").write_text("label,name\nemu,dog\n")
    status, out, _ = evaluate(result.classifier, "data", "--class-names", "names.csv", "--json")
    assert json.loads(out)["images"] == 10


def test_what_cannot_be_is_one_line(study, evaluate, tmp_path):
    result, photos = study
    for arguments, status in (([result.classifier, "nowhere"], 1), ([photos, photos], 1)):
        code, out, error = evaluate(*arguments)
        assert (code, out, len(error.splitlines())) == (status, "", 1)
    (tmp_path / "thesis.html").write_text("mine")
    for place, reason in (("thesis.html", "is no page of headstart"), (".", "is a folder")):
        code, out, error = evaluate(result.classifier, photos, "--report", place)
        # before the images are looked at
        assert (code, out) == (1, "") and reason in error and "Evaluating" not in error
    assert (tmp_path / "thesis.html").read_text() == "mine"
