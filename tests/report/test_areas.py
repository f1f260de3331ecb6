import itertools

import numpy as np
import pytest
from sklearn.metrics import auc

from headstart.evaluation.metrics import precision_recall_curve, roc_curve
from headstart.report.areas import MOST_POINTS, TOLERANCE, ClassCurve, coloured_curves, roc_panel, thinned


def answers(images, skill, seed=0):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, images)
    score = 1 / (1 + np.exp(-random.normal(size=images) - skill * (labels - 0.5)))
    return labels, np.column_stack([1 - score, score])


@pytest.mark.parametrize("skill", [0.0, 1.0, 4.0, 9.0])
@pytest.mark.parametrize("images", [60, 8000])
def test_a_thinned_curve_is_the_curve_to_the_eye(images, skill):
    roc = roc_curve(*answers(images, skill), 1)
    x, y = roc.false_positive_rate, roc.true_positive_rate
    kept = thinned(x, y)
    assert len(kept) < MOST_POINTS
    assert (kept[0], kept[-1]) == (0, len(x) - 1) and (np.diff(kept) > 0).all()
    assert auc(x[kept], y[kept]) == pytest.approx(auc(x, y), abs=2e-3)
    points = np.column_stack([x, y])
    for first, last in itertools.pairwise(kept):
        way, away = points[last] - points[first], points[first : last + 1] - points[first]
        far = np.abs(away[:, 0] * way[1] - away[:, 1] * way[0]) / max(np.hypot(*way), 1e-12)
        assert far.max() <= (TOLERANCE if images == 60 else 5e-3)


def test_precision_and_recall_are_thinned_too():
    curve = precision_recall_curve(*answers(8000, 2.0), 1)
    kept = thinned(curve.recall, curve.precision)
    assert 2 < len(kept) < MOST_POINTS


def test_corners_stay():
    x, y = np.array([0.0, 0.0, 0.25, 0.25, 1.0]), np.array([0.0, 0.5, 0.5, 1.0, 1.0])
    assert thinned(x, y).tolist() == [0, 1, 2, 3, 4]
    assert thinned(np.linspace(0, 1, 50), np.linspace(0, 1, 50)).tolist() == [0, 49]
    assert thinned(np.array([0.0, 1.0]), np.array([0.0, 1.0])).tolist() == [0, 1]
    assert thinned(np.array([0.5, 0.7, 0.5]), np.array([0.5, 0.5, 0.5])).tolist() == [0, 1, 2]


def test_of_many_classes_the_smallest_areas_are_said():
    line = np.array([0.0, 1.0])
    curves = [ClassCurve(f"class {number}", line, line, 0.5 + number / 100) for number in range(20)]
    words = roc_panel(curves, [0], (), zoomed=False).words
    assert words.endswith("class 11 0.610; 8 others have larger ones, up to 0.690.") and "class 12" not in words
    assert roc_panel(curves[:2], [0], (), zoomed=True).words == (
        "Area under the curve of each class: class 0 0.500, class 1 0.510."
    )


def test_few_classes_are_all_coloured_and_of_many_the_worst():
    assert coloured_curves([0.9] * 6) == [0, 1, 2, 3, 4, 5]
    assert coloured_curves([0.9, 0.1, None, 0.8, 0.2, 0.7, 0.95, 0.3]) == [1, 3, 4, 5, 7]
