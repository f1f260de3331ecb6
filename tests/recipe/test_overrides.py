"""``--set key=value``: how values are read, and what cannot be set."""

import pytest

from headstart.recipe.reader import read_text

MOBILENET = 'backbone = "mobilenet"'


def read_with(*overrides):
    return read_text(MOBILENET, overrides)


def candidate_with(*overrides):
    (one,) = read_with(*overrides).recipe().candidates
    return one


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001), ("5", 5.0), (".5", 0.5), ("5.", 5.0), ("1_0", 10.0), (" 0.25 ", 0.25), ("5 # five", 5.0),
    ],
)  # fmt: skip
def test_numbers_are_read_as_toml_or_python_writes_them(text, value):
    assert candidate_with(f"train.optimizer.learning_rate={text}").train.optimizer.learning_rate == value


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("train.trainable=from conv_pw_13=relu", "from conv_pw_13=relu"),
        ("train.trainable=last 4", "last 4"),
        ('train.trainable="last 4"', "last 4"),
        ("train.trainable='all'", "all"),
    ],
)
def test_texts_need_no_quotes(override, value):
    assert candidate_with(override).train.trainable == value


def test_a_value_that_would_smuggle_in_another_key_is_a_text():
    (line,) = read_with("weights='random'\ncolour='grey'").problems
    assert line.startswith("weights must be one of imagenet, random. Received: \"'random'\\ncolour='grey'\".")


def test_lists_tables_and_truth_values_are_toml():
    one = candidate_with(
        'head.layers=["dense 64", "dropout 0.5"]', 'train.optimizer={name="sgd"}', "train.optimizer.nesterov=true"
    )
    assert one.head.layers == ("dense 64", "dropout 0.5")
    assert (one.train.optimizer.name, one.train.optimizer.nesterov) == ("sgd", True)


def test_the_last_of_one_key_counts():
    draft = read_with("train.epochs=1", "protocol.folds=3", "train.epochs=2", "protocol.folds=4", "data.group_by=")
    assert draft.candidates[0].train.epochs == 2
    assert (draft.protocol.folds, draft.data.group_by) == (4, "")


def test_the_earlier_name_of_a_setting_is_one_here_too():
    draft = read_with("protocol.monitor=loss")
    assert (draft.protocol.choose_by, draft.protocol.score_epoch) == ("loss", "best")


def test_class_names_are_replaced_not_merged():
    text = MOBILENET + '\ndata.class_names = {a = "x", b = "y"}'
    assert read_text(text, ['data.class_names={a = "z"}']).recipe().data.class_names == {"a": "z"}


BAD = [
    ("train.epochs", "--set 'train.epochs' must be KEY=VALUE, such as train.epochs=5."),
    ("=5", "--set '=5' must be KEY=VALUE, such as train.epochs=5."),
    ("train.epoch=5", "--set train.epoch: there is no such key. Did you mean 'train.epochs'?"),
    ("epochs=5", "--set epochs: there is no such key. Did you mean 'train.epochs'?"),
    ("data.resise=crop", "--set data.resise: there is no such key. Did you mean 'resize'?"),
    ("protocol.fold=5", "--set protocol.fold: there is no such key. Did you mean 'folds'?"),
    ("train.epochs=ten", "--set train.epochs must be a whole number. Received: 'ten'."),
    ("train.epochs=1.5", "--set train.epochs must be a whole number. Received: 1.5."),
    ("data.antialias=no", "--set data.antialias must be true or false. Received: 'no'."),
    ("precision=16", "--set precision must be text. Received: 16."),
    ("head=max", "--set head must be a table. Received: 'max'."),
    ("name=x", "--set name: only settings can be set: data, protocol, precision and those of candidates."),
    ("grid.weights=[1]", "--set grid.weights: only settings can be set: data, protocol, precision and those of "
     "candidates."),
    ("train.epochs=0", "train.epochs must be between 1 and 100000. Received: 0."),
]  # fmt: skip


@pytest.mark.parametrize(("override", "line"), BAD, ids=lambda value: value[:30])
def test_what_cannot_be_set_is_said(override, line):
    assert read_with(override).problems == (line,)
