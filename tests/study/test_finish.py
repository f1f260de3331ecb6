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
from headstart.recipe import Candidate, Optimizer, Training
from headstart.runs.folder import RunFolder
from headstart.study import finish, records
from headstart.study.finish import baseline_of, count_alike
from headstart.study.judge import left_out


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


@pytest.mark.parametrize(("score_epoch", "predicts"), [("last", True), ("best", False)])
def test_only_folds_at_their_end_predict_the_test(made_case, score_epoch, predicts):
    """Those at their best epochs are flattered: a test below them would be blamed for that."""
    features = np.random.default_rng(0).standard_normal((90, 6))
    candidate = Candidate("made", "trained", train=Training(4, optimizer=Optimizer("sgd", 0.1)))
    case = made_case(features, np.arange(90) % 3, [candidate], folds=3, score_epoch=score_epoch)
    assert (finish._expected(case, 0.0, 40) is not None) == predicts


def test_what_was_left_out_has_rows_that_say_so(made_case):
    case = made_case(np.eye(6)[np.arange(30) % 3], np.arange(30) % 3, [Candidate("made", "a")], folds=3)
    [judged] = case.judged
    rows = list(records.result_rows([left_out(judged.network, judged.candidate, "no time")], case.parts))
    assert [(one.candidate, one.status, one.accuracy) for one in rows] == [("a", "skipped", None)] * 3


def test_images_that_share_a_group_are_counted():
    rows = tuple(SimpleNamespace(group=name) for name in ("", "", "cat 1", "cat 1", "cat 2", "cat 2", "cat 3"))
    parts = SimpleNamespace(rows=rows)
    assert count_alike(parts, np.arange(7)) == 4
    assert count_alike(parts, np.array([0, 1, 2, 4, 6])) == 0
    assert count_alike(parts, np.array([2, 3, 4])) == 2


def baseline(labels, answers, *, train=None, out_of_fold=None, candidates=1, classes=None):
    """Return the baseline of answers to test images; without more, training images and answers are the same."""
    labels, answers = np.asarray(labels), np.asarray(answers)
    classes = classes or labels.max() + 1
    seen, said = out_of_fold or (labels, answers)
    case = SimpleNamespace(
        classes="abcdef"[:classes],
        best="best",
        parts=SimpleNamespace(labels=np.asarray(labels if train is None else train), train=slice(None)),
        protocol=SimpleNamespace(seed=0, score_epoch="last"),
        results=[SimpleNamespace(cv=None), *[SimpleNamespace(cv="values")] * candidates],
        out_of_fold=lambda name: SimpleNamespace(labels=np.asarray(seen), logits=np.eye(classes)[said]),
    )
    return baseline_of(case, labels, answers)


def test_all_right_in_a_small_test_is_informative():
    """51 of 51 right, half of each class: naming the commonest class would have 26."""
    labels = np.arange(51) % 2
    found = baseline(labels, labels)
    assert (found.right, found.images, found.recall) == (26, 51, 1.0)
    assert found.beaten and found.informative and found.decidable
    assert found.chance_on_test < 0.001


