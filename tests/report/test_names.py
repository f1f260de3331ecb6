import pytest

from headstart.evaluation.results import CandidateResult
from headstart.recipe import Candidate, Head, Optimizer, Phase, Training
from headstart.report.names import labels, learning_rate, network_name, series_names
from headstart.storage import to_plain


def result(backbone="mobilenet", *, words="average pooling", rate=1e-3, optimizer="adam", **settings):
    train = settings.pop("train", Training(optimizer=Optimizer(name=optimizer, learning_rate=rate)))
    candidate = Candidate(backbone, train=train, **settings)
    return CandidateResult(candidate.id, backbone, words, "cut", to_plain(candidate), "done", None, None, None, None)


SCRATCH = Training(trainable="all")
LATER = Training(phases=(Phase(3, "last 4"),))


@pytest.mark.parametrize(
    ("candidate", "name"),
    [
        (result("resnet50"), "ResNet50"),
        (result("resnet50", weights="random"), "ResNet50, random weights"),
        (result("resnet50", weights="random", train=SCRATCH), "ResNet50 from scratch"),
        (result("resnet50", weights="random", train=LATER), "ResNet50 from scratch"),
        (result("resnet50", train=SCRATCH), "ResNet50"),
        (result("a_net_that_is_gone"), "a_net_that_is_gone"),
    ],
)
def test_a_network_says_what_it_began_with(candidate, name):
    assert network_name(candidate) == name


def test_the_learning_rate_is_that_of_the_optimizer():
    assert learning_rate(result(rate=3e-4)) == 3e-4
    assert learning_rate(result(head=Head(output="logistic"))) is None
    (label,) = labels([result(head=Head(output="logistic"))]).values()
    assert (label.text, label.second) == ("MobileNet, logistic head", "mobilenet-logistic")


def test_network_and_rate_are_a_name_where_they_are_enough():
    found = labels([result(), result(rate=1e-4), result("resnet50")])
    assert [label.text for label in found.values()] == [
        "MobileNet, rate 0.001",
        "MobileNet, rate 0.0001",
        "ResNet50, rate 0.001",
    ]
    assert [label.second for label in found.values()] == list(found)
    assert not any(label.own or label.details for label in found.values())


def test_candidates_that_share_them_bear_their_own_names():
    found = labels([result(name="sgd", optimizer="sgd", words="wide"), result(name="adam"), result("resnet50")])
    assert [(label.text, label.second, label.own) for label in found.values()] == [
        ("sgd", "MobileNet, rate 0.001", True),
        ("adam", "MobileNet, rate 0.001", True),
        ("ResNet50, rate 0.001", "resnet50-lr0.001", False),
    ]
    assert found["sgd"].details == ("wide",)


def test_series_are_named_by_what_differs_beside_the_rate():
    rows = [
        result(name="a", rate=1e-2),
        result(name="b", rate=1e-3),
        result(name="c", rate=1e-2, optimizer="sgd"),
        result(name="d", rate=1e-3, words="wide"),
        result("resnet50", name="e", rate=1e-3),
        result("resnet50", name="f", rate=1e-4),
    ]
    assert series_names(rows) == {
        "a": "MobileNet: adam",
        "b": "MobileNet: adam",
        "c": "MobileNet: sgd",
        "d": "MobileNet: adam",
        "e": "ResNet50",
        "f": "ResNet50",
    }


def test_a_series_writes_lists_numbers_and_switches_as_words():
    rows = [
        result(name="a", image_size=50),
        result(name="b", head=Head(layers=("dense 64", "dropout 0.5"))),
        result(name="c", train=Training(optimizer=Optimizer(name="sgd", nesterov=True))),
        result(name="d", train=LATER),
        result(name="e", train=Training(phases=(Phase(3, "last 5"),))),
    ]
    names = series_names(rows)
    assert names["a"] == "MobileNet: image size 50, no layers, adam, no nesterov, no phases"
    assert names["b"] == "MobileNet: image size 0, dense 64 + dropout 0.5, adam, no nesterov, no phases"
    assert names["c"] == "MobileNet: image size 0, no layers, sgd, nesterov, no phases"
    assert names["d"] == "MobileNet: image size 0, no layers, adam, no nesterov, phases 1"
    assert names["e"] == f"{names['d']} (2)"
