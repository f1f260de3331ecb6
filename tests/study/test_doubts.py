"""Doubts, outliers and neighbours on a made-up case: Gaussian classes with planted errors, copies and strangers."""

import csv
import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from headstart.data.audit import Audit
from headstart.data.images import ImageRow
from headstart.data.split import Round
from headstart.evaluation.neighbours import normalised
from headstart.recipe import DataRules
from headstart.recipe.lists import read_corrections
from headstart.runs.folder import DoubtRow, RunFolder
from headstart.study import neighbours
from headstart.study.case import OutOfFold
from headstart.study.doubts import doubting_logits, find_doubts
from headstart.study.neighbours import frozen_learner, neighbour_evidence
from headstart.study.outliers import with_outliers

CLASSES = ("daisy", "rose", "tulip")
TRAIN, TEST, WRONG = 300, 60, 20
NO_AUDIT = Audit((), (), (), (), (), {}, ("before",))


@dataclasses.dataclass
class FakeLearner:
    values: np.ndarray | None

    def features(self, rows):
        return None if self.values is None else self.values[rows]


def result(name, accuracy):
    value = SimpleNamespace(mean=accuracy)
    return SimpleNamespace(id=name, cv=SimpleNamespace(accuracy=value, loss=SimpleNamespace(mean=1 - accuracy)))


