"""From logits to words: temperature, thresholds, costs and the unknown."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from scipy.special import softmax

from headstart.classifier.answering import Answering, answer, unknown_word
from headstart.evaluation.operating import Cost, Threshold

CLASSES = ("crow", "jay", "owl")
LOGITS = np.array([[4.0, 0.0, 1.0], [1.0, 1.2, 0.0], [0.0, 0.5, 3.0]])


@dataclass(frozen=True)
class FarAway:
    """Stands in for a detector: an image is unknown where its first feature is above the threshold."""

    threshold: float = 0.5
    method: str = "far"
    arrays: dict = field(default_factory=lambda: {"centre": np.zeros(2, np.float32)})

    def score(self, logits, features):
        assert logits.shape == (3, 3)
        return np.float64(features[:, 0])


def words(answering, features=None, classes=CLASSES):
    return answer(answering, LOGITS, features, classes).words


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_probabilities_are_the_softmax_over_the_temperature(temperature):
    found = answer(Answering(temperature), LOGITS, None, CLASSES)
    np.testing.assert_allclose(found.probabilities, softmax(LOGITS / temperature, axis=1))
    assert (found.words, found.unknown_scores) == (("crow", "jay", "owl"), None)


def test_thresholds_and_costs_change_answers():
    assert words(Answering(thresholds=(Threshold("jay", "precision", 0.9),))) == ("crow", "crow", "owl")
    assert words(Answering(thresholds=(Threshold("crow", "recall", 0.3),))) == ("crow", "crow", "owl")
    assert words(Answering(costs=(Cost("owl", "crow", 30.0),))) == ("owl", "jay", "owl")
    everywhere = tuple(Threshold(name, "precision", 0.8) for name in CLASSES)
    assert words(Answering(thresholds=everywhere)) == ("crow", "unknown", "owl")


def test_thresholds_are_of_calibrated_probabilities():
    sure = Answering(thresholds=(Threshold("crow", "precision", 0.9),))
    assert words(sure)[0] == "crow"
    assert words(Answering(3.0, thresholds=sure.thresholds))[0] == "owl"


def test_the_detector_has_the_last_word():
    features = np.array([[0.4, 1.0], [0.5, 1.0], [0.6, 1.0]])
    found = answer(Answering(detector=FarAway(), costs=(Cost("crow", "jay", 5.0),)), LOGITS, features, CLASSES)
    assert found.words == ("crow", "crow", "unknown")
    np.testing.assert_array_equal(found.unknown_scores, [0.4, 0.5, 0.6])


def test_a_class_called_unknown_is_told_from_no_class():
    classes = ("crow", "unknown", "owl")
    features = np.array([[0.0], [0.0], [1.0]])
    assert words(Answering(detector=FarAway()), features, classes) == ("crow", "unknown", "(unknown)")
    assert unknown_word(("unknown", "(unknown)")) == "((unknown))"


def test_features_are_needed_by_detectors_with_arrays_alone():
    assert not Answering().needs_features
    assert Answering(detector=FarAway()).needs_features
    assert not Answering(detector=FarAway(arrays={})).needs_features
