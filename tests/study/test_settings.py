"""What the options of ``compare`` mean as a recipe."""

import pytest

from headstart.backbones import catalog
from headstart.errors import UsageError, WeightsError
from headstart.study.settings import Settings, recipe_from
from headstart.study.tuning import tuned_layers

TUNED = Settings(backbones=("mobilenet",), learning_rates=(1e-3,), finetune=True, image_size=32)


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


def test_logistic_regression_stands_beside_the_rates_of_frozen_backbones_alone():
    settings = Settings(backbones=("mobilenet", "small_cnn"), learning_rates=(1e-3,), logistic=True)
    assert list(candidates(settings)) == ["mobilenet-lr0.001", "mobilenet-logistic", "small_cnn-lr0.001"]


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
