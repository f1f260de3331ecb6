"""What the options of ``compare`` mean as a recipe."""

import dataclasses
from types import SimpleNamespace

import pytest

from headstart.backbones import catalog
from headstart.errors import UsageError, WeightsError
from headstart.study.settings import Settings, recipe_from
from headstart.study.tuning import tuned_layers

TUNED = Settings(backbones=("mobilenet",), learning_rates=(1e-3,), logistic=False, finetune=True, image_size=32)


def candidates(settings):
    return {one.id: one for one in recipe_from(settings).candidates}


def test_finetune_adds_a_second_phase_from_the_cheapest_cut():
    found = candidates(TUNED)
    assert list(found) == ["mobilenet-lr0.001", "mobilenet-finetuned"]
    [phase] = found["mobilenet-finetuned"].train.phases
    assert phase.trainable == f"last {tuned_layers(catalog.find('mobilenet'), 32)}"
    assert (phase.epochs, phase.batch_normalization) == (20, "inference")


def test_the_cheapest_cut_of_mobilenet_is_where_its_last_stage_begins():
    # 86 layers; from the normalisation of the last convolution with stride on, 7 x 7 x 512 values cross instead of
    # 14 x 14 x 512
    assert tuned_layers(catalog.find("mobilenet"), 224) == 11


def test_frozen_backbones_get_logistic_regression_alone():
    found = candidates(Settings(backbones=("mobilenet", "mobilenet_v2:random"), pooling="max"))
    assert list(found) == ["mobilenet-logistic", "mobilenet_v2-random-logistic"]
    assert {(one.head.output, one.head.pooling, one.head.layers) for one in found.values()} == {("logistic", "max", ())}


def test_rates_that_are_asked_for_stand_beside_logistic_regression():
    settings = Settings(backbones=("mobilenet", "small_cnn"), learning_rates=(1e-3, 1e-4))
    assert list(candidates(settings)) == [
        "mobilenet-logistic", "mobilenet-lr0.001", "mobilenet-lr0.0001", "small_cnn-lr0.001", "small_cnn-lr0.0001",
    ]  # fmt: skip
    alone = Settings(backbones=("mobilenet",), learning_rates=(1e-3,), logistic=False)
    assert list(candidates(alone)) == ["mobilenet-lr0.001"]


GRADIENT = [f"mobilenet-lr{rate:g}" for rate in (3e-2, 1e-2, 3e-3, 1e-3)]


@pytest.mark.parametrize(
    "changes",
    [
        {"dense": (16,)}, {"dropout": 0.5}, {"l2": 0.01}, {"optimizer": "sgd"}, {"optimizer": "sgd", "momentum": 0.9},
        {"schedule": "constant"}, {"schedule_every": 2}, {"schedule_factor": 0.5}, {"epochs": 5}, {"batch_size": 8},
    ],
)  # fmt: skip
def test_settings_that_only_trainings_in_epochs_have_ask_for_such_heads(changes):
    assert list(candidates(Settings(backbones=("mobilenet",), **changes))) == ["mobilenet-logistic", *GRADIENT]


def test_without_logistic_regression_heads_are_trained_at_the_default_rates():
    found = candidates(Settings(backbones=("mobilenet",), logistic=False))
    assert list(found) == GRADIENT
    assert {one.train.schedule.kind for one in found.values()} == {"cosine"}
    assert {one.train.average for one in found.values()} == {0.0}


def test_other_settings_ask_for_nothing():
    found = candidates(Settings(backbones=("mobilenet",), class_weights="balanced"))
    assert list(found) == ["mobilenet-logistic"]


def test_the_epochs_of_fine_tuning_ask_for_no_other_heads():
    found = candidates(Settings(backbones=("mobilenet",), epochs=6, batch_size=16, finetune=True))
    assert list(found) == ["mobilenet-logistic", "mobilenet-finetuned"]


def test_networks_from_scratch_train_at_two_rates_and_average_their_last_fifth():
    found = candidates(Settings(backbones=("small_cnn",)))
    assert list(found) == ["small_cnn-lr0.003", "small_cnn-lr0.001"]
    for one in found.values():
        assert (one.train.trainable, one.train.average, one.train.schedule.kind) == ("all", 0.2, "cosine")
    for one in candidates(Settings(backbones=("small_cnn",), patience=3)).values():
        assert (one.train.average, one.train.patience) == (0.0, 3)


