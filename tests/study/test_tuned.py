"""Tails, whole networks, phases and augmentation through a whole study, and what only networks can tell."""

import dataclasses

import numpy as np
import pytest

from headstart import api
from headstart.classifier import predict
from headstart.data.images import read_table
from headstart.errors import UsageError
from headstart.progress import Progress
from headstart.recipe import (
    Augmentation,
    Candidate,
    Head,
    Optimizer,
    Phase,
    Protocol,
    PublishedValue,
    Recipe,
    Training,
)
from headstart.runs.folder import RunFolder
from headstart.study.networks import HEADS, TAIL, WHOLE, learner_of, network_problems
from headstart.study.plan import make_plan
from headstart.training.heads import softmax

FROZEN = Candidate("mobilenet", weights="random", image_size=32, train=Training(3, optimizer=Optimizer("adam", 1e-2)))
TWO_PHASES = dataclasses.replace(
    FROZEN,
    name="two-phases",
    head=Head("average", ("dense 16 l2 0.001", "dropout 0.2"), "sigmoid"),
    train=Training(
        2,
        optimizer=Optimizer("adam", 1e-2),
        phases=(Phase(2, trainable="last 6", learning_rate=1e-3, batch_normalization="inference"),),
    ),
)
HOLDOUT = Protocol("holdout", holdout=0.25, finals="all", final_epochs=3)


def run(finished, out, monkeypatch, *candidates, published=()):
    monkeypatch.setenv("HEADSTART_CACHE", str(finished.cache))
    recipe = Recipe(candidates, protocol=HOLDOUT, published=published)
    plan = make_plan(read_table(finished.data), recipe, weights_dir=None, folds_asked=False)
    return api.execute(plan, out=out, fresh=False, progress=Progress())


def the_classifier_agrees_with_the_study(finished, result, candidate):
    [block] = RunFolder(result.folder).predictions(candidates=[candidate], parts=["test"])
    files = [finished.data / path for path in block.paths]
    classifier = predict.load(result.classifier)
    expected = softmax(block.logits / classifier.info.temperature)
    np.testing.assert_allclose(classifier.probabilities(files), expected, atol=1e-4)


def test_two_phases_go_on_counting_epochs_and_make_a_classifier(finished, tmp_path, monkeypatch):
    result = run(finished, tmp_path / "run", monkeypatch, TWO_PHASES)
    rows = RunFolder(result.folder).history()
    assert [(row.phase, row.epoch) for row in rows if row.fold == 0] == [(1, 1), (1, 2), (2, 3), (2, 4)]
    assert [row.learning_rate for row in rows if row.fold == 0] == pytest.approx([1e-2, 1e-2, 1e-3, 1e-3])
    assert [(row.phase, row.epoch) for row in rows if row.fold is None] == [(1, 1), (1, 2), (2, 3)]
    [candidate] = result.summary.candidates
    head = 1024 * 16 + 16 + 16 * 3 + 3
    # the last six layers: pointwise convolution and its normalisation, depthwise activation before, parameter-free ones
    assert candidate.parameters.trainable == head
    assert candidate.parameters.per_phase[1] > head
    assert candidate.cut == "backbone frozen, then the last 6 layers train"
    the_classifier_agrees_with_the_study(finished, result, "two-phases")


def test_fixed_views_are_more_training_rows_and_nothing_else(finished, tmp_path, monkeypatch):
    augmented = dataclasses.replace(FROZEN, name="augmented", augmentation=Augmentation(views=("flip", "zoom 0.2")))
    result = run(finished, tmp_path / "run", monkeypatch, FROZEN, augmented)
    folder = RunFolder(result.folder)
    plain, more = (folder.timings().features[name] for name in ("mobilenet-random-32-1", "mobilenet-random-32-2"))
    training = sum(result.summary.dataset.counts["train"].values())
    assert more.images + more.cached == plain.images + plain.cached + 2 * training
    for part in ("out_of_fold", "test"):
        [first] = folder.predictions(candidates=["mobilenet-random-lr0.01"], parts=[part])
        [second] = folder.predictions(candidates=["augmented"], parts=[part])
        assert first.paths == second.paths
        assert not np.array_equal(first.logits, second.logits)
    pictures = [row for row in folder.pictures() if row.kind == "augmentation"]
    assert [row.operation for row in pictures[:3]] == ["original", "flip", "zoom 0.2"]


