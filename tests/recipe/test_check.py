"""What the parts of a recipe may be: every rule is broken once, and every allowed word is allowed."""

import dataclasses
import math

import pytest

from headstart.errors import UsageError
from headstart.recipe import (
    Augmentation,
    Candidate,
    DataRules,
    Head,
    Optimizer,
    Phase,
    Protocol,
    Recipe,
    Schedule,
    Training,
    check,
)


def optimizer(**values):
    return Training(optimizer=Optimizer(**values))


def phase(**values):
    return Training(phases=(Phase(**{"epochs": 1, **values}),))


# The part, and how the one line on it begins.
BAD_PARTS = [
    (Head("mean"), "head.pooling must be one of average, max, flatten. Received: 'mean'."),
    (Head(output="softmx"), "head.output must be one of softmax, sigmoid, logistic."),
    (Head(layers=("dens 5",)), "head.layers must hold texts such as"),
    (Head(layers=("dense 5 gelu",)), "head.layers must hold texts such as"),
    (Head(layers=("dense 0",)), "head.layers: dense units must be between 1 and 1048576. Received: 'dense 0'."),
    (Head(layers=("dense 2000000",)), "head.layers: dense units"),
    (Head(layers=("dense 5 l2 1e999",)), "head.layers: l2 must be a number"),
    (Head(layers=("dropout 1",)), "head.layers: dropout must be at least 0 and below 1."),
    (Head(layers=("dropout 0.1", "dropout 0.2")), "head.layers: 'dropout 0.1' is followed by 'dropout 0.2'."),
    (Head(layers=("dense 5",), output="logistic"), "head.output = 'logistic' has no other layers."),
    (Head(l2=-1.0), "head.l2 must be a number, 0 or above. Received: -1."),
    (Head(l2=math.inf), "head.l2 must be"),
    (Head(l2=math.nan), "head.l2 must be"),
    (Training(epochs=0), "train.epochs must be between 1 and 100000. Received: 0."),
    (Training(batch_size=0), "train.batch_size must be between"),
    (Training(patience=-1), "train.patience must be between"),
    (Training(label_smoothing=1.0), "train.label_smoothing must be at least 0 and below 1. Received: 1."),
    (Training(class_weights="balance"), "train.class_weights must be one of none, balanced."),
    (Training(trainable="last"), "train.trainable must be none, all, 'last N', 'from N' or 'from LAYER'."),
    (Training(batch_normalization="frozen"), "train.batch_normalization must be one of training, inference."),
    (Training(schedule=Schedule("step")), "train.schedule.kind must be one of"),
    (Training(schedule=Schedule(factor=-0.1)), "train.schedule.factor must be a number, 0 or above."),
    (Training(schedule=Schedule(factor=math.nan)), "train.schedule.factor must be"),
    (Training(schedule=Schedule(every=0)), "train.schedule.every must be between"),
    (phase(epochs=0), "train.phases[0].epochs must be between"),
    (phase(trainable="last four"), "train.phases[0].trainable must be"),
    (phase(learning_rate=-1.0), "train.phases[0].learning_rate must be above 0 and at most 1000, or 0"),
    (phase(learning_rate=math.nan), "train.phases[0].learning_rate must be"),
    (phase(schedule=Schedule("none")), "train.phases[0].schedule.kind must be one of"),
    (phase(batch_normalization=""), "train.phases[0].batch_normalization must be one of"),
    (phase(optimizer_state="forget"), "train.phases[0].optimizer_state must be one of reset, keep."),
    (optimizer(name="adma"), "train.optimizer.name must be one of adam, adamw, sgd, rmsprop. Received: 'adma'."),
    (optimizer(learning_rate=0.0), "train.optimizer.learning_rate must be above 0 and at most 1000. Received: 0."),
    (optimizer(learning_rate=math.inf), "train.optimizer.learning_rate must be"),
    (optimizer(beta_1=1.0), "train.optimizer.beta_1 must be at least 0 and below 1."),
    (optimizer(beta_2=-0.1), "train.optimizer.beta_2 must be"),
    (optimizer(rho=1.0), "train.optimizer.rho must be"),
    (optimizer(epsilon=0.0), "train.optimizer.epsilon must be above 0."),
    (optimizer(weight_decay=math.inf), "train.optimizer.weight_decay must be a number, 0 or above."),
    (optimizer(momentum=0.9), "train.optimizer.momentum belongs to sgd and rmsprop."),
    (optimizer(name="sgd", momentum=1.0), "train.optimizer.momentum must be at least 0 and below 1."),
    (optimizer(name="rmsprop", nesterov=True), "train.optimizer.nesterov belongs to sgd."),
    (Augmentation(views=("flop",)), "augmentation.views must hold texts such as 'flip'"),
    (Augmentation(fresh=("flip + zoom",)), "augmentation.fresh must hold texts such as 'flip'"),
    (Augmentation(views=("rotation -0.1",)), "augmentation.views must hold texts"),
    (Augmentation(fresh=("flip + zoom 2",)), "augmentation.fresh: zoom must be at most 0.95."),
    (Augmentation(fresh=("shift 1e999",)), "augmentation.fresh: shift must be at most 4096."),
    (Augmentation(views=("flip", "flip")), "augmentation.views: 'flip' is there twice"),
]  # fmt: skip


