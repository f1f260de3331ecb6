"""What is drawn says its numbers, and no words leave the picture or hide one another."""

import itertools
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from headstart.evaluation.results import FoldValues
from headstart.report.axes import entries, look
from headstart.report.curves import (
    MOST_FOLDS,
    Marks,
    Point,
    early_stops,
    learning_panel,
    phase_borders,
    rates_panel,
    speed_panel,
    top_k_panel,
)
from headstart.report.figures import LIGHT, SERIES, STAND_INS, drawing, figure_of, page_svg
from headstart.runs.rows import HistoryRow


def history(epochs, *, folds=3, phases=(), measure=lambda epoch: 1 - 0.6**epoch, final=0):
    """Return rows of folds that train ``epochs[fold]`` epochs; ``phases`` are the last epochs of all but the last."""
    lengths = epochs if isinstance(epochs, tuple) else (epochs,) * folds
    for fold, length in [*enumerate(lengths), *([(None, final)] if final else [])]:
        for epoch in range(1, length + 1):
            phase = 1 + sum(epoch > end for end in phases)
            accuracy = min(1.0, measure(epoch) + 0.01 * (fold or 0))
            repeat = None if fold is None else 0
            held_out = (None,) * 5 if fold is None else (1.1 - accuracy, accuracy, accuracy, accuracy, None)
            train = (1 - accuracy, accuracy, accuracy, accuracy, None)
            yield HistoryRow("a", repeat, fold, phase, epoch, 0.1, *train, *held_out)


def learning(rows, measure="accuracy", **marks):
    marks = Marks(**{"best_epochs": (1,), "final_epochs": None, **marks})
    return learning_panel("a", list(rows), measure, title="t", marks=marks)


def check_words(panel):
    """Assert that all words of a panel are inside it and that those on the axes neither overlap nor leave them."""
    with drawing(STAND_INS):
        figure = figure_of(panel)
        figure.draw_without_rendering()
        (axes,) = figure.axes
        inner = [text.get_window_extent() for text in axes.texts]
        room = axes.bbox.padded(1)
        for box in inner:
            assert room.x0 <= box.x0 and box.x1 <= room.x1 and room.y0 <= box.y0 and box.y1 <= room.y1
        assert not [pair for pair in itertools.combinations(inner, 2) if pair[0].overlaps(pair[1])]
        page = figure.bbox.padded(1)
        low, high = axes.get_xlim()
        ticks = [
            *(one for one in axes.xaxis.get_majorticklabels() if low <= one.get_position()[0] <= high),
            axes.xaxis.label,
        ]
        for text in ticks:
            box = text.get_window_extent()
            assert page.x0 - 8 <= box.x0 and box.x1 <= page.x1 + 8 and page.y0 <= box.y0 and box.y1 <= page.y1
        return [text.get_text() for text in axes.texts]


@pytest.mark.parametrize("measure", ["accuracy", "loss"])
@pytest.mark.parametrize(
    ("epochs", "phases", "best", "turned"),
    [
        (1, (), 1, None),
        (2, (1,), 1, 2.0),
        (2, (), 2, 1.0),
        (3, (1, 2), 2, 2.0),
        (3, (), 1.5, 1.5),
        (20, (6, 7), 6.5, 7.0),
        (20, (9, 10, 11, 12, 13), 20, 20.0),
        (20, (), 1, 1.0),
        (20, (18, 19), 19.7, 19.3),
        (60, (20, 40), 41, 41.0),
        (400, (200,), 200.5, 200.5),
    ],
)
def test_words_beside_lines_stay_inside_and_apart(epochs, phases, best, turned, measure):
    panel = learning(
        history(epochs, phases=phases, final=epochs), measure, best_epochs=(best,), turned=turned, gap=True, planned=500
    )
    said = check_words(panel)
    assert f"best epoch {best:g}" in said
    assert (f"turned {turned}".removesuffix(".0") in said) == (measure == "loss" and turned is not None)
    assert panel.words.count("begins after epoch") == len(phases)


def test_words_do_not_hide_the_curves_where_there_is_room():
    with drawing(STAND_INS):
        panel = learning(history(20, measure=lambda epoch: 0.5 + 0.001 * epoch), best_epochs=(10,))
        figure = figure_of(panel)
        (axes,) = figure.axes
        (box,) = [text.get_window_extent() for text in axes.texts]
        curves = [line.get_xydata() for line in axes.lines if len(line.get_xydata()) == 20]
        x = np.linspace(1, 20, 400)
        for curve in curves:
            pixels = axes.transData.transform(np.column_stack([x, np.interp(x, curve[:, 0], curve[:, 1])]))
            assert not ((pixels > box.min) & (pixels < box.max)).all(axis=1).any()


def test_folds_that_stopped_early_are_marked_and_told():
    rows = list(history((7, 9, 12), final=8))
    assert early_stops([row for row in rows if row.fold is not None], 12) == {(0, 0): 7, (0, 1): 9}
    panel = learning(rows, best_epochs=(4, 6, 11), planned=12, final_epochs=8)
    assert "2 of 3 trainings stopped early, at epochs 7 to 9 of 12 planned." in panel.words
    assert [entry.shape for entry in panel.legend if "stopped" in entry.name] == ["✖"]
    with drawing(STAND_INS):
        (axes,) = figure_of(panel).axes
        crosses = [line.get_xydata().tolist() for line in axes.lines if line.get_marker() == "X"]
    values = {row.fold: row.val_accuracy for row in rows if (row.fold, row.epoch) in {(0, 7), (1, 9)}}
    assert crosses == [[[7.0, values[0]]], [[9.0, values[1]]]]