def made_up_case(seed=0, rules=None, learners=None, audit=NO_AUDIT, *, wrong=WRONG, images=TRAIN):
    """Return a case of one network, and the paths whose labels are wrong."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 3, images + TEST)
    features = (random.normal(size=(images + TEST, 24)) + 3 * np.eye(24)[truth]).astype(np.float32)
    wrong = random.choice(images, wrong, replace=False)
    labels = truth.copy()
    labels[wrong] = (truth[wrong] + random.integers(1, 3, len(wrong))) % 3
    rows = tuple(
        ImageRow(f"{CLASSES[label]}/{number}.jpg", CLASSES[label], f"{number:064d}", 9, 9, "ok", "", "", split)
        for number, (label, split) in enumerate(zip(labels, ["train"] * images + ["test"] * TEST, strict=True))
    )
    train, logits, folds = np.arange(images), np.zeros((images, 3)), np.zeros(images, np.int64)
    rounds = []
    for fold, (learn, validate) in enumerate(StratifiedKFold(5).split(features[:images], labels[:images])):
        logits[validate] = (
            LogisticRegression(C=0.05).fit(features[learn], labels[learn]).decision_function(features[validate])
        )
        folds[validate] = fold
        rounds.append(Round(0, fold, learn, validate))
    learners = learners or {"best": FakeLearner(features)}
    case = SimpleNamespace(
        best=next(iter(learners)),
        classes=CLASSES,
        protocol=SimpleNamespace(seed=0, choose_by="accuracy", score_epoch="last"),
        parts=SimpleNamespace(rows=rows, labels=labels, train=train, rounds=tuple(rounds)),
        plan=SimpleNamespace(
            recipe=SimpleNamespace(data=rules or DataRules()), table=SimpleNamespace(rows=rows), audit=audit
        ),
        results=[result(name, 0.9 - 0.1 * place) for place, name in enumerate(learners)],
        judged_of=lambda name: SimpleNamespace(
            learner=learners[name], candidate=SimpleNamespace(weights="random" if "random" in name else "imagenet")
        ),
        out_of_fold=lambda name: OutOfFold(train, labels[:images], logits, folds),
    )
    return case, {rows[place].path for place in wrong}


@pytest.mark.parametrize("seed", range(3))
def test_planted_errors_stand_first(seed):
    case, wrong = made_up_case(seed, wrong=45, images=900)
    doubts, rows = find_doubts(case)
    assert 15 <= doubts.estimated <= 45
    assert sum(row.path in wrong for row in rows) >= 0.8 * len(rows)
    assert (doubts.candidate, doubts.images, doubts.doubted) == ("best", 900, len(rows))
    assert len(rows) == math.ceil(1.5 * doubts.estimated)
    assert doubts.estimated_share == doubts.estimated / 900
    assert doubts.p_value == 1 / 200
    assert f"At least about {doubts.estimated} labels of the 900 images" in doubts.sentence
    labels = {row.path: row.label for row in case.parts.rows[:900]}
    assert all(row.label == labels[row.path] and row.suggested in set(CLASSES) - {row.label} for row in rows)
    assert all(0 < row.confidence <= 1 and row.action == "" for row in rows)


@pytest.mark.parametrize("seed", range(3))
def test_of_clean_labels_a_few_are_worth_a_look_and_no_number_is_given(seed):
    doubts, rows = find_doubts(made_up_case(seed, wrong=0)[0])
    assert (doubts.estimated, doubts.estimated_share) == (None, None)
    assert doubts.p_value > 0.01
    assert 0 < len(rows) <= 0.015 * TRAIN
    assert doubts.sentence.startswith("No label of the 300 images that were judged is shown to be wrong: the network's")
    assert "worth a look" in doubts.sentence


def test_who_is_no_better_than_chance_doubts_nothing():
    case, _ = made_up_case()
    said = case.out_of_fold("best")
    shuffled = np.random.default_rng(0).permutation(said.logits)
    case.out_of_fold = lambda name: dataclasses.replace(said, logits=shuffled)
    doubts, rows = find_doubts(case)
    assert (doubts.doubted, doubts.estimated, doubts.p_value, rows) == (0, None, None, ())
    assert doubts.sentence.startswith("Labels cannot be judged: the best candidate was not shown to tell the classes")


def relabelled(case, labels):
    """Let the images that validate bear other labels; what was said of them stays."""
    said = case.out_of_fold("best")
    rows = tuple(
        dataclasses.replace(row, label=CLASSES[label]) for row, label in zip(case.parts.rows, labels, strict=False)
    )
    case.parts.rows, case.parts.labels = (*rows, *case.parts.rows[TRAIN:]), np.append(labels, np.zeros(TEST, np.int64))
    case.out_of_fold = lambda name: dataclasses.replace(said, labels=labels)


def test_images_of_classes_below_ten_take_no_part():
    case, _ = made_up_case()
    labels = case.parts.labels[:TRAIN].copy()
    small = np.flatnonzero(labels == 2)
    labels[small[9:]] = case.out_of_fold("best").logits[small[9:], :2].argmax(axis=1)
    relabelled(case, labels)
    doubts, rows = find_doubts(case)
    assert doubts.images == TRAIN - 9
    assert doubts.sentence.endswith("9 images of classes with fewer than ten could not be judged.")
    assert {row.label for row in rows} | {row.suggested for row in rows} <= set(CLASSES[:2])


@pytest.mark.parametrize("classes", [33, 1])
def test_small_classes_and_a_single_one_cannot_be_judged(classes):
    case, _ = made_up_case()
    said = case.out_of_fold("best")
    labels = np.arange(TRAIN) % classes if classes > 1 else np.zeros(TRAIN, np.int64)
    logits = 9.0 * np.eye(max(2, classes))[labels]
    case.classes = tuple(map(str, range(logits.shape[1])))
    case.out_of_fold = lambda name: dataclasses.replace(said, labels=labels, logits=logits)
    doubts, rows = find_doubts(case)
    assert (doubts.estimated, rows) == (None, ())
    # of 33 classes three have ten images, the others nine
    assert doubts.images == (30 if classes > 1 else TRAIN)
    assert doubts.sentence.startswith("Labels cannot be judged")
    assert "it takes 50, of two classes" in doubts.sentence


def test_the_same_case_gives_the_same_doubts():
    assert find_doubts(made_up_case()[0]) == find_doubts(made_up_case()[0])


def test_without_features_the_probabilities_alone_are_looked_at():
    case, wrong = made_up_case(learners={"tuned": FakeLearner(None)})
    assert neighbour_evidence(case, case.parts.train) is None
    _, rows = find_doubts(case)
    assert sum(row.path in wrong for row in rows) >= 0.8 * len(rows) >= 8


def test_neighbours_repair_what_a_poor_head_misses():
    case, _ = made_up_case()
    said = case.out_of_fold("best")
    random = np.random.default_rng(0)
    poor = dataclasses.replace(said, logits=said.logits + random.normal(scale=6, size=said.logits.shape))
    evidence = neighbour_evidence(case, said.rows)
    alone, joined = (doubting_logits(poor.logits, said.labels, one) for one in (None, evidence))
    truth = np.array([row.label for row in case.parts.rows[:TRAIN]])
    right = [(np.array(CLASSES)[said_of.argmax(axis=1)] == truth).mean() for said_of in (alone, joined)]
    assert right[1] > right[0] + 0.1


def test_evidence_is_of_neighbours_that_the_round_learned_from(monkeypatch):
    case, _ = made_up_case()
    features = case.judged_of("best").learner.values
    rows = case.parts.rounds[2].validation
    store = case.parts.rounds[2].train
    unit = normalised(features)
    near = np.argsort(1 - unit[rows] @ unit[store].T, axis=1)[:, :20]
    counts = np.stack([(case.parts.labels[store][near] == one).sum(axis=1) for one in range(3)], axis=1)
    shares = np.bincount(case.parts.labels[store]) / len(store)
    expected = np.log((counts + 1.5 * shares) / 21.5 / shares)
    np.testing.assert_allclose(neighbour_evidence(case, rows), expected)
    monkeypatch.setattr(neighbours, "MOST_STORED", 100)
    monkeypatch.setattr(neighbours, "ROWS_AT_A_TIME", 7)
    sampled = neighbour_evidence(case, rows)
    assert np.corrcoef(sampled.ravel(), expected.ravel())[0, 1] > 0.8


def test_features_come_from_the_best_or_a_pretrained_frozen_network():
    frozen, control = FakeLearner(np.zeros((360, 2))), FakeLearner(np.ones((360, 2)))
    tuned = FakeLearner(None)
    assert frozen_learner(made_up_case(learners={"a-random": control, "b": frozen})[0]) is control
    assert frozen_learner(made_up_case(learners={"a": tuned, "b-random": control, "c": frozen})[0]) is frozen
    assert frozen_learner(made_up_case(learners={"a": tuned, "b-random": control})[0]) is None


def test_corrections_go_round(tmp_path):
    case, _ = made_up_case()
    run = RunFolder(tmp_path / "run")
    run.write_doubts(find_doubts(case)[1])
    (run.path / ".study").write_text("x")
    with run.doubts_file.open(newline="") as stream:
        table = list(csv.DictReader(stream))
    first, second, third = (line["path"] for line in table[:3])
    for line, action in zip(table, ("relabel", "drop", "keep"), strict=False):
        line["action"] = action
    with run.doubts_file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, table[0])
        writer.writeheader()
        writer.writerows(table)
    found = read_corrections(run.doubts_file)
    assert (found.remove, found.relabel, found.keep) == ((second,), {first: table[0]["suggested"]}, (third,))

    rules = DataRules(remove=found.remove, relabel=found.relabel, corrected_from=found.run, keep=found.keep)
    doubts, rows = find_doubts(made_up_case(rules=rules)[0])
    assert rows[-3:] == (
        DoubtRow(first, table[0]["suggested"], table[0]["suggested"], None, "relabel"),
        DoubtRow(second, table[1]["label"], "", None, "drop"),
        DoubtRow(third, table[2]["label"], "", None, "keep"),
    )
    assert [[row.path for row in rows].count(one) for one in (first, third)] == [1, 1]
    assert doubts.doubted == len(rows) - 3
    later = RunFolder(tmp_path / "later")
    later.write_doubts(rows)
    again = read_corrections(later.doubts_file)
    assert (again.remove, again.relabel, again.keep) == (found.remove, found.relabel, found.keep)


def test_outliers_join_the_audit_as_warnings():
    case, _ = made_up_case()
    values = case.judged_of("best").learner.values
    values[10] = 8 * np.eye(24)[20]
    for copy, source in ((310, 40), (311, 41), (50, 51)):
        values[copy] = values[source] * 1.001
    rows = list(case.parts.rows)
    rows[41], rows[311] = (dataclasses.replace(rows[place], group="plant") for place in (41, 311))
    case.parts.rows = tuple(rows)
    paths = [row.path for row in rows]
    case.plan.audit = dataclasses.replace(NO_AUDIT, exact_duplicates=((paths[50], paths[51], paths[52]),))
    found = with_outliers(case)
    assert found.similar == ((paths[40], paths[310]),)
    assert paths[10] in {one.path for one in found.atypical}
    assert all(one.score > 3.5 and one.nearest in CLASSES for one in found.atypical)
    assert found.warnings[0] == "before"
    assert "unlike the others of the class" in found.warnings[1]
    assert found.warnings[2] == (
        f"1 group of images look nearly the same, by features, though no copies were found ({paths[40]} and "
        f"{paths[310]}); 1 of them in training and test images, which may flatter the test."
    )


def test_without_features_the_audit_stays_as_it_is():
    case, _ = made_up_case(learners={"tuned": FakeLearner(None)})
    assert with_outliers(case) is case.plan.audit