def candidate_of(part):
    key = {Head: "head", Training: "train", Augmentation: "augmentation"}[type(part)]
    return Candidate("mobilenet", **{key: part})


@pytest.mark.parametrize(("part", "beginning"), BAD_PARTS, ids=lambda value: str(value)[:60])
def test_each_rule_of_a_candidate_is_one_line_that_begins_with_its_key(part, beginning):
    (line,) = check.candidate_problems(candidate_of(part))
    assert line.startswith(beginning)
    with pytest.raises(UsageError) as error:
        Recipe((candidate_of(part),))
    assert str(error.value) == line


@pytest.mark.parametrize(
    ("values", "beginning"),
    [
        ({"weights": "imagnet"}, "weights must be one of imagenet, random. Received: 'imagnet'."),
        ({"preprocessing": "caffe"}, "preprocessing must be one of own, unit, none."),
        ({"colour": "bgr"}, "colour must be one of rgb, grey."),
        ({"image_size": 7}, "image_size must be between 8 and 4096 pixels. Received: 7."),
        ({"image_size": -1}, "image_size must be"),
        ({"name": "a\nb"}, "name must be one line without spaces around it."),
        ({"name": " "}, "name must be one line"),
        ({"head": Head(output="logistic"), "train": Training(trainable="all")}, "head.output = 'logistic'"),
        ({"head": Head(output="logistic"), "train": phase()}, "head.output = 'logistic'"),
    ],
)  # fmt: skip
def test_each_rule_of_the_rest_of_a_candidate(values, beginning):
    (line,) = check.candidate_problems(Candidate("mobilenet", **values))
    assert line.startswith(beginning)


@pytest.mark.parametrize(
    ("data", "beginning"),
    [
        (DataRules("strech"), "data.resize must be one of stretch, crop, pad. Received: 'strech'."),
        (DataRules(interpolation="cubic"), "data.interpolation must be one of bilinear, bicubic, nearest."),
        (DataRules(interpolation="nearest", antialias=False), "data.antialias = false belongs to bilinear"),
        (DataRules(limit=-1), "data.limit must be between"),
    ],
)  # fmt: skip
def test_each_rule_of_the_data(data, beginning):
    (line,) = check.data_problems(data)
    assert line.startswith(beginning)
    with pytest.raises(UsageError):
        Recipe((Candidate("mobilenet"),), data=data)


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"kind": "loo"}, "kind"),
        ({"folds": 1}, "folds"),
        ({"folds": 101}, "folds"),
        ({"holdout": 0.0}, "holdout"),
        ({"holdout": 1.0}, "holdout"),
        ({"test_fraction": math.nan}, "test_fraction"),
        ({"repeats": 0}, "repeats"),
        ({"choose_by": "f1"}, "choose_by"),
        ({"score_epoch": "first"}, "score_epoch"),
        ({"budget": -1.0}, "budget"),
        ({"budget": math.inf}, "budget"),
        ({"finals": "none"}, "finals"),
        ({"final_epochs": -1}, "final_epochs"),
        ({"seed": 2**31}, "seed"),
    ],
)
def test_each_rule_of_the_protocol(values, key):
    (line,) = check.protocol_problems(Protocol(**values))
    assert line.startswith(f"protocol.{key} must be ")
    with pytest.raises(UsageError):
        Recipe((Candidate("mobilenet"),), protocol=Protocol(**values))


ALLOWED = [
    *(Candidate("x", head=Head(word)) for word in check.POOLINGS),
    *(Candidate("x", head=Head(output=word)) for word in check.OUTPUTS),
    *(Candidate("x", weights=word) for word in check.WEIGHTS),
    *(Candidate("x", preprocessing=word) for word in check.PREPROCESSINGS),
    *(Candidate("x", colour=word) for word in check.COLOURS),
    *(Candidate("x", train=optimizer(name=word)) for word in check.OPTIMIZERS),
    *(Candidate("x", train=Training(schedule=Schedule(word))) for word in check.SCHEDULES),
    *(Candidate("x", train=Training(class_weights=word)) for word in check.CLASS_WEIGHTS),
    *(Candidate("x", train=Training(batch_normalization=word)) for word in check.NORMALIZATIONS),
    *(Candidate("x", train=phase(optimizer_state=word)) for word in check.OPTIMIZER_STATES),
    *(Candidate("x", train=optimizer(name=word, momentum=0.9)) for word in ("sgd", "rmsprop")),
    *(Candidate("x", head=Head(layers=(word,))) for word in ("dense 1", "dense 64 relu", "dense 64 tanh l2 1e-3")),
    *(Candidate("x", head=Head(layers=(word,))) for word in ("dense 64 linear", "dense 64 l2 0.01", "dropout 0")),
    *(Candidate("x", train=Training(trainable=word)) for word in ("all", "last 4", "from 130", "from conv_pw_13")),
    *(Candidate("x", augmentation=Augmentation((word,))) for word in ("flip", "flip both", "rotation 0.1", "zoom 0.2")),
    *(Candidate("x", augmentation=Augmentation((word,))) for word in ("shift 20", "contrast 0.3", "brightness 0.2")),
    Candidate("x", augmentation=Augmentation(fresh=("flip + zoom 0.2", "shift 1e2"))),
    Candidate("x", image_size=8),
]


