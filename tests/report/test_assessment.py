"""The page of an evaluation: it stands alone, and its numbers are those of the document."""

import dataclasses
import re

import numpy as np
import pytest

from headstart.classifier.assessment import AnswerQuality, Assessment, ClassAnswers, Learned, NoClass, Share
from headstart.data.findings import SetAside
from headstart.errors import DataError, ReportError
from headstart.evaluation.calibration import calibration_scores
from headstart.evaluation.metrics import evaluate
from headstart.report import assessment

CLASSES = ("crow", "<jay>")


def share(count, images):
    return Share(count, images, count / images, (0.1, 0.9))


@pytest.fixture
def found():
    labels = np.arange(40) % 2
    probabilities = np.abs(np.eye(2)[labels] - np.where(np.arange(40) < 3, 0.8, 0.1)[:, None])
    quality = AnswerQuality(
        share(30, 40),
        share(4, 40),
        share(30, 36),
        1.25,
        (ClassAnswers("crow", "recall", 0.4, share(9, 10), share(9, 20)),),
    )
    return Assessment(
        schema_version=1,
        classifier="runs/it/classifier",
        study="it",
        data="new & old",
        classes=CLASSES,
        temperature=1.5,
        images=40,
        set_aside=tuple(SetAside(f"{number}.jpg", "empty file") for number in range(20)),
        left_out={"owl": 3},
        notes=("A note.",),
        test=evaluate(labels, probabilities, CLASSES, seed=1),
        calibration=calibration_scores(labels, probabilities),
        answers=quality,
        unknown=NoClass({"emu": 5}, share(4, 5), 0.875),
    )


def test_the_page_stands_alone_and_tells_everything(found, tmp_path):
    page = assessment.write_page(found, tmp_path / "e.html").read_text("utf-8")
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)
    assert "&lt;jay&gt;" in page and "<jay>" not in page
    for text in (
        "new &amp; old",
        "A note.",
        "owl (3)",
        "Set aside, 20 in all",
        "and 8 more",
        "Refused of emu",
        "recall",
    ):
        assert text in page
    values = {
        pointer: float(value) for value, pointer in re.findall(r'<data value="([^"]+)" data-from="([^"]+)"', page)
    }
    assert values["found/test/accuracy"] == found.test.accuracy == 37 / 40
    assert values["found/unknown/auroc"] == 0.875
    assert values["found/answers/cost"] == 1.25
    assert values["found/test/per_class/1/recall"] == found.test.per_class[1].recall
    assert "<b>crow</b> taken for <b>&lt;jay&gt;</b>" in page
    assert assessment.render(found) == page


def test_what_is_not_ours_is_not_overwritten(found, tmp_path):
    (tmp_path / "thesis.html").write_text("mine")
    with pytest.raises(ReportError, match="no page of headstart"):
        assessment.write_page(found, tmp_path / "thesis.html")
    assessment.write_page(found, tmp_path / "e.html")
    assessment.write_page(found, tmp_path / "e.html")


def test_without_images_there_is_no_page(found):

    with pytest.raises(DataError, match="could be read, so there is no page"):
        assessment.render(dataclasses.replace(found, test=None))


def values_of(page):
    return {pointer: float(value) for value, pointer in re.findall(r'<data value="([^"]+)" data-from="([^"]+)"', page)}


def test_figures_of_new_images_come_first(found):
    labels = np.arange(12) % 2
    probabilities = np.abs(np.eye(2)[labels] - np.where(np.arange(12) < 3, 0.8, 0.1)[:, None])
    learned = Learned(
        28, evaluate(labels, probabilities, CLASSES, seed=1), calibration_scores(labels, probabilities), found.answers
    )
    page = assessment.render(dataclasses.replace(found, learned=learned))
    values = values_of(page)
    first = re.search(r'<p class="big"><data value="([^"]+)"', page)
    assert float(first[1]) == values["found/learned/test/accuracy"] == 9 / 12
    assert "of 12 new images classified right" in page
    assert (values["found/learned/images"], values["found/test/accuracy"]) == (28, 37 / 40)
    assert not [name for name in values if name.startswith(("found/test/per_class", "found/answers"))]


def test_pages_say_whether_the_images_are_new(found):
    part = (found.test, found.calibration, found.answers)
    old = assessment.render(found)
    none = assessment.render(dataclasses.replace(found, learned=Learned(0, *part)))
    every = assessment.render(dataclasses.replace(found, learned=Learned(40, None, None, None)))
    assert "learned from" in old and "None of these files" not in old
    assert "None of these files was learned from" in none and "flatter it" not in none
    assert every.index("this says nothing about new images") < every.index('<p class="big">')
    assert values_of(old)["found/test/accuracy"] == values_of(none)["found/test/accuracy"] == 37 / 40