def test_views_drawn_anew_train_from_pixels_and_repeat_by_seed(finished, tmp_path, monkeypatch):
    fresh = dataclasses.replace(
        FROZEN,
        name="fresh",
        train=Training(2, trainable="last 6", optimizer=Optimizer("sgd", 1e-2, momentum=0.9)),
        augmentation=Augmentation(fresh=("flip both", "rotation 0.1")),
    )
    first = run(finished, tmp_path / "one", monkeypatch, fresh)
    second = run(finished, tmp_path / "two", monkeypatch, fresh)
    assert first.summary == second.summary
    the_classifier_agrees_with_the_study(finished, first, "fresh")


def test_logistic_regression_is_a_candidate_like_any_other(finished, tmp_path, monkeypatch):
    logistic = dataclasses.replace(FROZEN, head=Head(output="logistic"))
    result = run(finished, tmp_path / "run", monkeypatch, FROZEN, logistic)
    by_id = {one.id: one for one in result.summary.candidates}
    assert (
        by_id["mobilenet-random-logistic"].cv.accuracy.mean >= by_id["mobilenet-random-lr0.01"].cv.accuracy.mean - 0.1
    )
    assert by_id["mobilenet-random-logistic"].cv.best_epochs == (1,)


def test_grey_input_has_one_channel_and_the_classifier_takes_colours(finished, tmp_path, monkeypatch):
    grey = dataclasses.replace(FROZEN, name="grey", colour="grey", preprocessing="unit")
    result = run(finished, tmp_path / "run", monkeypatch, grey)
    # the first kernel has one input channel instead of three
    assert result.summary.candidates[0].parameters.non_trainable == 3_228_864 - 2 * 3 * 3 * 32
    the_classifier_agrees_with_the_study(finished, result, "grey")


def test_published_numbers_stand_beside_ours(finished, tmp_path, monkeypatch):
    published = (PublishedValue("mobilenet-random-lr0.01", "test", "accuracy", 0.5),)
    result = run(finished, tmp_path / "run", monkeypatch, FROZEN, published=published)
    [row] = result.summary.published
    assert row.here == result.summary.test.accuracy
    assert row.difference == pytest.approx(row.here - 0.5)


@pytest.mark.parametrize(
    ("change", "learner"),
    [
        ({}, HEADS),
        ({"train": Training(trainable="last 4")}, TAIL),
        ({"train": Training(trainable="all")}, WHOLE),
        ({"train": Training(phases=(Phase(1, "none"),))}, TAIL),
        ({"augmentation": Augmentation(fresh=("flip",))}, WHOLE),
        ({"augmentation": Augmentation(views=("flip",))}, HEADS),
    ],
)
def test_each_regime_has_its_learner(change, learner):
    assert learner_of(dataclasses.replace(FROZEN, **change)) == learner


def test_all_that_networks_can_tell_is_said_at_once():
    candidates = [
        dataclasses.replace(FROZEN, name="a", backbone="mobilnet"),
        dataclasses.replace(FROZEN, name="b", image_size=16, train=Training(trainable="last 500")),
        dataclasses.replace(FROZEN, name="c", train=Training(trainable="from conv_pw_13x")),
        dataclasses.replace(FROZEN, name="d", train=Training(phases=(Phase(1, "from 86"),))),
        dataclasses.replace(FROZEN, name="e", backbone="small_cnn", weights="imagenet"),
        dataclasses.replace(FROZEN, name="f", backbone="efficientnet_b0", colour="grey"),
    ]
    found = network_problems(candidates)
    assert [(line.partition(":")[0].partition(" =")[0], line[-12:]) for line in found] == [
        ("backbone", "candidate a)"),
        ("image_size", "candidate b)"),
        ("train.trainable", "candidate b)"),
        ("train.trainable", "candidate c)"),
        ("train.phases[0].trainable", "candidate d)"),
        ("weights", "candidate e)"),
        ("colour", "candidate f)"),
    ]
    assert "Did you mean 'mobilenet'" in found[0]
    assert "last 1 to last 86" in found[2]
    assert "Did you mean 'conv_pw_13" in found[3]