@pytest.mark.parametrize("candidate", ALLOWED, ids=repr)
def test_every_allowed_word_is_allowed(candidate):
    assert check.candidate_problems(candidate) == []


def test_words_of_data_and_protocol_are_allowed():
    rules = [DataRules(resize, way) for resize in check.RESIZE_RULES for way in check.INTERPOLATIONS]
    protocols = [Protocol(kind, choose_by=measure, score_epoch=epoch, finals=finals, decide=("cost cat:dog 5",))
                 for kind in ("folds", "holdout") for measure in check.MEASURES for epoch in check.SCORE_EPOCHS
                 for finals in check.FINALS]  # fmt: skip
    assert [check.data_problems(one) for one in rules] == [[]] * 9
    assert [check.protocol_problems(one) for one in protocols] == [[]] * 72
    assert [check.precision_problems(word) for word in ("f32", "bf16")] == [[], []]


def test_cost_chooses_only_where_costs_are_given():
    for decide in ((), ("precision cat 0.9",)):
        (line,) = check.protocol_problems(Protocol(choose_by="cost", decide=decide))
        assert line.startswith("protocol.choose_by = 'cost' needs ") and "protocol.decide" in line


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (Training(trainable="all", average=1.0), "train.average must be at least 0 and below 1"),
        (Training(trainable="all", average=-0.1), "train.average must be at least 0 and below 1"),
        (Training(trainable="all", average=math.nan), "train.average must be at least 0 and below 1"),
        (Training(average=0.2), "train.average is for layers of the backbone that train"),
        (Training(trainable="all", average=0.2, patience=3), "train.average and train.patience exclude each other"),
    ],
)
def test_each_rule_of_averages(train, message):
    (line,) = check.candidate_problems(Candidate("x", train=train))
    assert line.startswith(message)


def test_averages_are_for_what_trains_in_any_phase_and_for_the_last_epochs():
    for train in (Training(trainable="last 4", average=0.5), Training(average=0.5, phases=(Phase(2, "all"),))):
        one = Candidate("mobilenet", train=train)
        assert check.candidate_problems(one) == []
        with pytest.raises(UsageError, match=r"train.average keeps a mean .* Give one"):
            Recipe((one,), protocol=Protocol(score_epoch="best"))
        assert Recipe((one,), protocol=Protocol(score_epoch="last")).candidates == (one,)


def test_what_is_wrong_with_all_is_said_once_and_with_some_by_name():
    good, small = Candidate("a", train=Training(epochs=0)), Candidate("b", image_size=4, train=Training(epochs=0))
    others = [dataclasses.replace(small, name=f"b{number}") for number in range(4)]
    assert check.candidates_problems([good, small]) == [
        "train.epochs must be between 1 and 100000. Received: 0.",
        "image_size must be between 8 and 4096 pixels. Received: 4. (candidate b-lr0.001)",
    ]
    assert check.each_problems([good, small, *others])[1].endswith("(candidates b-lr0.001, b0, b1 and 2 more)")


def test_candidates_that_are_equal_or_bear_one_name_are_refused():
    one = Candidate("mobilenet", "one")
    two = dataclasses.replace(one, name="two")
    other = Candidate("resnet50", "one")
    assert list(check.twin_problems([one, two])) == [
        "candidate: 'one' and 'two' are equal. Leave one of them out, or change it."
    ]
    (line,) = check.twin_problems([one, other])
    assert line.startswith("candidate: 'one' is there twice.")
    assert list(check.twin_problems([one, dataclasses.replace(other, name="other")])) == []


def test_no_candidate_at_all_is_a_problem():
    assert check.candidates_problems([]) == [
        "candidate: there is none. Name at least one backbone and one learning rate."
    ]


def test_all_problems_of_a_recipe_come_at_once():
    with pytest.raises(UsageError) as error:
        Recipe((Candidate("x", image_size=1),), DataRules("x"), Protocol(folds=1), precision="f8")
    keys = [line.split()[0] for line in str(error.value).splitlines()]
    assert keys == ["data.resize", "protocol.folds", "precision", "image_size"]
