import dataclasses

import numpy as np
import pytest

from headstart.evaluation.results import FoldValues
from headstart.report import content
from headstart.report.areas import coloured_curves


@pytest.fixture
def findings(build_run):
    return content.gather(build_run(failed=("mobilenet-lr0.01",)))


def test_ranking_is_best_first_and_failed_last(findings):
    ranked = content.ranking(findings.summary)
    means = [row.result.cv.accuracy.mean for row in ranked if row.rank]
    assert means == sorted(means, reverse=True)
    assert ranked[0].result.id == findings.summary.best
    assert [row.rank for row in ranked] == [1, 2, 3, None]
    assert ranked[-1].result.id == "mobilenet-lr0.01" and ranked[-1].strip is None
    assert [findings.summary.candidates[row.index] for row in ranked] == [row.result for row in ranked]


@pytest.mark.parametrize("named", [{"choose_by": "loss"}, {"choose_by": ""}])
def test_ranking_follows_the_measure_that_chose(findings, named):
    protocol = dataclasses.replace(findings.summary.protocol, monitor="loss", **named)
    candidates = [
        dataclasses.replace(one, cv=dataclasses.replace(one.cv, loss=one.cv.accuracy)) if one.cv else one
        for one in findings.summary.candidates
    ]
    worst = min((one for one in candidates if one.cv), key=lambda one: one.cv.loss.mean)
    summary = dataclasses.replace(findings.summary, protocol=protocol, candidates=tuple(candidates), best=worst.id)
    losses = [row.result.cv.loss.mean for row in content.ranking(summary) if row.rank]
    assert losses == sorted(losses)


def test_strips_lie_inside_a_round_scale(findings):
    scale = content.ranking_scale(findings.summary)
    assert 0 <= scale.low < scale.high <= 1
    assert round(100 * scale.low, 9).is_integer() and round(100 * scale.high, 9).is_integer()
    for row in content.ranking(findings.summary):
        if row.strip:
            assert 0 <= row.strip.low <= row.strip.mean <= row.strip.high <= 100
            back = [scale.low + dot / 100 * (scale.high - scale.low) for dot in row.strip.dots]
            assert back == pytest.approx(row.result.cv.accuracy.folds)


@pytest.mark.parametrize("accuracy", [0.0, 0.5, 1.0])
def test_a_scale_has_room_when_all_values_are_equal(findings, accuracy):
    values = FoldValues((accuracy,), accuracy, None, None, accuracy)
    candidate = findings.summary.candidates[1]
    candidate = dataclasses.replace(candidate, cv=dataclasses.replace(candidate.cv, accuracy=values))
    scale = content.ranking_scale(dataclasses.replace(findings.summary, candidates=(candidate,)))
    assert 0 <= scale.low < scale.high <= 1 and scale.low <= accuracy <= scale.high


def test_confused_pairs_are_the_commonest_first(findings):
    pairs = content.confused_pairs(findings.summary.test.confusion_matrix, findings.summary.dataset.classes)
    matrix = np.array(findings.summary.test.confusion_matrix)
    wrong = np.sort((matrix - np.diag(np.diag(matrix))).ravel())[::-1]
    assert [pair.count for pair in pairs] == wrong[: len(pairs)].tolist()
    assert all(pair.support == 12 and pair.true != pair.predicted for pair in pairs)


def test_learning_curves_begin_with_the_finalists(findings):
    ranked = content.ranking(findings.summary)
    order = [row.result.id for row in content.curve_order(ranked, findings.summary)]
    assert set(order[:2]) == {final.candidate for final in findings.summary.finals}
    assert len(order) == 3


def test_few_roc_curves_are_all_coloured_and_of_many_the_worst():
    assert coloured_curves([0.9, 0.8, 0.7]) == [0, 1, 2]
    assert coloured_curves([0.99, 0.5, 0.98, 0.6, 0.97, 0.7, 0.96, 0.8, None, 0.9]) == [1, 3, 5, 7, 9]


def test_measures_of_all_classes_end_with_top_k(findings):
    measures = content.measures(findings.summary)
    assert [one.title for one in measures[:2]] == ["Accuracy", "Balanced accuracy"]
    assert [(one.title, one.pointer) for one in measures[5:]] == [
        ("Top 2", "summary/test/top_k/2"),
        ("Top 3", "summary/test/top_k/3"),
    ]
    two = dataclasses.replace(findings.summary.test, top_k={})
    assert len(content.measures(dataclasses.replace(findings.summary, test=two))) == 5