def test_problems_of_words_and_of_networks_come_together(tmp_path):
    (tmp_path / "bad.toml").write_text(
        'weights = "random"\n[train]\nepochs = 0\nepocs = 3\n[[candidate]]\nbackbone = "MobileNet"\n'
        '[[candidate]]\nname = "again"\nbackbone = "MobileNet"\n'
        '[[candidate]]\nname = "cut"\nbackbone = "mobilenet"\ntrain.trainable = "from nowhere"\n'
    )
    with pytest.raises(UsageError) as caught:
        api.read_recipe(tmp_path / "bad.toml")
    text = str(caught.value)
    assert "train.epochs must be between" in text
    assert "train.epocs" in text
    assert "train.trainable = 'from nowhere'" in text
    assert "are equal" in text


def test_equals_that_only_the_catalogue_shows(tmp_path):
    (tmp_path / "twins.toml").write_text(
        'weights = "random"\n[[candidate]]\nname = "a"\nbackbone = "MobileNet"\n'
        '[[candidate]]\nname = "b"\nbackbone = "mobilenet"\nimage_size = 224\n'
    )
    with pytest.raises(UsageError, match="'a' and 'b' are equal"):
        api.read_recipe(tmp_path / "twins.toml")


def test_only_some_candidates_of_a_recipe():
    recipe = api.read_recipe("mnist-vgg16", only=["vgg16-sgd-random"])
    assert [one.id for one in recipe.candidates] == ["vgg16-sgd-random"]
    assert {row.candidate for row in recipe.published} == {"vgg16-sgd-random"}
    with pytest.raises(UsageError, match="Did you mean 'vgg16-sgd-random'"):
        api.read_recipe("mnist-vgg16", only=["vgg16-sgd-randm"])


def test_a_small_cnn_with_phases_is_as_deep_as_its_images_make_it(finished, tmp_path, monkeypatch):
    phased = dataclasses.replace(
        FROZEN, name="phased", backbone="small_cnn", image_size=8, train=Training(1, phases=(Phase(1, "last 3"),))
    )
    result = run(finished, tmp_path / "run", monkeypatch, phased)
    assert result.summary.candidates[0].status == "done"


def test_the_contact_sheet_finds_the_augmented_candidate_of_a_network(finished, tmp_path, monkeypatch):
    plain = dataclasses.replace(
        FROZEN, name="plain", backbone="small_cnn", image_size=8, train=Training(1, trainable="all")
    )
    changed = dataclasses.replace(plain, name="changed", augmentation=Augmentation(fresh=("flip",)))
    result = run(finished, tmp_path / "run", monkeypatch, plain, changed)
    operations = [row.operation for row in RunFolder(result.folder).pictures() if row.kind == "augmentation"]
    assert operations[:2] == ["original", "flip"]


def test_a_corrected_sentence_does_not_make_another_study(finished):
    table = read_table(finished.data)
    recipe = Recipe((FROZEN,))
    ids = {
        make_plan(table, one, weights_dir=None, folds_asked=False).study_id
        for one in (recipe, dataclasses.replace(recipe, title="A", unknown=("b",), source="c"))
    }
    assert len(ids) == 1


def test_a_plan_refuses_what_networks_cannot_do(finished):
    recipe = Recipe((dataclasses.replace(FROZEN, train=Training(trainable="last 500")),))
    with pytest.raises(UsageError, match="last 1 to last 86"):
        make_plan(read_table(finished.data), recipe, weights_dir=None, folds_asked=False)
