"""The main job on a small folder: every number that it writes, and what a kill, a repeat and a failure do to it."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, log_loss

from headstart import api, storage
from headstart.api import Settings
from headstart.classifier import predict
from headstart.data.images import read_table
from headstart.errors import DataError, RunError, StudyError, UsageError
from headstart.features import extract
from headstart.progress import Progress
from headstart.recipe import Candidate, Optimizer, Protocol, Recipe, Training
from headstart.runs.folder import RunFolder
from headstart.study import learners, workshop
from headstart.study.plan import make_plan
from headstart.training.heads import softmax


@pytest.fixture
def run(finished):
    return RunFolder(finished.result.folder)


@pytest.fixture
def summary(run):
    return run.summary()


def again(finished, out, monkeypatch, settings=None, *, cache=None, **options):
    monkeypatch.setenv("HEADSTART_CACHE", str(cache or finished.cache))
    return api.compare(finished.data, settings or finished.settings, out=out, **options)


def outcome(folder):
    """Return the bytes of everything that must not vary from run to run."""
    names = ("summary.json", "results.csv", "history.csv", "predictions.csv.gz", "folds.csv", "images.csv")
    return {name: (folder / name).read_bytes() for name in names}


def test_every_file_is_there(run):
    names = {path.name for path in run.path.iterdir()}
    assert names >= {
        "study.toml", "environment.json", "images.csv", "folds.csv", "audit.json", "results.csv", "history.csv",
        "predictions.csv.gz", "summary.json", "timings.json", "media", "jobs", "report.html", "classifier", "log.jsonl",
    }  # fmt: skip


def test_the_file_that_is_no_image_is_set_aside_by_name(run, summary):
    [aside] = run.audit().set_aside
    assert aside.path == "red/torn.jpg"
    assert summary.dataset.set_aside == 1
    assert summary.dataset.images == 72


def test_every_training_image_validates_once_and_no_test_image_ever(run):
    split = {row.path: row.split for row in run.images()}
    validated = [row.path for row in run.folds()]
    assert sorted(validated) == sorted(path for path in split if split[path] == "train")


def test_the_test_section_equals_scikit_learn(run, summary):
    [block] = run.predictions(candidates=[summary.best], parts=["test"])
    predicted = block.probabilities.argmax(axis=1)
    assert summary.test.accuracy == pytest.approx(accuracy_score(block.labels, predicted))
    assert summary.test.loss == pytest.approx(log_loss(block.labels, block.probabilities, labels=[0, 1, 2]), rel=1e-4)
    assert summary.test.balanced_accuracy == pytest.approx(balanced_accuracy_score(block.labels, predicted))
    assert summary.test.confusion_matrix == tuple(map(tuple, confusion_matrix(block.labels, predicted).tolist()))
    split = {row.path: row.split for row in run.images()}
    assert {split[path] for path in block.paths} == {"test"}
    assert len(block.paths) == sum(summary.dataset.counts["test"].values())


def test_fold_values_equal_the_out_of_fold_predictions(run, summary):
    for candidate in summary.candidates:
        accuracies = [
            float(np.mean(block.probabilities.argmax(axis=1) == block.labels))
            for block in run.predictions(candidates=[candidate.id], parts=["out_of_fold"])
        ]
        assert candidate.cv.accuracy.folds == pytest.approx(accuracies)
        assert candidate.cv.accuracy.mean == pytest.approx(np.mean(accuracies))


def test_the_best_candidate_has_the_best_mean_and_repeats_the_procedure_of_its_folds(summary):
    means = {candidate.id: candidate.cv.accuracy.mean for candidate in summary.candidates}
    assert list(means) == ["mobilenet-random-logistic", "mobilenet-random-lr0.01", "mobilenet-random-lr0.001"]
    assert means[summary.best] == max(means.values())
    [final] = summary.finals
    [best] = [candidate for candidate in summary.candidates if candidate.id == summary.best]
    assert set(best.cv.best_epochs) == {final.epochs} == {1 if "logistic" in best.id else 8}
    assert (final.attempts, summary.protocol.score_epoch) == (1, "last")


def test_folds_are_scored_at_their_last_epoch(run, summary):
    last = {(row.candidate, row.fold): row.val_accuracy for row in run.history()}
    for candidate in summary.candidates:
        found = [last[candidate.id, fold] for fold in range(3)]
        assert candidate.cv.accuracy.folds == pytest.approx(found)
        assert candidate.cv.accuracy.mean == candidate.cv.accuracy.last_epoch_mean


def test_it_learned_more_than_chance_knows(summary):
    assert summary.test.accuracy > 0.6


def test_parameters_are_counted_as_keras_counts_them(summary):
    counts = summary.candidates[0].parameters
    assert (counts.trainable, counts.non_trainable, counts.total) == (1024 * 3 + 3, 3_228_864, 3_231_939)


def test_the_test_set_is_opened_once(run, summary):
    opened = [entry for entry in run.log_entries() if entry.event == "test set opened"]
    assert len(opened) == summary.protocol.test_openings == 1


def test_history_has_every_epoch_of_every_training(run, summary):
    rows = run.history()
    assert len(rows) == 3 * (1 + 2 * 8) + summary.finals[0].epochs
    assert {row.epoch for row in rows if row.fold == 0} == set(range(1, 9))
    assert {row.epoch for row in rows if row.candidate == "mobilenet-random-logistic"} == {1}


def test_the_classifier_gives_the_studys_test_probabilities(finished, run, summary):
    [block] = run.predictions(candidates=[summary.best], parts=["test"])
    classifier = predict.load(finished.result.classifier)
    files = [finished.data / path for path in block.paths]
    expected = softmax(block.logits / classifier.info.temperature)
    np.testing.assert_allclose(classifier.probabilities(files), expected, atol=1e-4)


def test_another_folder_gives_the_same_bytes_and_computes_no_feature(finished, tmp_path, monkeypatch):
    def fail(*args, **options):
        raise AssertionError("a feature was computed although all are cached")

    monkeypatch.setattr(extract, "run_batches", fail)
    result = again(finished, tmp_path / "run", monkeypatch)
    assert outcome(result.folder) == outcome(finished.result.folder)


class Killed(Progress):
    """Raises, as Ctrl-C does, when a step of the given name begins."""

    def __init__(self, step: str) -> None:
        self.step = step

    def track(self, name, *, total, unit):
        if self.step in name.lower():
            raise KeyboardInterrupt
        return super().track(name, total=total, unit=unit)


@pytest.mark.parametrize("step", ["features", "heads"])
def test_a_study_that_was_stopped_goes_on_to_the_same_bytes(finished, tmp_path, monkeypatch, step):
    with pytest.raises(KeyboardInterrupt):
        monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
        api.compare(finished.data, finished.settings, out=tmp_path / "run", progress=Killed(step))
    result = again(finished, tmp_path / "run", monkeypatch)
    assert outcome(result.folder) == outcome(finished.result.folder)


@pytest.mark.slow
def test_a_killed_process_goes_on_to_the_same_bytes(finished, tmp_path):
    # small shards, so that the kill leaves some features done and some not
    small_shards = (
        "from headstart.features import extract; extract.SHARD_IMAGES = 8; from headstart import cli; cli.main()"
    )
    command = [
        sys.executable, "-c", small_shards, "compare", str(finished.data), "--backbones", "mobilenet:random",
        "--learning-rates", "1e-2,1e-3", "--folds", "3", "--epochs", "8", "--image-size", "32",
        "--out", str(tmp_path / "run"), "--quiet",
    ]  # fmt: skip
    environment = {**os.environ, "HEADSTART_CACHE": str(tmp_path / "cache")}
    process = subprocess.Popen(command, env=environment)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("cache/features/*/*.shard")) and time.monotonic() < deadline:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "run" / "summary.json").exists()
    subprocess.run(command, env=environment, check=True)
    assert outcome(tmp_path / "run") == outcome(finished.result.folder)
    assert not list((tmp_path / "run").rglob("*.part"))


def test_the_same_command_on_a_finished_run_computes_nothing(finished, monkeypatch):
    before = outcome(finished.result.folder)
    monkeypatch.setattr("headstart.study.study.run_study", None)
    result = again(finished, finished.result.folder, monkeypatch)
    assert result.summary == finished.result.summary
    assert outcome(finished.result.folder) == before


def test_other_settings_in_the_same_folder_are_refused(finished, monkeypatch):
    with pytest.raises(RunError, match="another study"):
        again(finished, finished.result.folder, monkeypatch, Settings(backbones=("mobilenet:random",), image_size=64))


def test_a_folder_that_holds_something_else_is_refused_and_left_alone(finished, tmp_path, monkeypatch):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(RunError, match="not empty"):
        again(finished, tmp_path, monkeypatch)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_network_that_fails_does_not_end_the_study(finished, tmp_path, monkeypatch):
    build = workshop.build_network

    def failing(network):
        if network.backbone.name == "mobilenet_v2":
            raise MemoryError("no memory for this network")
        return build(network)

    monkeypatch.setattr(workshop, "build_network", failing)
    settings = Settings(
        backbones=("mobilenet:random", "mobilenet_v2:random"), learning_rates=(1e-2,), logistic=False, folds=3,
        epochs=2, image_size=32,
    )  # fmt: skip
    result = again(finished, tmp_path / "run", monkeypatch, settings, cache=tmp_path / "cache")
    good, bad = result.summary.candidates
    assert (good.status, bad.status, bad.cv) == ("done", "failed", None)
    assert "no memory for this network" in bad.reason
    assert result.summary.best == good.id
    page = result.report.read_text("utf-8")
    assert "no memory for this network" in page


def test_when_every_network_fails_the_study_says_so(finished, tmp_path, monkeypatch):
    def failing(network):
        raise RuntimeError("broken build")

    monkeypatch.setattr(workshop, "build_network", failing)
    settings = Settings(backbones=("mobilenet_v2:random",), learning_rates=(1e-2,), folds=3, epochs=2, image_size=32)
    with pytest.raises(StudyError, match="broken build"):
        again(finished, tmp_path / "run", monkeypatch, settings, cache=tmp_path / "cache")


def test_a_whole_network_from_scratch_beside_a_frozen_one_with_holdout(finished, tmp_path, monkeypatch):
    settings = Settings(
        backbones=("small_cnn", "mobilenet:random"), learning_rates=(1e-2,), holdout=0.25, epochs=3, image_size=32,
        finals="all", logistic=False,
    )  # fmt: skip
    result = again(finished, tmp_path / "run", monkeypatch, settings)
    summary = result.summary
    assert summary.protocol.kind == "holdout"
    assert [len(candidate.cv.accuracy.folds) for candidate in summary.candidates] == [1, 1]
    assert len(summary.finals) == 2
    assert summary.comparison[0].on == "test"
    run = RunFolder(result.folder)
    small = next(final for final in summary.finals if final.candidate.startswith("small_cnn"))
    [block] = run.predictions(candidates=[small.candidate], parts=["test"])
    assert small.test.accuracy == pytest.approx(np.mean(block.probabilities.argmax(axis=1) == block.labels))


def test_the_classifier_of_a_whole_network_gives_the_studys_test_probabilities(finished, tmp_path, monkeypatch):
    settings = Settings(backbones=("small_cnn",), learning_rates=(1e-2,), holdout=0.25, epochs=2, image_size=16)
    result = again(finished, tmp_path / "run", monkeypatch, settings)
    [block] = RunFolder(result.folder).predictions(candidates=[result.summary.best], parts=["test"])
    files = [finished.data / path for path in block.paths]
    classifier = predict.load(result.classifier)
    expected = softmax(block.logits / classifier.info.temperature)
    np.testing.assert_allclose(classifier.probabilities(files), expected, atol=1e-4)


def test_given_validation_and_test_are_kept(finished, tmp_path, monkeypatch):
    paths = sorted(path for path in finished.data.rglob("*.png"))
    splits = ["train", "train", "validation", "test"]
    with (finished.data / "given.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label", "split"])
        for number, path in enumerate(paths):
            writer.writerow([path.relative_to(finished.data).as_posix(), path.parent.name, splits[number % 4]])
    monkeypatch.setenv("HEADSTART_CACHE", str(finished.cache))
    settings = Settings(backbones=("mobilenet:random",), learning_rates=(1e-2,), epochs=2, image_size=32)
    result = api.compare(finished.data / "given.csv", settings, out=tmp_path / "run")
    (finished.data / "given.csv").unlink()
    assert result.summary.protocol.kind == "holdout"
    assert [sum(counts.values()) for counts in result.summary.dataset.counts.values()] == [36, 18, 18]
    assert sum(item.support for item in result.summary.finals[0].validation.per_class) == 18


def test_summary_json_is_what_the_design_says(run):
    plain = json.loads((run.path / "summary.json").read_text("utf-8"))
    assert list(plain["candidates"][0]) == [
        "id", "backbone", "head", "cut", "settings", "status", "reason", "parameters", "size_bytes", "cv",
    ]  # fmt: skip
    assert set(plain) >= {
        "schema_version", "dataset", "protocol", "candidates", "best", "recommended", "finals", "test", "comparison",
        "published", "verdict",
    }  # fmt: skip
    assert "NaN" not in storage.json_text(plain)
    assert plain["test"]["per_class"][0]["class"] == "blue"


def test_folds_and_holdout_exclude_each_other():
    with pytest.raises(UsageError, match="exclude"):
        api.compare("anywhere", Settings(folds=3, holdout=0.2))


def test_a_photograph_that_changes_meanwhile_stops_the_study_and_stays_out_of_the_cache(
    finished, tmp_path, monkeypatch
):
    data = tmp_path / "photos"
    shutil.copytree(finished.data, data)
    victim = data / "blue" / "3.png"

    class Changing(Progress):
        def say(self, text):
            if text.startswith("Forecast"):
                victim.write_bytes((data / "red" / "4.png").read_bytes())

    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DataError, match=r"blue/3\.png changed since it was read"):
        api.compare(data, finished.settings, out=tmp_path / "run", progress=Changing())


def test_a_photograph_that_vanishes_is_named(finished, tmp_path, monkeypatch):
    data = tmp_path / "photos"
    shutil.copytree(finished.data, data)

    class Removing(Progress):
        def say(self, text):
            if text.startswith("Forecast"):
                (data / "blue" / "3.png").unlink()

    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DataError, match=r"blue/3\.png"):
        api.compare(data, finished.settings, out=tmp_path / "run", progress=Removing())


@pytest.mark.parametrize("out", ["runs/here", "."])
def test_a_run_folder_among_the_photographs_is_refused(finished, monkeypatch, out):
    before = sorted(finished.data.rglob("*"))
    with pytest.raises(UsageError, match="inside the images"):
        again(finished, finished.data / out, monkeypatch)
    assert sorted(finished.data.rglob("*")) == before


def test_a_damaged_unit_is_computed_again(finished, tmp_path, monkeypatch):
    shutil.copytree(finished.result.folder, tmp_path / "run")
    (tmp_path / "run" / "summary.json").unlink()
    for unit in (tmp_path / "run" / "jobs").glob("*.npz"):
        unit.write_bytes(unit.read_bytes()[:100])
    result = again(finished, tmp_path / "run", monkeypatch)
    assert outcome(result.folder) == outcome(finished.result.folder)


def test_one_training_that_fails_leaves_the_other_candidates_of_its_network(finished, tmp_path, monkeypatch):
    train = learners.train_bank

    def failing(features, labels, jobs, **options):
        if any(job.key.startswith("mobilenet-random-lr0.001/") for job in jobs):
            raise MemoryError("no room for this head")
        return train(features, labels, jobs, **options)

    monkeypatch.setattr(learners, "train_bank", failing)
    summary = again(finished, tmp_path / "run", monkeypatch).summary
    assert [(one.id, one.status) for one in summary.candidates] == [
        ("mobilenet-random-logistic", "done"),
        ("mobilenet-random-lr0.01", "done"),
        ("mobilenet-random-lr0.001", "failed"),
    ]


def test_a_final_training_that_fails_leaves_the_other_finalists(finished, tmp_path, monkeypatch):
    train = learners.train_bank

    def failing(features, labels, jobs, **options):
        if features.shape[1] == 1280 and any(job.key.endswith("/final") for job in jobs):
            raise MemoryError("no room for the final")
        return train(features, labels, jobs, **options)

    monkeypatch.setattr(learners, "train_bank", failing)
    settings = Settings(
        backbones=("mobilenet:random", "mobilenet_v2:random"), learning_rates=(1e-2,), logistic=False, folds=3,
        epochs=2, image_size=32,
    )  # fmt: skip
    summary = again(finished, tmp_path / "run", monkeypatch, settings).summary
    assert [final.candidate for final in summary.finals] == ["mobilenet-random-lr0.01"]
    assert [(one.status, one.reason) for one in summary.candidates][1] == (
        "failed",
        "The final training failed: MemoryError: no room for the final",
    )


def test_one_backbone_at_two_sizes_makes_two_networks(finished, tmp_path, monkeypatch):
    monkeypatch.setenv("HEADSTART_CACHE", str(finished.cache))
    candidates = tuple(
        Candidate("mobilenet", weights="random", image_size=size, train=Training(2, optimizer=Optimizer("adam", rate)))
        for size, rate in ((32, 1e-2), (64, 1e-3))
    )
    recipe = Recipe(candidates, protocol=Protocol(folds=3))
    plan = make_plan(read_table(finished.data), recipe, weights_dir=None, folds_asked=False)
    result = api.execute(plan, out=tmp_path / "run", fresh=False, progress=Progress())
    assert [one.id for one in result.summary.candidates] == ["mobilenet-random-lr0.01", "mobilenet-random-lr0.001"]
    assert set(RunFolder(result.folder).timings().features) == {"mobilenet-random-32", "mobilenet-random-64"}
