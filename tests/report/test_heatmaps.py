import numpy as np
import pytest

from headstart.report.figures import LIGHT, drawing, figure_of
from headstart.report.heatmaps import COUNTS, KINDS, LETTERS, OF_SAID, OF_TRUE, matrix_panel, shortened
from headstart.report.matrices import Part


def part(counts):
    return Part("out_of_fold", "Out of fold", "note", np.array(counts))


def made(counts, classes, kind=COUNTS):
    """Return the texts of the cells, the tick labels and the figure's smallest letters."""
    with drawing(LIGHT):
        panel = matrix_panel(part(counts), classes, kind)
        figure = figure_of(panel)
        figure.draw_without_rendering()
        (axes,) = figure.axes
        texts = {tuple(map(int, text.get_position())): text.get_text() for text in axes.texts}
        cell = axes.bbox.width / len(classes)
        fits = all(text.get_window_extent().width <= cell for text in axes.texts)
        labels = [one.get_text() for one in axes.yaxis.get_majorticklabels()]
        heights = [one.get_window_extent().height for one in axes.yaxis.get_majorticklabels()]
        return panel, texts, labels, fits, max(heights) / cell


def test_rows_are_true_and_columns_are_said():
    panel, texts, labels, fits, _ = made([[5, 1], [0, 4]], ("cat", "dog"))
    assert texts == {(0, 0): "5", (1, 0): "1", (1, 1): "4"}
    assert labels == ["cat", "dog"] and fits
    assert panel.words == "9 of 10 images are on the diagonal: rightly named."
    assert panel.name == "confusion-matrix-out-of-fold-counts" and panel.axis == "true class"


def test_shares_are_of_the_true_class():
    _, texts, _, _, _ = made([[9999, 1, 0], [0, 0, 0], [1, 0, 2]], ("a", "b", "c"), OF_TRUE)
    assert texts == {(0, 0): "99.9", (1, 0): "<0.1", (0, 2): "33.3", (2, 2): "66.7"}


def test_shares_are_of_what_was_said():
    panel, texts, _, _, _ = made([[9999, 1, 0], [0, 0, 0], [1, 0, 2]], ("a", "b", "c"), OF_SAID)
    assert texts == {(0, 0): "99.9", (1, 0): "100", (0, 2): "<0.1", (2, 2): "100"}
    assert panel.name == "confusion-matrix-out-of-fold-shares-of-said"
    assert panel.title == "Confusion matrix, out of fold, percent of what was said"


def test_cells_are_green_where_right_and_deeper_with_the_share():
    with drawing(LIGHT):
        (axes,) = figure_of(matrix_panel(part([[8, 2], [5, 5]]), ("a", "b"), COUNTS)).axes
        (cells,) = axes.collections
    first, wrong, worse, right = cells.get_facecolors()[:, :3]
    assert first[1] > first[0] and right[1] > right[0] and wrong[0] > wrong[1] and worse[0] > worse[1]
    assert first.sum() < right.sum() and worse.sum() < wrong.sum()


@pytest.mark.parametrize("classes", [2, 12, 40])
@pytest.mark.parametrize("kind", KINDS)
def test_numbers_fit_their_cells_and_names_their_rows(classes, kind):
    random = np.random.default_rng(0)
    counts = random.integers(0, 2000 // classes, (classes, classes))
    names = tuple(f"{'a rather long name ' * 4}{number}" for number in range(classes))
    _, texts, labels, fits, height = made(counts, names, kind)
    assert fits and height < 1.05
    assert len(texts) == np.count_nonzero(counts)
    assert len(set(labels)) == classes


def test_cells_too_small_for_numbers_stay_without():
    counts = np.eye(102, dtype=np.int64)
    panel, texts, labels, _, _ = made(counts, tuple(map(str, range(102))))
    assert not texts and len(labels) == 102
    assert panel.size[0] < 1200


def test_long_names_lose_their_middle():
    assert shortened("x" * LETTERS) == "x" * LETTERS
    name = shortened("a species of beetle with a long name, number 12")
    assert len(name) <= LETTERS and name.startswith("a species") and name.endswith("number 12") and "\u2026" in name
