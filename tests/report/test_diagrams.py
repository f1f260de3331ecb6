import xml.etree.ElementTree as ElementTree

import pytest

from headstart.evaluation.evidence import (
    CalibrationScores,
    CoveragePoint,
    Expected,
    LearningCurve,
    LearningPoint,
    ReliabilityBin,
)
from headstart.evaluation.results import FoldValues
from headstart.report.diagrams import coverage_panel, images_panel, reliability_panel


def words_of(svg):
    return ElementTree.fromstring(svg).find("desc").text.replace("\u202f", " ")


def scores(*bins):
    return CalibrationScores(0.1, 0.2, 0.3, tuple(ReliabilityBin(10, *one) for one in bins))


def values(mean, interval=None):
    return FoldValues((mean - 0.01, mean + 0.01), mean, 0.014, interval, mean)


def test_a_reliability_diagram_says_its_bins():
    svg = reliability_panel(scores((0.62, 0.55), (0.99, 0.9)), scores((0.57, 0.56), (0.93, 0.92)))
    assert words_of(svg) == (
        "Before: 62.0 % sure and 55.0 % right, 99.0 % sure and 90.0 % right. "
        "After: 57.0 % sure and 56.0 % right, 93.0 % sure and 92.0 % right."
    )
    assert "var(--series-1)" in svg and "var(--series-2)" in svg


@pytest.mark.parametrize("bins", [[(1.0, 1.0)], [(0.3, 0.0), (0.4, 1.0)]])
def test_a_reliability_diagram_has_room_for_extremes(bins):
    svg = reliability_panel(scores(*bins), scores(*bins))
    assert "nan" not in svg.lower()


def test_coverage_says_points_near_whole_tenths():
    points = tuple(CoveragePoint(n / 10, 1 - n / 100, 1 - n / 20) for n in range(1, 11))
    words = words_of(coverage_panel(points))
    assert words.startswith("10.0 % answered, 99.0 % of them right; 30.0 % answered, 97.0 %")
    assert words.endswith("100.0 % answered, 90.0 % of them right.")
    assert words_of(coverage_panel(points[-1:])) == "100.0 % answered, 90.0 % of them right."


@pytest.mark.parametrize("interval", [(0.7, 0.9), None])
def test_more_images_are_drawn_with_what_they_are_expected_to_bring(interval):
    points = tuple(LearningPoint(100 * 2**n, values(0.8 + 0.02 * n, interval)) for n in range(3))
    expected = (Expected(800, 0.86, (0.84, 0.88)), Expected(16_000, 0.9, (0.86, 0.95)))
    measured = "80.0 % with 100 images; 82.0 % with 200 images; 84.0 % with 400 images"
    with_forecast = images_panel(LearningCurve("a", points, expected, "words"))
    assert words_of(with_forecast) == (
        f"{measured}; 86.0 % expected with 800 images; 90.0 % expected with 16,000 images."
    )
    assert "var(--series-2)" in with_forecast
    without = images_panel(LearningCurve("a", points, (), "words"))
    assert words_of(without) == f"{measured}." and "var(--series-2)" not in without