@pytest.mark.parametrize("planned", [None, 7])
def test_nothing_is_marked_where_nothing_stopped_early(planned):
    panel = learning(history((7, 7)), planned=planned)
    assert "stopped" not in panel.words and not [entry for entry in panel.legend if "stopped" in entry.name]


def test_equal_stops_are_one_number():
    assert "1 of 1 trainings stopped early, at epoch 2 of 9 planned." in learning(history((2,)), planned=9).words


@pytest.mark.parametrize(("folds", "lines"), [(1, 0), (3, 3), (MOST_FOLDS, MOST_FOLDS), (MOST_FOLDS + 1, 0)])
def test_every_fold_is_a_thin_line_where_there_are_few(folds, lines):
    with drawing(STAND_INS):
        (axes,) = figure_of(learning(history(5, folds=folds))).axes
        found = [len(one.get_segments()) for one in axes.collections if hasattr(one, "get_segments")]
    assert found == ([lines, lines] if lines else [])


def test_a_legend_names_what_is_drawn():
    full = learning(
        history(9, phases=(4,), final=6), "loss", best_epochs=(3,), turned=5.0, gap=True, planned=20, final_epochs=6
    )
    names = [entry.name for entry in full.legend]
    assert names == [
        "validation, mean of the folds",
        "training, mean of the folds",
        "final training on all training images",
        "best epoch, mean of the folds",
        "validation loss turned",
        "stopped early: no better epoch came",
        "a phase ends, the next begins",
    ]
    assert [entry.name for entry in learning(history(9, folds=1)).legend] == ["validation", "training", "best epoch"]


def test_phases_begin_where_the_first_training_reached_them():
    assert phase_borders(list(history((3, 9), phases=(4, 6)))) == ((2, 4), (3, 6))


@pytest.mark.parametrize("epochs", [1, 2, 3, 20, 60, 400])
def test_ticks_are_epochs(epochs):
    root = ElementTree.fromstring(page_svg(learning(history(epochs), "loss")))
    texts = [one.text for one in root.iter("text")]
    ticks = texts[: texts.index("epoch")]
    assert ticks and all(1 <= float(tick) <= epochs and float(tick).is_integer() for tick in ticks)


def test_a_history_without_values_is_said():
    panel = learning([HistoryRow("a", 0, 0, 1, 1, 0.1, None, None)], "accuracy")
    assert panel.words.startswith("Validation: no values. Training: no values.")
    assert "nan" not in page_svg(panel).lower()


def spread(mean, interval=None, std=0.01):
    return FoldValues((mean,), mean, std, interval, mean)


def points(series, rates=(1e-4, 1e-3, 1e-2)):
    return [
        Point(f"network {number} in a rather long setting", rate, spread(0.9 - 0.01 * number, (0.8, 0.95)), number == 0)
        for number in range(series)
        for rate in rates
    ]


@pytest.mark.parametrize("series", [1, 2, 12])
@pytest.mark.parametrize("make", [rates_panel, speed_panel])
def test_charts_of_candidates_draw_every_point_and_interval(make, series):
    made = points(series)
    names = list(dict.fromkeys(point.network for point in made))
    panel = make(made, names)
    check_words(panel)
    assert [entry.name for entry in panel.legend] == names
    assert len({(entry.colour, entry.shape) for entry in panel.legend}) == series
    assert panel.words.count("(80.0 to 95.0)") == len(made)
    with drawing(STAND_INS):
        (axes,) = figure_of(panel).axes
        low, high = axes.get_xlim()
        bars = [
            line.get_xydata()
            for line in axes.lines
            if len(line.get_xydata()) == 2 and not line.get_marker().strip("None")
        ]
        bars = [bar for bar in bars if bar[0][0] == bar[1][0]]
        assert len(bars) == len(made)
        assert all(bar[:, 1].tolist() == [0.8, 0.95] and low < bar[0][0] < high for bar in bars)
        assert axes.get_ylim()[0] <= 0.8


def test_series_at_one_learning_rate_stand_side_by_side():
    made = points(3)
    with drawing(STAND_INS):
        (axes,) = figure_of(rates_panel(made, list(dict.fromkeys(point.network for point in made)))).axes
        pixels = sorted(
            axes.transData.transform(line.get_xydata())[0][0] for line in axes.lines if len(line.get_xydata()) == 3
        )
    assert np.diff(pixels) == pytest.approx([5.0, 5.0], rel=0.2)


def test_without_an_interval_a_bar_is_one_standard_deviation():
    panel = rates_panel([Point("a", 0.1, spread(0.995, std=0.02)), Point("a", 0.01, spread(0.5, std=None))], ["a"])
    assert panel.words == "a at 0.1: 99.5\u202f% plus or minus 2.0; a at 0.01: 50.0\u202f%."
    assert "nan" not in page_svg(panel)


def test_top_k_says_its_shares():
    panel = top_k_panel({"one": {1: 0.8, 2: 0.9, 3: 1.0}, "two": {1: 0.7, 2: 0.75, 3: 0.85}})
    assert panel.words.startswith("one: 80.0\u202f% among the first 1, 90.0\u202f% among the first 2")
    ticks = [one.text for one in ElementTree.fromstring(page_svg(panel)).iter("text")]
    assert {"1", "2", "3"} <= set(ticks)


def test_no_two_of_64_series_look_alike():
    looks = [look(number) for number in range(64)]
    assert len(set(looks)) == 64
    assert looks[0][0] == SERIES[0] and set(SERIES) < set(LIGHT)
    assert len({(entry.colour, entry.shape) for entry in entries([str(number) for number in range(64)])}) == 64
