"""How published numbers are laid out."""

import pytest

from headstart.errors import RunError
from headstart.recipe import PublishedValue
from headstart.report import published

STUDY = 'title = "A report"\nsource = "Somebody"\nunknown = ["the seed"]\n'


@pytest.fixture
def section_of(build_run):
    """Return a function that builds a run with published values of one candidate, each as part and metric."""

    def section(*values, study=STUDY, value=0.9, candidate="mobilenet-lr0.001", **settings):
        values = tuple(PublishedValue(candidate, part, metric, value) for part, metric in values)
        folder = build_run(backbones=("mobilenet",), rates=(1e-3,), published=values, **settings)
        return published.published_section(folder.summary(), study, folder.timings())

    return section


def test_nothing_published_is_no_section(section_of):
    assert section_of() is None


def test_the_recipe_says_whose_numbers_they_are(section_of):
    section = section_of(("test", "accuracy"), ("test", "happiness"))
    assert (section.title, section.source, section.unknown) == ("A report", "Somebody", ("the seed",))
    assert (section.total, section.measured) == (2, 1)


def test_a_recipe_that_says_nothing_leaves_them_empty(section_of):
    section = section_of(("test", "accuracy"), study="seed = 0\n")
    assert (section.title, section.source, section.unknown) == ("", "", ())


def test_a_damaged_recipe_is_said(section_of):
    with pytest.raises(RunError, match="damaged"):
        section_of(("test", "accuracy"), study="title = ")


def test_three_metrics_stand_side_by_side_and_parts_in_order(section_of):
    metrics = ("recall", "loss", "happiness", "top_2", "accuracy")
    section = section_of(*(("test", metric) for metric in metrics), ("train", "accuracy"), ("validation", "loss"))
    assert [table.metrics for table in section.overall] == [
        ("Accuracy", "Loss", "Top 2"),
        ("Recall, macro", "Happiness"),
    ]
    (group,) = section.overall[0].shown
    assert group.name == "MobileNet, rate 0.001"
    assert [row.name for row in group.rows] == ["training", "validation", "test"]
    assert [[value is not None for value in row.values] for row in group.rows] == [
        [True, False, False],
        [False, True, False],
        [True, True, True],
    ]


@pytest.mark.parametrize(
    ("metric", "value", "reached"),
    [
        ("accuracy", 0.0, True),
        ("accuracy", 1.0, False),
        ("loss", 0.0, False),
        ("loss", 9.0, True),
        ("parameters", 1.0, None),
    ],
)
def test_lower_is_better_for_the_loss_alone(section_of, metric, value, reached):
    section = section_of(("test", metric), value=value)
    (found,) = section.overall[0].shown[0].rows[0].values
    assert found.reached is reached


def test_kinds_of_numbers(section_of):
    metrics = ("accuracy", "loss", "f1", "parameters")
    section = section_of(*(("test", metric) for metric in metrics))
    values = [value for table in section.overall for value in table.shown[0].rows[0].values]
    assert [value.published.kind for value in values] == ["fine_percent", "fine_decimals", "ratio", "count"]
    differences = ["signed_points", "signed_decimals", "signed_decimals", "signed_count"]
    assert [value.difference.kind for value in values] == differences


def test_the_time_of_a_step_is_that_of_the_timings(section_of):
    section = section_of(("train", "seconds_per_step"), ("train", "seconds_per_step:epoch 1"))
    (value,) = section.overall[0].shown[0].rows[0].values
    assert value.here.pointer == "timings/candidates/mobilenet-lr0.001/milliseconds_per_step"
    assert value.measured and value.difference is None and value.reached is None
    (details,) = section.details
    assert [(table.title, table.measured) for table in details.tables] == [("Epoch by epoch", False)]


@pytest.mark.parametrize(("count", "hidden"), [(6, 0), (7, 7)])
def test_more_than_six_rows_without_a_number_here_are_hidden(build_run, count, hidden):
    names = ["mobilenet-lr0.001", *(f"other {place}" for place in range(count))]
    values = tuple(PublishedValue(name, "test", "accuracy", 0.9) for name in names)
    folder = build_run(backbones=("mobilenet",), rates=(1e-3,), published=values)
    (table,) = published.published_section(folder.summary(), STUDY, folder.timings()).overall
    assert len(table.hidden) == hidden
    assert len(table.shown) == 1 + count - hidden


def test_details_are_told_apart(section_of):
    section = section_of(
        ("test", "precision:daisy"),
        ("test", "tp:roses"),
        ("train", "recall:daisy"),
        ("validation", "accuracy:fold 2"),
        ("train", "loss:fold 2"),
        ("train", "loss:epoch 3"),
        ("test", "confusion_matrix:daisy:roses"),
        ("test", "confusion_matrix:roses:roses"),
    )
    (details,) = section.details
    assert [table.title for table in details.tables] == [
        "Class by class, training images",
        "Class by class, test images",
        "Fold by fold",
        "Epoch by epoch",
    ]
    assert [table.columns for table in details.tables[1:]] == [
        ("TP", "Precision"),
        ("Loss, training", "Accuracy, validation"),
        ("Loss, training",),
    ]
    assert [row.name for row in details.tables[1].rows] == ["daisy", "roses"]
    (matrix,) = details.confusions
    assert matrix.classes == ("daisy", "roses") and matrix.measured
    assert [[one is not None for one in row] for row in matrix.rows] == [[False, True], [False, True]]


def test_a_class_may_be_called_a_fold_or_hold_a_colon(section_of):
    values = [
        ("test", "precision:Fold 1"),
        ("test", "confusion_matrix:a:b:fold 1"),
        ("test", "confusion_matrix:a:b:a:b"),
    ]
    (details,) = section_of(*values, classes=("a:b", "fold 1")).details
    assert [(table.head, table.measured) for table in details.tables] == [("Class", True)]
    assert details.confusions[0].classes == ("a:b", "fold 1") and details.confusions[0].measured
