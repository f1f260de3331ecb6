"""Published numbers: nested tables become rows, and what is wrong is said."""

import pytest

from headstart.recipe import PublishedValue
from headstart.recipe.published import tables_of
from headstart.recipe.reader import read_text

HEAD = """
classes = ["cat", "dog"]
backbone = "mobilenet"
grid."train.optimizer.learning_rate" = [1e-2, 1e-3]
"""
NAME = "mobilenet-lr0.01"


def rows_of(text):
    return read_text(HEAD + text).recipe().published


def problems_of(text):
    return read_text(HEAD + text).problems


def test_numbers_classes_folds_and_matrices_become_rows_in_their_order():
    text = f"""
    [published."{NAME}".validation]
    accuracy = [0.5, 1]
    loss = 0.25
    [published."{NAME}".test]
    accuracy = 1
    precision = {{cat = 0.75, dog = 0.5, macro = 0.6}}
    "accuracy:epoch 1" = 0.1
    confusion_matrix = [[1, 2], [3, 4]]
    """
    found = [(row.part, row.metric, row.value) for row in rows_of(text)]
    assert found == [
        ("validation", "accuracy:fold 1", 0.5),
        ("validation", "accuracy:fold 2", 1.0),
        ("validation", "loss", 0.25),
        ("test", "accuracy", 1.0),
        ("test", "precision:cat", 0.75),
        ("test", "precision:dog", 0.5),
        ("test", "precision:macro", 0.6),
        ("test", "accuracy:epoch 1", 0.1),
        ("test", "confusion_matrix:cat:cat", 1.0),
        ("test", "confusion_matrix:cat:dog", 2.0),
        ("test", "confusion_matrix:dog:cat", 3.0),
        ("test", "confusion_matrix:dog:dog", 4.0),
    ]
    assert all(isinstance(row.value, float) for row in rows_of(text))
    assert {row.candidate for row in rows_of(text)} == {NAME}


BAD = [
    ("published = 5", "published must be a table. Received: 5."),
    (f'[published]\n"{NAME}" = 5', f"published.{NAME} must be a table. Received: 5."),
    (f'[published."{NAME}"]\ntest = 5', f"published.{NAME}.test must be a table. Received: 5."),
    (f'[published."{NAME}".tests]\n', f"published.{NAME}.tests: there is no such part. Did you mean 'test'?"),
    (
        f'[published."{NAME}".all]\n',
        f"published.{NAME}.all: there is no such part. It must be one of train, validation, test.",
    ),
    (f'[published."{NAME}".test]\nloss = "x"', f"published.{NAME}.test.loss must be a number. Received: 'x'."),
    (f'[published."{NAME}".test]\nloss = nan', f"published.{NAME}.test.loss must be a finite number. Received: nan."),
    (f'[published."{NAME}".test]\nloss = true', f"published.{NAME}.test.loss must be a number. Received: true."),
    (f'[published."{NAME}".test]\nloss = [1, "x"]', f"published.{NAME}.test.loss[1] must be a number. Received: 'x'."),
    (
        f'[published."{NAME}".test]\nrecall = {{cot = 1}}',
        f"published.{NAME}.test.recall.cot: there is no such class. Did you mean 'cat'?",
    ),
    (
        f'[published."{NAME}".test]\nconfusion_matrix = [[1, 2]]',
        f"published.{NAME}.test.confusion_matrix must be 2 lists of 2 numbers, one for each of the classes.",
    ),
    (
        '[published."mobilenet-lr1".test]\nloss = 1',
        "published.mobilenet-lr1: there is no such candidate. Did you mean 'mobilenet-lr0.01'?",
    ),
    (
        f"[published.{NAME}.test]\nloss = 1",
        "published.mobilenet-lr0: there is no such candidate. A name with a dot needs quotes: "
        '[published."mobilenet-lr0.01".test].',
    ),
]


@pytest.mark.parametrize(("text", "line"), BAD, ids=lambda value: value[-40:])
def test_what_is_wrong_is_said_with_its_key(text, line):
    assert problems_of(text) == (line,)


def test_a_matrix_needs_the_names_of_the_classes():
    text = 'backbone = "mobilenet"\n[published."mobilenet-lr0.001".test]\nconfusion_matrix = [[1]]'
    (line,) = read_text(text).problems
    assert line.endswith("confusion_matrix needs the names of the classes in their order. Add classes = [...].")


def test_classes_are_not_checked_where_none_are_named():
    text = 'backbone = "mobilenet"\n[published."mobilenet-lr0.001".test]\nrecall = {anything = 1}'
    assert [row.metric for row in read_text(text).recipe().published] == ["recall:anything"]


@pytest.mark.parametrize(
    "fault",
    [
        "[grid]\n'train.epoch' = [1]\n[[candidate]]\nname = 'a'",
        "[[candidate]]\nname = 'a'\ngrid.weights = 5",
        "[[candidate]]\nname = 'a'\nbackbone = 5",
    ],
)
def test_names_that_a_broken_grid_may_have_made_are_not_called_unknown(fault):
    published = "[published.a-new.test]\nloss = 1\n[published.c-new.test]\nloss = 1"
    fault += "\n[[candidate]]\nname = 'b'\nbackbone = 'mobilenet'\ntrain.epochs = 3\n"
    unknown = [line for line in read_text(fault + published).problems if line.startswith("published")]
    assert unknown == ["published.c-new: there is no such candidate."]


def test_rows_become_tables_again():
    rows = [
        PublishedValue("a", "test", "loss", 1.0),
        PublishedValue("a", "test", "precision:cat", 0.5),
        PublishedValue("b.c", "train", "accuracy:fold 1", 0.25),
    ]
    assert tables_of(rows) == {
        "a": {"test": {"loss": 1.0, "precision:cat": 0.5}},
        "b.c": {"train": {"accuracy:fold 1": 0.25}},
    }
