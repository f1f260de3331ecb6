"""Evidence of whole studies: what is measured stands in the summary, travels in the classifier, and never flatters."""

import csv
import dataclasses
import json
import random

import numpy as np
import pytest
from PIL import Image

from headstart import api
from headstart.classifier.predict import load

BOTH = ("mobilenet:random", "mobilenet_v2:random")


@pytest.fixture(scope="module")
def place(finished, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_CACHE", str(finished.cache))
        yield tmp_path_factory.mktemp("evidence")


@pytest.fixture(scope="module")
def whole(finished, place):
    for number in range(12):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 40, 3), np.uint8)
        (place / "strange").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(place / "strange" / f"{number}.png")
    settings = dataclasses.replace(
        finished.settings,
        backbones=BOTH,
        nested=True,
        learning_curve=True,
        combine=True,
        target_precision=("red=0.9",),
        unknown=place / "strange",
    )
    return api.compare(finished.data, settings, out=place / "run")


def test_all_that_was_asked_for_is_in_the_summary(whole):
    summary = whole.summary
    missing = [
        name
        for name in ("calibration", "unknown", "operating", "optimism", "learning_curve", "label_doubts")
        if getattr(summary, name) is None
    ]
    assert not missing
    assert summary.overfitting and summary.recommendation and summary.estimands
    assert summary.optimism.nested is not None and len(summary.optimism.nested.folds) == 3
    assert summary.unknown.folder is not None and summary.unknown.folder.images == 12
    assert all(result.cv.accuracy.ci95 is not None for result in summary.candidates)
    assert {one.on for one in summary.comparison} == {"test", "folds"}


def test_nothing_was_said_to_have_failed(whole):
    lines = [json.loads(line) for line in (whole.folder / "log.jsonl").read_text("utf-8").splitlines()]
    parts = [line for line in lines if line["event"] == "evidence"]
    assert len(parts) >= 10
    assert [line["part"] for line in parts if line["failed"]] == []


def test_temperature_and_threshold_travel_in_the_classifier(whole):
    info = json.loads((whole.classifier / "classifier.json").read_text("utf-8"))
    assert info["temperature"] == pytest.approx(whole.summary.calibration.temperature)
    assert load(whole.classifier).classes == whole.summary.dataset.classes


def test_shuffled_labels_give_chance_and_no_better_verdict(finished, place):
    images = sorted(finished.data.rglob("*.png"))
    labels = [path.parent.name for path in images]
    random.Random(0).shuffle(labels)
    with (place / "shuffled.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label"])
        writer.writerows(zip(map(str, images), labels, strict=True))
    settings = dataclasses.replace(finished.settings, backbones=BOTH, test_fraction=0.4)
    summary = api.compare(place / "shuffled.csv", settings, out=place / "shuffled").summary
    low, high = summary.test.intervals["accuracy"]
    assert low <= 1 / 3 <= high
    # over-confident heads do differ in loss, whatever the labels
    of_being_right = [one for one in summary.comparison if one.measure != "loss"]
    assert len(of_being_right) >= 4
    assert {one.verdict for one in of_being_right} <= {"undecided", "equal"}
    assert summary.combinations == ()
    assert "was not shown to tell the classes apart" in summary.verdict
    assert summary.recommendation.startswith("None is worth taking yet")
