"""Grids: which candidates come out, in which order, under which names."""

import pytest

from headstart.recipe import Augmentation, Candidate, Head, Optimizer, Phase, Training
from headstart.recipe.reader import read_text


def candidates_of(text, *overrides):
    return read_text(text, overrides).recipe().candidates


def names_of(text, *overrides):
    return [one.id for one in candidates_of(text, *overrides)]


def grid(axis, head='backbone = "mobilenet"\nname = "r"\n', name=""):
    """Return a recipe with one axis, and with a candidate of its own where it has a name."""
    own = f'[[candidate]]\nname = "{name}"\n' if name else ""
    return f"{head}{own}[{'candidate.' if name else ''}grid]\n{axis}"


def test_learning_rates_alone_leave_the_name_to_the_candidate():
    found = candidates_of(grid('"train.optimizer.learning_rate" = [1e-2, 1e-5, 1]'))
    rates = [0.01, 1e-5, 1.0]
    assert found == tuple(Candidate("mobilenet", train=Training(optimizer=Optimizer("adam", rate))) for rate in rates)
    assert [one.id for one in found] == ["mobilenet-lr0.01", "mobilenet-lr1e-05", "mobilenet-lr1"]


NAMES = [
    ('weights = ["random", "imagenet"]', "", ["mobilenet-random", "mobilenet-imagenet"]),
    ('backbone = ["vgg16", "resnet50"]', "", ["vgg16", "resnet50"]),
    ('backbone = ["vgg16", "resnet50"]', "deep", ["deep-vgg16", "deep-resnet50"]),
    ("image_size = [64, 224]", "", ["mobilenet-image_size64", "mobilenet-image_size224"]),
    ("train.epochs = [5, 10]", "a", ["a-epochs5", "a-epochs10"]),
    ("head.l2 = [0.01, 0]", "a", ["a-l2-0.01", "a-l2-0"]),
    ("train.label_smoothing = [0.1, 0.25]", "a", ["a-label_smoothing0.1", "a-label_smoothing0.25"]),
    ("data = 1", "", None),
    ('train.trainable = ["none", "last 4"]', "a", ["a-none", "a-last-4"]),
    ('train.optimizer = [{name = "adam"}, {name = "sgd", learning_rate = 0.01}]', "a", ["a-adam", "a-sgd"]),
    ('train.optimizer = [{name = "sgd"}, {name = "sgd", momentum = 0.9}]', "a", ["a-sgd-1", "a-sgd-2"]),
    ("train.optimizer = [{learning_rate = 0.1}, {learning_rate = 0.2}]", "a", ["a-1", "a-2"]),
    ('train.schedule = [{kind = "cosine"}, {kind = "steps"}]', "a", ["a-cosine", "a-steps"]),
    ('head.layers = [[], ["dense 64", "dropout 0.5", "dense 8 l2 0.1"]]', "a", ["a-none", "a-64-0.5-8-l2-0.1"]),
    ('augmentation.views = [["flip", "shift 1"], ["flip + shift 1"]]', "a", ["a-flip-shift-1-1", "a-flip-shift-1-2"]),
    ('train.phases = [[], [{epochs = 2, trainable = "all"}]]', "a", ["a-none", "a-2"]),
    ('train.optimizer.learning_rate = [1e-2, 1e-3]', "a", ["a-lr0.01", "a-lr0.001"]),
]  # fmt: skip


@pytest.mark.parametrize(("axis", "name", "names"), NAMES, ids=lambda value: str(value)[:40])
def test_names_have_a_word_for_each_axis(axis, name, names):
    text = grid(axis, name=name)
    if names is None:
        assert read_text(text).problems[0].startswith("grid.data: there is no such key.")
    else:
        assert names_of(text) == names


def test_truth_values_have_their_word():
    text = grid("train.optimizer.nesterov = [true, false]", 'backbone = "mobilenet"\ntrain.optimizer.name = "sgd"\n')
    assert names_of(text) == ["mobilenet-nesterov-true", "mobilenet-nesterov-false"]


def test_a_frozen_random_backbone_is_called_so():
    head = 'backbone = "mobilenet"\nweights = "random"\n'
    assert names_of(grid("train.epochs = [5, 10]", head)) == ["mobilenet-random-epochs5", "mobilenet-random-epochs10"]
    assert names_of(grid("train.epochs = [5, 10]", head + 'train.trainable = "all"\n')) == [
        "mobilenet-epochs5",
        "mobilenet-epochs10",
    ]


def test_all_combinations_the_last_axis_first():
    text = grid(
        '"train.optimizer" = [{name = "adam"}, {name = "sgd", learning_rate = 0.01}]\nweights = ["random", "imagenet"]'
    )
    found = candidates_of(text)
    assert [one.id for one in found] == [
        "mobilenet-adam-random",
        "mobilenet-adam-imagenet",
        "mobilenet-sgd-random",
        "mobilenet-sgd-imagenet",
    ]
    assert [(one.train.optimizer.learning_rate, one.weights) for one in found] == [
        (0.001, "random"),
        (0.001, "imagenet"),
        (0.01, "random"),
        (0.01, "imagenet"),
    ]


def test_tables_of_an_axis_are_merged_key_by_key_and_lists_replaced():
    text = """
    backbone = "mobilenet"
    train.optimizer = {learning_rate = 0.5}
    head.layers = ["dense 1"]
    [grid]
    "train.optimizer" = [{name = "sgd"}]
    "head.layers" = [["dense 2", "dense 3"]]
    """
    (one,) = candidates_of(text)
    assert one.train.optimizer == Optimizer("sgd", 0.5)
    assert one.head == Head(layers=("dense 2", "dense 3"))


