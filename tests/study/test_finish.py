"""The summary of a finished study: what it compares, and that it says the same each time."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from headstart import api, storage
from headstart.api import Settings
from headstart.evaluation.evidence import Evidence
from headstart.evaluation.summary import Summary
from headstart.runs.folder import RunFolder
from headstart.study.finish import count_alike


@pytest.fixture(scope="module")
def summary(finished):
    return finished.result.summary


def test_every_part_of_the_evidence_has_its_place():
    names = {field.name for field in dataclasses.fields(Summary)}
    assert {field.name for field in dataclasses.fields(Evidence)} <= names


def test_finalists_are_compared_on_the_test_images_and_candidates_on_the_folds(summary):
    finals = {final.candidate for final in summary.finals} - {summary.best}
    done = {one.id for one in summary.candidates if one.cv} - {summary.best}
    on = [row.on for row in summary.comparison]
    assert on == sorted(on, reverse=True)
    assert {row.b for row in summary.comparison if row.on == "test"} == finals
    folds = [row for row in summary.comparison if row.on == "folds"]
    assert [row.b for row in folds] == [one.id for one in summary.candidates if one.id in done]
    by_id = {one.id: one.cv.accuracy for one in summary.candidates}
    for row in folds:
        assert row.difference == pytest.approx(by_id[summary.best].mean - by_id[row.b].mean)


def test_friedman_has_every_candidate_that_finished(summary):
    done = [one.id for one in summary.candidates if one.cv]
    if len(done) < 3:
        assert summary.friedman is None
    else:
        assert list(summary.friedman.candidates) == done


def test_images_that_share_a_group_are_counted():
    rows = tuple(SimpleNamespace(group=name) for name in ("", "", "cat 1", "cat 1", "cat 2", "cat 2", "cat 3"))
    parts = SimpleNamespace(rows=rows)
    assert count_alike(parts, np.arange(7)) == 4
    assert count_alike(parts, np.array([0, 1, 2, 4, 6])) == 0
    assert count_alike(parts, np.array([2, 3, 4])) == 2


def test_verdict_and_recommendation_are_about_the_finalists(summary):
    assert summary.recommended in {final.candidate for final in summary.finals}
    tested = sum(map(sum, summary.test.confusion_matrix))
    assert f" of {tested} sealed test images right" in summary.verdict
    assert summary.baseline.informative
    assert summary.recommendation.endswith(".")
    assert set(summary.estimands) == {"cv", "test", "bootstrap", "difference"}
    assert f"the {tested} test images" in summary.estimands["test"]


def test_the_summary_is_written_as_it_is(finished, summary):
    folder = RunFolder(finished.result.folder)
    text = (folder.path / "summary.json").read_text("utf-8")
    assert storage.from_plain(Summary, json.loads(text)) == summary
    assert "NaN" not in text and "Infinity" not in text


def test_shuffled_labels_give_chance_and_no_better_verdict(tmp_path, monkeypatch):
    """Pictures of noise in three folders: there is nothing to learn."""
    random = np.random.default_rng(0)
    for number in range(150):
        folder = tmp_path / "noise" / "abc"[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    settings = Settings(
        backbones=("mobilenet:random",),
        learning_rates=(1e-2, 1e-3, 1e-4),
        folds=3,
        epochs=2,
        image_size=32,
        finals="all",
    )
    summary = api.compare(tmp_path / "noise", settings, out=tmp_path / "run").summary
    low, high = summary.test.intervals["accuracy"]
    assert low < 1 / 3 < high
    # a head that is surer of its guesses does have a higher loss; nobody is right more often
    assert {row.verdict for row in summary.comparison if row.measure != "loss"} <= {"undecided", "equal"}
    assert "was not shown to tell the classes apart" in summary.verdict
    assert not summary.baseline.informative and summary.baseline.decidable
    expected = summary.expected_test
    assert expected.low <= summary.test.accuracy <= expected.high
    assert "best" not in summary.verdict and "better" not in summary.verdict
    assert summary.recommended == summary.best
    assert summary.recommendation.startswith("None is worth taking yet")