def test_tuned_networks_average_and_follow_a_cosine_in_their_second_phase():
    train = candidates(TUNED)["mobilenet-finetuned"].train
    assert (train.average, train.schedule.kind, train.phases[0].schedule.kind) == (0.2, "constant", "cosine")
    patient = candidates(dataclasses.replace(TUNED, patience=3))["mobilenet-finetuned"].train
    assert (patient.average, patient.patience) == (0.0, 3)


def test_without_names_the_small_cnn_is_a_control_at_one_rate(monkeypatch):
    monkeypatch.setattr("headstart.backbones.weights.found", lambda **_: [SimpleNamespace(backbone="mobilenet")])
    assert list(candidates(Settings())) == ["mobilenet-logistic", "small_cnn-lr0.001"]


def test_what_chooses_and_how_folds_are_scored():
    for choose_by in ("accuracy", "macro_f1", "auc"):
        protocol = recipe_from(Settings(backbones=("mobilenet",), choose_by=choose_by)).protocol
        assert (protocol.choose_by, protocol.score_epoch, protocol.combinations) == (choose_by, "last", False)
    protocol = recipe_from(Settings(backbones=("mobilenet",), choose_by="cost", cost=("cat:dog=5",))).protocol
    assert (protocol.choose_by, protocol.decide) == ("cost", ("cost cat:dog 5",))


def test_a_budget_lets_fine_tuning_take_part():
    recipe = recipe_from(Settings(backbones=("mobilenet",), budget=600.0))
    assert recipe.protocol.budget == 600
    assert [one.id for one in recipe.candidates] == ["mobilenet-logistic", "mobilenet-finetuned"]


def test_dropout_stands_after_every_dense_layer_or_before_the_output():
    layers = [
        candidates(Settings(backbones=("mobilenet",), learning_rates=(1e-3,), dense=dense, dropout=0.2, l2=0.01))
        for dense in ((), (64, 32))
    ]
    heads = [found["mobilenet-lr0.001"].head.layers for found in layers]
    assert heads == [("dropout 0.2",), ("dense 64 l2 0.01", "dropout 0.2", "dense 32 l2 0.01", "dropout 0.2")]


def test_views_are_for_every_candidate_and_fresh_ones_where_layers_train():
    views = candidates(Settings(backbones=("mobilenet",), learning_rates=(1e-3,), augment="views"))
    assert views["mobilenet-lr0.001"].augmentation.views == ("flip", "zoom 0.2", "shift 45", "contrast 0.3")
    fresh = candidates(Settings(**{**plain(TUNED), "augment": "fresh"}))
    assert fresh["mobilenet-lr0.001"].augmentation.fresh == ()
    assert fresh["mobilenet-finetuned"].augmentation.fresh


def plain(settings):
    return {name: getattr(settings, name) for name in Settings.__dataclass_fields__}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"augment": "vews"}, "Did you mean 'views'"),
        ({"augment": "fresh"}, "Add --finetune"),
        ({"epochs": 0}, "--epochs must be between"),
        ({"schedule_factor": -1.0}, "--schedule-factor must be"),
        ({"class_weights": "even"}, "--class-weights must be one of"),
        ({"limit": -5}, "--limit must be between"),
        ({"min_images_per_class": -1}, "--min-images-per-class must be between"),
        ({"choose_by": "f1"}, "--choose-by must be one of"),
        ({"choose_by": "cost"}, "--choose-by = 'cost' needs .* with --cost"),
    ],
)
def test_bad_settings_are_named_as_options(changes, message):
    with pytest.raises(UsageError, match=message):
        recipe_from(Settings(backbones=("mobilenet",), learning_rates=(1e-3,), **changes))


def test_without_backbones_and_weights_there_is_no_recipe(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match=r"No pretrained weights were found .* --backbones small_cnn"):
        recipe_from(Settings())
    assert recipe_from(Settings(backbones=("small_cnn",))).candidates


def test_what_is_done_with_splits_and_small_classes_stands_in_the_data_rules():
    rules = recipe_from(Settings(backbones=("small_cnn",), min_images_per_class=3, pool=True)).data
    assert (rules.min_images_per_class, rules.pool) == (3, True)