def test_whole_tables_can_vary():
    found = candidates_of(grid('head = [{pooling = "max"}, {output = "sigmoid"}]\naugmentation = [{views = ["flip"]}]'))
    assert [one.head for one in found] == [Head("max"), Head(output="sigmoid")]
    assert {one.augmentation for one in found} == {Augmentation(("flip",))}


def test_own_grids_and_own_values_stand_above_the_general_grid():
    text = """
    backbone = "mobilenet"
    [grid]
    "train.epochs" = [1, 2]
    "train.batch_size" = [8, 16]
    [[candidate]]
    name = "grid"
    grid."train.epochs" = [3]
    [[candidate]]
    name = "value"
    train.epochs = 4
    [[candidate]]
    name = "neither"
    """
    found = [(one.id, one.train.epochs, one.train.batch_size) for one in candidates_of(text)]
    assert found == [
        ("grid-batch_size8-epochs3", 3, 8),
        ("grid-batch_size16-epochs3", 3, 16),
        ("value-batch_size8", 4, 8),
        ("value-batch_size16", 4, 16),
        ("neither-epochs1-batch_size8", 1, 8),
        ("neither-epochs1-batch_size16", 1, 16),
        ("neither-epochs2-batch_size8", 2, 8),
        ("neither-epochs2-batch_size16", 2, 16),
    ]


PHASES = """
backbone = "mobilenet"
[[candidate]]
name = "phased"
train.phases = [{epochs = 3, trainable = "all"}]
[[candidate]]
name = "plain"
[grid]
"""


def test_an_axis_over_a_phase_is_for_candidates_that_have_it():
    found = candidates_of(PHASES + '"train.phases[0].learning_rate" = [1e-4, 1e-5]')
    assert [(one.id, one.train.phases) for one in found] == [
        ("phased-learning_rate0.0001", (Phase(3, "all", 1e-4),)),
        ("phased-learning_rate1e-05", (Phase(3, "all", 1e-5),)),
        ("plain", ()),
    ]


def test_an_axis_over_a_phase_that_nobody_has_is_a_problem():
    (line,) = read_text(PHASES + '"train.phases[1].epochs" = [1, 2]').problems
    assert line == "grid.train.phases[1].epochs: no candidate has so many phases."
    text = 'backbone = "mobilenet"\n[[candidate]]\ngrid."train.phases[0].epochs" = [1, 2]'
    (line,) = read_text(text).problems
    assert line == "candidate[0].grid.train.phases[0].epochs: the candidate has not so many phases."


BAD = [
    ("train.epoch = [1]", "grid.train.epoch: there is no such key. Did you mean 'train.epochs'?"),
    ("learning_rate = [1]", "grid.learning_rate: there is no such key. Did you mean 'train.optimizer.learning_rate'?"),
    ('"train..epochs" = [1]', "grid.train..epochs: there is no such key. Did you mean 'train.epochs'?"),
    ('name = ["a"]', "grid.name: there is no such key."),
    ("train.epochs = 5", "grid.train.epochs must be a list with at least one value. Received: 5."),
    ("train.epochs = []", "grid.train.epochs must be a list with at least one value. Received: []."),
    ('train.epochs = [1, "x"]', "grid.train.epochs[1] must be a whole number. Received: 'x'."),
    ("train.epochs = [1, 2, 1]", "grid.train.epochs: 1 is there twice. Leave one of them out."),
    ('head.layers = ["dense 5"]', "grid.head.layers[0] must be a list of texts. Received: 'dense 5'."),
    ('train.optimizer = [{nam = "sgd"}]', "grid.train.optimizer[0].nam: there is no such key. Did you mean 'name'?"),
    (
        'data.resize = ["crop"]',
        "grid.data.resize: a grid goes over settings of candidates. This one is the same for all of them.",
    ),
]


@pytest.mark.parametrize(("axis", "line"), BAD, ids=lambda value: value[:40])
def test_what_is_wrong_with_an_axis_is_said(axis, line):
    draft = read_text(grid(axis))
    assert draft.problems == (line,)
    assert draft.candidates


def test_a_setting_that_wins_leaves_an_axis_with_that_value_and_its_name():
    text = grid('"train.optimizer.learning_rate" = [1e-2, 1e-3]\nweights = ["random", "imagenet"]', name="a")
    assert names_of(text, "train.optimizer.learning_rate=1e-3") == ["a-lr0.001-random", "a-lr0.001-imagenet"]
    assert names_of(text, "train.optimizer.learning_rate=0.5", "weights=random") == ["a-lr0.5-random"]
    assert candidates_of(text, 'train.optimizer={learning_rate=0.5, name="sgd"}')[0].train.optimizer == Optimizer(
        "sgd", 0.5
    )


def test_a_setting_inside_the_tables_of_an_axis_wins_too():
    text = grid('train.optimizer = [{name = "adam", learning_rate = 1}, {name = "sgd", learning_rate = 2}]', name="a")
    found = candidates_of(text, "train.optimizer.learning_rate=0.5")
    assert [(one.id, one.train.optimizer) for one in found] == [
        ("a-adam", Optimizer("adam", 0.5)),
        ("a-sgd", Optimizer("sgd", 0.5)),
    ]
    (one,) = candidates_of(text, "train.optimizer.name=sgd", "train.optimizer.learning_rate=0.5")
    assert one.train.optimizer == Optimizer("sgd", 0.5)


def test_a_numbered_value_keeps_its_number_when_it_is_chosen():
    text = grid('head.layers = [["dense 64"], ["dropout 0.5"]]\ntrain.phases = [[], [{epochs = 2, trainable = "all"}]]')
    (one,) = candidates_of(text, 'train.phases=[{epochs=2, trainable="all"}]', 'head.layers=["dropout 0.5"]')
    assert one.id == "mobilenet-0.5-2"