def test_images_of_one_class_can_show_nothing():
    of_one, chance = np.zeros(51, int), (np.arange(60) % 2, np.arange(60) // 30)
    found = baseline(of_one, of_one, out_of_fold=chance, classes=2)
    assert (found.right, found.beaten, found.chance_on_test) == (51, False, 1.0)
    assert not found.decidable and not found.informative
    shown_by_folds = baseline(of_one, of_one, out_of_fold=(chance[0], chance[0]), classes=2)
    assert shown_by_folds.informative and shown_by_folds.chance_out_of_fold < 0.01


def test_uneven_classes_are_told_apart_though_right_answers_cannot_show_it():
    labels = np.repeat([0, 1], [150, 8])
    answers = labels.copy()
    answers[[0, 1, 2, 150, 151, 152]] ^= 1
    found = baseline(labels, answers)
    assert (found.right, found.images, found.beaten) == (150, 158, False)
    assert found.informative and found.recall == pytest.approx((147 / 150 + 5 / 8) / 2)


def test_noise_is_informative_no_more_often_than_five_times_in_a_hundred():
    random, times = np.random.default_rng(3), 200
    found = []
    for _ in range(times):
        labels, answers = np.arange(60) % 3, random.integers(0, 3, 60)
        out_of_fold = (np.arange(240) % 3, random.integers(0, 3, 240))
        found.append(baseline(labels, answers, out_of_fold=out_of_fold, candidates=4))
    # both rules together at most 6 %; three standard errors more
    assert np.mean([one.informative for one in found]) < 0.06 + 3 * np.sqrt(0.06 * 0.94 / times)
    assert all(one.decidable for one in found)


def test_the_chance_out_of_fold_counts_the_candidates_that_finished():
    labels = np.arange(40) % 2
    answers = np.where(np.arange(40) < 28, labels, 1 - labels)
    one, many = (baseline(labels, answers, candidates=count) for count in (1, 5))
    assert many.chance_out_of_fold == pytest.approx(5 * one.chance_out_of_fold)
    assert baseline(labels, answers, candidates=1000).chance_out_of_fold == 1.0
    assert many.chance_on_test == one.chance_on_test


def test_the_commonest_class_is_that_of_the_training_images():
    labels = np.repeat([0, 1, 2], [30, 10, 10])
    found = baseline(labels, np.ones(50, int), train=np.repeat([0, 1, 2], [10, 20, 5]))
    assert (found.right, found.images, found.beaten, found.recall) == (10, 50, False, pytest.approx(1 / 3))
    assert baseline(labels, labels, train=np.repeat([0, 1, 2], [10, 20, 5])).beaten


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
        folds=5,
        seed=1,
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


@pytest.fixture(scope="module")
def shared(finished, tmp_path_factory):
    """A study whose given test images are half copies of training images."""
    place = tmp_path_factory.mktemp("shared")
    for number, path in enumerate(sorted(finished.data.rglob("*.png"))):
        split = "test" if number % 4 == 0 else "train"
        pixels = path.read_bytes()
        copies = [(split, path.name)] + ([("test", f"copy-{path.name}")] if number % 4 == 1 else [])
        for part, name in copies:
            folder = place / "given" / part / path.parent.name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(pixels)
    settings = dataclasses.replace(finished.settings, finals="all", epochs=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_CACHE", str(finished.cache))
        return api.compare(place / "given", settings, out=place / "run")


def test_figures_and_comparisons_are_of_the_images_that_are_not_shared(shared):
    summary, folder = shared.summary, RunFolder(shared.folder)
    blocks = {block.candidate: block for block in folder.predictions(parts=["test"])}
    assert summary.clean[0].candidate == summary.best
    assert {one.candidate for one in summary.clean} == set(blocks)
    clean = {
        name: (block.probabilities.argmax(axis=1) == block.labels)[["copy-" not in path for path in block.paths]]
        for name, block in blocks.items()
    }
    for one in summary.clean:
        assert (one.images, one.contaminated, one.right) == (36, 18, clean[one.candidate].sum())
        assert one.accuracy == clean[one.candidate].mean()
    assert summary.test.accuracy == np.mean(
        blocks[summary.best].probabilities.argmax(axis=1) == blocks[summary.best].labels
    )
    for row in summary.comparison:
        if row.on == "test" and row.measure == "accuracy":
            assert row.difference == pytest.approx(clean[summary.best].mean() - clean[row.b].mean())
    assert summary.baseline.images == 18
    assert summary.verdict.startswith("18 of 36 test images (50 %) are also training images; on the other 18: ")
    assert "sealed" not in summary.verdict
    assert summary.leak_effect.accuracy_without == summary.clean[0].accuracy
