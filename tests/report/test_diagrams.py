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
from headstart.report.diagrams import KEPT, coverage_panel, images_panel, map_panel, ranking_panel, reliability_panel
from headstart.report.figures import STAND_INS, drawing, figure_of, page_svg
from headstart.runs.rows import MapRow


def words_of(panel):
    words = ElementTree.fromstring(page_svg(panel)).find("desc").text
    assert words == panel.words
    return words.replace("\u202f", " ")


def scores(*bins):
    return CalibrationScores(0.1, 0.2, 0.3, tuple(ReliabilityBin(10, *one) for one in bins))


def values(mean, interval=None):
    return FoldValues((mean - 0.01, mean + 0.01), mean, 0.014, interval, mean)


def test_a_reliability_diagram_says_its_bins():
    panel = reliability_panel(scores((0.62, 0.55), (0.99, 0.9)), scores((0.57, 0.56), (0.93, 0.92)))
    assert words_of(panel) == (
        "Before: 62.0 % sure and 55.0 % right, 99.0 % sure and 90.0 % right. "
        "After: 57.0 % sure and 56.0 % right, 93.0 % sure and 92.0 % right."
    )
    svg = page_svg(panel)
    assert "var(--series-1)" in svg and "var(--series-2)" in svg
    assert [entry.name for entry in panel.legend] == ["before", "after", "sure and right agree"]


@pytest.mark.parametrize("bins", [[(1.0, 1.0)], [(0.3, 0.0), (0.4, 1.0)]])
def test_a_reliability_diagram_has_room_for_extremes(bins):
    svg = page_svg(reliability_panel(scores(*bins), scores(*bins)))
    assert "nan" not in svg.lower()


def test_coverage_says_points_near_whole_tenths():
    points = tuple(CoveragePoint(n / 10, 1 - n / 100, 1 - n / 20) for n in range(1, 11))
    words = words_of(coverage_panel(points))
    assert words.startswith("10.0 % answered, 99.0 % of them right; 30.0 % answered, 97.0 %")
    assert words.endswith("100.0 % answered, 90.0 % of them right.")
    assert words_of(coverage_panel(points[-1:])) == "100.0 % answered, 90.0 % of them right."


@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.9467, 1.0])
def test_the_unknown_threshold_is_marked_in_the_coverage_chart(kept):
    points = tuple(CoveragePoint(n / 10, 1 - n / 100, 1 - n / 20) for n in range(1, 11))
    panel = coverage_panel(points, kept)
    texts = [one.text for one in ElementTree.fromstring(page_svg(panel)).iter("text")]
    said = f"{100 * kept:.1f}\u202f%"
    assert f"threshold keeps {said}" in texts
    assert panel.words.endswith(f"The unknown threshold keeps {said} of the test images.")
    assert [entry.name for entry in panel.legend] == [KEPT]
    assert coverage_panel(points).legend == () and "threshold" not in page_svg(coverage_panel(points))


def test_a_ranking_has_a_row_per_candidate():
    shown = [("first of all", values(0.9, (0.8, 1.0))), ("second", values(0.7))]
    panel = ranking_panel(shown, best="first of all")
    assert words_of(panel) == "first of all 90.0 %; second 70.0 %."
    root = ElementTree.fromstring(page_svg(panel))
    assert {"first of all", "second"} <= {one.text for one in root.iter("text")}
    with drawing(STAND_INS):
        (axes,) = figure_of(panel).axes
        bars = [line.get_xdata().tolist() for line in axes.lines if line.get_linewidth() == 4]
    assert bars == [[0.8, 1.0], pytest.approx([0.686, 0.714])]


def test_the_map_draws_every_image_and_rings_the_wrong_ones():
    rows = [
        MapRow("1", "a", "train", "a", 0.0, 0.5),
        MapRow("2", "b", "test", "a", 1.0, -0.5),
        MapRow("3", "b", "test", None, 0.2, 0.1),
    ]
    panel = map_panel(rows, ("a", "b"))
    assert panel.words == "3 images of 2 classes; 1 were answered wrong."
    assert [entry.name for entry in panel.legend] == ["a", "b", "answered wrong"]
    with drawing(STAND_INS):
        (axes,) = figure_of(panel).axes
        drawn = [line.get_xydata().tolist() for line in axes.lines]
    assert drawn == [[[0.0, 0.5]], [[1.0, -0.5], [0.2, 0.1]], [[1.0, -0.5]]]


@pytest.mark.parametrize("interval", [(0.7, 0.9), None])
def test_more_images_are_drawn_with_what_they_are_expected_to_bring(interval):
    points = tuple(LearningPoint(100 * 2**n, values(0.8 + 0.02 * n, interval)) for n in range(3))
    expected = (Expected(800, 0.86, (0.84, 0.88)), Expected(16_000, 0.9, (0.86, 0.95)))
    measured = "80.0 % with 100 images; 82.0 % with 200 images; 84.0 % with 400 images"
    with_forecast = images_panel(LearningCurve("a", points, expected, "words"))
    assert words_of(with_forecast) == (
        f"{measured}; 86.0 % expected with 800 images; 90.0 % expected with 16,000 images."
    )
    assert "var(--series-2)" in page_svg(with_forecast) and len(with_forecast.legend) == 2
    without = images_panel(LearningCurve("a", points, (), "words"))
    assert words_of(without) == f"{measured}." and "var(--series-2)" not in page_svg(without)
    assert len(without.legend) == 1
