"""Targets and costs of a protocol: read, refused, and judged on test images."""

import numpy as np
import pytest

from headstart.errors import UsageError
from headstart.evaluation.intervals import wilson_interval
from headstart.evaluation.operating import Cost, Threshold, answered
from headstart.recipe import Candidate, Optimizer, Protocol, Training
from headstart.study.asked import Target, check_decisions, targets_and_costs
from headstart.study.calibration import calibration
from headstart.study.operating import operating, thresholds_and_costs
from headstart.training.heads import softmax

NAMES = ("daisy", "rose", "tulip", "a:b", "b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("precision dasy 0.9", "there is no class 'dasy'. Did you mean 'daisy'? The classes are daisy, rose, tulip"),
        ("recall zzz 0.9", "there is no class 'zzz'. The classes are"),
        ("cost rose:tulp 3", "there is no class 'tulp'. Did you mean 'tulip'?"),
        ("cost rse:tulip 3", "there is no class 'rse'. Did you mean 'rose'?"),
        ("cost rose:rose 3", "an answer that is right costs nothing"),
    ],
)
def test_classes_that_are_not_there_are_refused(text, message):
    with pytest.raises(UsageError) as error:
        check_decisions(["precision rose 0.9", text], NAMES)
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_all_problems_are_said_at_once():
    with pytest.raises(UsageError) as error:
        check_decisions(["cost x:y 1", "cost rose:rose 1"], NAMES)
    assert [line.split(":")[0] for line in str(error.value).splitlines()] == ["'cost x", "'cost x", "'cost rose"]


def test_what_is_there_is_accepted():
    check_decisions((), NAMES)
    check_decisions(["precision a:b 0.9", "recall daisy 0.5"], NAMES)
    check_decisions(["cost a:b:daisy 2", "cost daisy:a:b 3.5"], NAMES)


def test_texts_become_targets_and_costs():
    found = targets_and_costs(Protocol(decide=("precision a:b 0.9", "recall daisy 5e-1")).decide, NAMES)
    assert found == ((Target("a:b", "precision", 0.9), Target("daisy", "recall", 0.5)), ())
    costs = targets_and_costs(["cost a:b:daisy 2", "cost daisy:a:b 3.5"], NAMES)
    assert costs == ((), (Cost("a:b", "daisy", 2.0), Cost("daisy", "a:b", 3.5)))


@pytest.fixture
def decided(opened_case):
    def make(*decide, images=900, **settings):
        candidate = Candidate("made", train=Training(15, optimizer=Optimizer("adam", 0.01)))
        return opened_case(images, [candidate], values=8, folds=3, decide=decide, **settings)

    return make


def said(case, temperature, thresholds, costs):
    """Return labels, and the answers with and without the rule, of the test images."""
    test = case.test_of(case.best)
    scores = softmax(test.logits.astype(np.float64) / temperature)
    return test.labels, answered(scores, case.classes, thresholds, costs), scores.argmax(axis=1)


def test_nothing_asked_nothing_found(decided):
    case = decided()
    assert operating(case, 1.0) is None
    assert thresholds_and_costs(case, 1.0) == ((), ())


def test_targets_are_reached_out_of_fold_and_judged_on_test(decided):
    case = decided("precision class 0 0.9", "recall class 1 0.9")
    temperature = calibration(case).temperature
    thresholds, costs = thresholds_and_costs(case, temperature)
    found = operating(case, temperature)
    assert [(one.class_, one.kind) for one in thresholds] == [("class 0", "precision"), ("class 1", "recall")]
    labels, answers, before = said(case, temperature, thresholds, costs)
    assert (found.accuracy, found.accuracy_before) == (np.mean(answers == labels), np.mean(before == labels))
    assert (found.cost_before, found.cost_after) == (None, None)
    for index, (point, threshold) in enumerate(zip(found.points, thresholds, strict=True)):
        assert (point.threshold, point.target, point.reached) == (threshold.value, 0.9, True)
        mine, called = labels == index, answers == index
        assert point.test_precision == pytest.approx(np.mean(mine[called]))
        assert point.test_recall == pytest.approx(np.mean(called[mine]))
        assert point.test_precision_ci95 == wilson_interval(int(np.sum(mine & called)), int(called.sum()))
        assert point.test_recall_ci95 == wilson_interval(int(np.sum(mine & called)), int(mine.sum()))
    precise, complete = found.points
    assert precise.out_of_fold_precision >= 0.9 and complete.out_of_fold_recall >= 0.9
    assert precise.test_precision > np.mean(labels[before == 0] == 0) + 0.02
    assert precise.test_precision == pytest.approx(0.9, abs=0.05)
    assert complete.test_recall == pytest.approx(0.9, abs=0.05)


def test_a_precision_out_of_reach_is_said(decided):
    shuffled = np.random.default_rng(5).integers(0, 3, 300)
    case = decided("precision class 2 0.99", images=300, labels=shuffled)
    assert thresholds_and_costs(case, 1.0)[0] == (Threshold("class 2", "precision", 2.0),)
    [point] = operating(case, 1.0).points
    assert (point.reached, point.out_of_fold_precision, point.out_of_fold_recall) == (False, None, 0.0)
    assert (point.test_precision, point.test_precision_ci95, point.test_recall) == (None, None, 0.0)


def test_costs_are_lowered_on_test(decided):
    case = decided("cost class 0:class 1 20", "cost class 2:class 1 0")
    temperature = calibration(case).temperature
    thresholds, costs = thresholds_and_costs(case, temperature)
    assert (thresholds, len(costs)) == ((), 2)
    labels, answers, before = said(case, temperature, (), costs)
    found = operating(case, temperature)
    price = {(0, 1): 20.0, (2, 1): 0.0}

    def mean(answers):
        return np.mean([price.get((true, one), float(true != one)) for true, one in zip(labels, answers, strict=True)])

    assert (found.cost_before, found.cost_after) == (pytest.approx(mean(before)), pytest.approx(mean(answers)))
    assert found.cost_after < 0.7 * found.cost_before
    assert (found.points, found.accuracy) == ((), np.mean(answers == labels))
