"""A classifier on labelled images against scikit-learn and against counting by hand."""

import csv
import hashlib
import math
import shutil

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics as reference

from headstart.classifier import assessment, predict
from headstart.classifier.answering import Answering
from headstart.classifier.assessment import assess
from headstart.errors import DataError, UsageError
from headstart.evaluation.operating import Cost, Threshold
from headstart.evaluation.unknown import Detector
from headstart.recipe import DataRules

from .conftest import CLASSES, save_birds

SAFE = {"jay | magpie": "jay"}
NAMES = DataRules(class_names={"jay": "jay | magpie"})


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    answering = Answering(1.5, Detector("energy", -2.0, {}), (Threshold("crow", "precision", 0.6),))
    return predict.load(save_birds(tmp_path_factory.mktemp("run") / "classifier", answering=answering))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Sixty pictures in folders of the three classes, by chance, and one that cannot be read."""
    root, random = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for number in range(60):
        folder = root / ("crow", "jay", "no")[random.integers(3)]
        folder.mkdir(exist_ok=True)
        Image.fromarray(random.integers(0, 256, (1, 1, 3), np.uint8).repeat(20, 0).repeat(9, 1)).save(
            folder / f"{number}.png"
        )
    (root / "no" / "bad.png").write_text("no picture")
    return root


def truth_of(data, classifier):
    files = sorted(path for path in data.rglob("*.png") if path.name != "bad.png")
    labels = [CLASSES.index({"jay": "jay | magpie"}.get(path.parent.name, path.parent.name)) for path in files]
    probabilities = classifier.probabilities(files).astype(float)
    return np.array(labels), classifier.predict(files), probabilities / probabilities.sum(axis=1, keepdims=True)


def test_the_numbers_are_those_of_the_predictions(classifier, data):
    found = assess(classifier, data, rules=NAMES)
    labels, predictions, probabilities = truth_of(data, classifier)
    assert found.images == 60
    assert [(one.path, one.reason) for one in found.set_aside] == [("no/bad.png", "text, not an image")]
    assert found.test.accuracy == np.mean(probabilities.argmax(axis=1) == labels)
    assert found.test.loss == pytest.approx(reference.log_loss(labels, probabilities), rel=1e-5)
    matrix = reference.confusion_matrix(labels, probabilities.argmax(axis=1))
    np.testing.assert_array_equal(found.test.confusion_matrix, matrix)
    assert set(found.test.intervals) == {"accuracy", "balanced_accuracy", "f1", "auc", "loss"}
    assert found.calibration.loss == pytest.approx(found.test.loss)
    assert found.calibration.brier == pytest.approx(np.sum((probabilities - np.eye(3)[labels]) ** 2) / 60, rel=1e-5)
    words = np.array([one.answer for one in predictions])
    right = words == np.array(CLASSES)[labels]
    assert (found.answers.right.count, found.answers.right.share) == (right.sum(), right.mean())
    assert found.answers.refused.count == np.sum(words == "unknown")
    assert found.answers.right_of_answered.share == right[words != "unknown"].mean()
    assert 0 < found.answers.refused.count < 60
    [crow] = found.answers.classes
    assert (crow.class_, crow.kind, crow.threshold) == ("crow", "precision", 0.6)
    assert (crow.precision.images, crow.recall.images) == (np.sum(words == "crow"), np.sum(labels == 0))
    assert crow.precision.count == crow.recall.count == np.sum(right[words == "crow"])
    low, high = found.answers.right.ci95
    assert low < right.mean() < high
    assert (found.unknown, found.left_out, found.answers.cost) == (None, {}, None)


def test_costs_are_of_the_answers_given(data, tmp_path):
    costs = (Cost("crow", "no", 7.0),)
    classifier = predict.load(save_birds(tmp_path / "it", answering=Answering(1.5, costs=costs)))
    found = assess(classifier, data, rules=NAMES)
    labels, predictions, _ = truth_of(data, classifier)
    said = np.array([CLASSES.index(one.answer) for one in predictions])
    paid = np.where(said == labels, 0, np.where((labels == 0) & (said == 2), 7, 1))
    assert found.answers.cost == pytest.approx(paid.mean())


@pytest.fixture
def with_others(data, tmp_path):
    """The same with eight pictures of a class that the classifier does not have."""
    copied = shutil.copytree(data, tmp_path / "data")
    (copied / "owl").mkdir()
    for number in range(8):
        Image.fromarray(np.full((9, 9, 3), 30 * number, np.uint8)).save(copied / "owl" / f"{number}.png")
    return copied


def test_other_classes_stop_are_skipped_or_judge_the_refusal(classifier, data, with_others):
    with pytest.raises(UsageError, match=r"1 classes that the classifier does not have: owl\. .*--other-classes skip"):
        assess(classifier, with_others, rules=NAMES)
    plain = assess(classifier, data, rules=NAMES)
    skipped = assess(classifier, with_others, rules=NAMES, others="skip")
    judged = assess(classifier, with_others, rules=NAMES, others="unknown")
    assert (skipped.left_out, skipped.unknown) == ({"owl": 8}, None)
    assert plain.test == skipped.test == judged.test
    assert plain.answers == skipped.answers == judged.answers
    owls = classifier.predict(sorted((with_others / "owl").iterdir()))
    assert judged.unknown.classes == {"owl": 8}
    assert judged.unknown.refused.count == sum(one.answer == "unknown" for one in owls)
    _, known, _ = truth_of(data, classifier)
    scores = [one.unknown_score for one in [*known, *owls]]
    assert judged.unknown.auroc == pytest.approx(reference.roc_auc_score([0] * 60 + [1] * 8, scores))
    with pytest.raises(UsageError, match="must be stop, skip, unknown"):
        assess(classifier, data, others="skipp")


def test_without_a_score_no_area_is_given(with_others, tmp_path):
    plain = predict.load(save_birds(tmp_path / "it", answering=Answering()))
    found = assess(plain, with_others, rules=NAMES, others="unknown")
    assert (found.unknown.refused.count, found.unknown.auroc) == (0, None)


def test_data_without_any_of_the_classes_is_refused(classifier, tmp_path):
    for name in ("Crow", "rook"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (9, 9)).save(tmp_path / name / "1.png")
    for others in assessment.OTHERS:
        with pytest.raises(DataError, match=r"no images of the classifier's classes\. The classifier knows crow, jay"):
            assess(classifier, tmp_path, others=others)


@pytest.mark.parametrize("others", assessment.OTHERS)
def test_data_of_which_nothing_can_be_read_is_refused(classifier, tmp_path, others):
    (tmp_path / "crow").mkdir()
    for number in range(3):
        (tmp_path / "crow" / f"{number}.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"^None of the 3 images .* can be read, such as crow/0\.png: empty file\. See"):
        assess(classifier, tmp_path, others=others)
    (tmp_path / "list.csv").write_text("path,label\ngone.png,crow\n")
    with pytest.raises(DataError, match=r"^None of the 1 images .* can be read, such as gone\.png: "):
        assess(classifier, tmp_path / "list.csv", others=others)


def test_one_class_alone_and_classes_without_images(classifier, data, tmp_path):
    shutil.copytree(data / "crow", tmp_path / "data" / "crow")
    found = assess(classifier, tmp_path / "data")
    assert [row.support for row in found.test.per_class][1:] == [0, 0]
    assert found.test.per_class[1].recall is None
    assert math.isfinite(found.test.balanced_accuracy)


def test_tables_with_splits_use_the_test_split(classifier, data, tmp_path):
    rows = [
        {"path": str(path), "label": SAFE.get(path.parent.name, path.parent.name), "split": split}
        for place, path in enumerate(sorted(data.rglob("*.png")))
        for split in ["test" if place % 2 else "train"]
    ]
    rows.append({"path": "gone.png", "label": "crow", "split": "test"})
    with (tmp_path / "list.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["path", "label", "split"])
        writer.writeheader()
        writer.writerows(rows)
    found = assess(classifier, tmp_path / "list.csv", rules=NAMES)
    bad = sum("bad.png" in one.path for one in found.set_aside)
    assert found.images == 30 - bad
    assert found.notes == ("Only the test split was used; 31 images of other splits were left out.",)
    assert [one.path for one in found.set_aside if one.path == "gone.png"] == ["gone.png"]


def test_arrays_of_idx_files(tmp_path):
    random = np.random.default_rng(1)
    images, labels = random.integers(0, 256, (12, 10, 8), np.uint8), np.arange(12, dtype=np.uint8) % 3
    for name, array in (("images-idx3", images), ("labels-idx1", labels)):
        head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
        (tmp_path / f"t10k-{name}-ubyte").write_bytes(head + array.tobytes())
    # as the image table knows pixels
    hashes = [hashlib.sha256(image.tobytes()).hexdigest() for image in images[:5]]
    digits = predict.load(save_birds(tmp_path / "run" / "it", classes=("0", "1", "2"), facts=None, learned=hashes))
    found = assess(digits, tmp_path)
    assert (found.images, found.learned.images) == (12, 5)
    assert found.test.accuracy == np.mean(digits.probabilities(list(images)).argmax(axis=1) == labels)


def learned_from(files, folder):
    hashes = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    return predict.load(save_birds(folder, answering=Answering(1.5), learned=hashes))


def test_figures_without_the_images_learned_from_are_those_of_the_others_alone(data, tmp_path):
    files = sorted(path for path in data.rglob("*.png") if path.name != "bad.png")
    some = learned_from(files[::3], tmp_path / "some")
    found, plain = assess(some, data, rules=NAMES), assess(learned_from([], tmp_path / "none"), data, rules=NAMES)
    others = shutil.copytree(data, tmp_path / "others")
    for file in files[::3]:
        (others / file.relative_to(data)).unlink()
    alone = assess(some, others, rules=NAMES)
    assert (found.images, found.learned.images, alone.images, alone.learned.images) == (60, 20, 40, 0)
    assert (found.test, found.answers) == (plain.test, plain.answers)
    assert plain.learned.images == 0 and plain.without_learned is None
    for part in (found.learned, alone.learned, alone):
        assert (part.test, part.answers, part.calibration) == (alone.test, alone.answers, alone.calibration)
    assert found.without_learned is found.learned


def test_where_all_were_learned_from_nothing_is_left(data, tmp_path):
    files = sorted(data.rglob("*.png"))
    found = assess(learned_from(files, tmp_path / "all"), data, rules=NAMES)
    assert (found.learned.images, found.learned.test, found.without_learned) == (60, None, None)
    assert found.test.accuracy == assess(learned_from([], tmp_path / "none"), data, rules=NAMES).test.accuracy


def test_classifiers_that_do_not_know_say_nothing(classifier, data):
    assert assess(classifier, data, rules=NAMES).learned is None
