"""The resolved copy of a recipe: it reads back as the same recipe, whatever stands in it."""

import random
import tomllib

import pytest

from headstart.recipe import (
    Augmentation,
    Candidate,
    DataRules,
    Head,
    Optimizer,
    Phase,
    Protocol,
    PublishedValue,
    Recipe,
    Schedule,
    Training,
    builtin,
)
from headstart.recipe.reader import read, read_text
from headstart.recipe.writer import to_toml

ODD_TEXTS = [
    "",
    "a",
    'say "no"',
    "it's",
    "back\\slash",
    "two\nlines",
    "\ttab\r\n",
    "\x00\x7f\x1b",
    "naïve 日本語 🙂",
    "a.b[0] = 1",
]
ODD_TEXTS += ['"""', "'''", "# none", " spaces "]
ODD_NAMES = [text for text in ODD_TEXTS if text == text.strip() and text.isprintable()]
NUMBERS = [0.0, 1e-7, 0.1, 1 / 3, 5e-324, 0.9999999999999999]


def returns(recipe):
    return read_text(to_toml(recipe)).recipe() == recipe


@pytest.mark.parametrize("name", builtin.names())
def test_built_in_recipes_read_back_equal_from_text_and_file(name, tmp_path):
    recipe = read(name).recipe()
    text = to_toml(recipe)
    assert read_text(text).recipe() == recipe
    (tmp_path / "copy.toml").write_text(text, encoding="utf-8")
    assert read(tmp_path / "copy.toml").recipe() == recipe


def random_phase(pick):
    return Phase(
        pick([1, 5]), pick(["none", "all", "last 4", "from 130", "from conv_pw_13"]), pick(NUMBERS),
        random_schedule(pick), pick(["training", "inference"]), pick(["reset", "keep"]),
    )  # fmt: skip


def random_schedule(pick):
    return Schedule(pick(["constant", "steps", "inverse_time", "cosine"]), pick(NUMBERS), pick([1, 100_000]))


def random_training(pick):
    optimizer = Optimizer(
        pick(["sgd", "rmsprop"]), pick([1e-7, 1000.0]), pick(NUMBERS), False, pick(NUMBERS), pick(NUMBERS),
        pick([1e-7, 1e300]), pick(NUMBERS), pick([0.0, 1e300]),
    )  # fmt: skip
    phases = tuple(random_phase(pick) for _ in range(pick([0, 1, 3])))
    return Training(
        pick([1, 7]), pick([1, 64]), optimizer, random_schedule(pick), pick(["none", "all"]), pick(["training"]),
        pick([0, 3]), 0.0, pick(NUMBERS), pick(["none", "balanced"]), phases,
    )  # fmt: skip


def random_candidate(pick, number):
    layers = [(), ("dropout 0.5",), ("dense 64 tanh l2 0.01", "dropout 0.2", "dense 5")]
    return Candidate(
        pick(["mobilenet", *ODD_TEXTS[1:]]), f"{pick(ODD_NAMES)}-{number}", pick(["random", "imagenet"]),
        pick([0, 8, 4096]), pick(["own", "unit", "none"]), pick(["rgb", "grey"]),
        Head(pick(["average", "max", "flatten"]), pick(layers), pick(["softmax", "sigmoid"]), pick(NUMBERS)),
        random_training(pick), Augmentation(pick([(), ("flip", "zoom 0.2")]), pick([(), ("flip both + shift 45",)])),
    )  # fmt: skip


def random_recipe(seed):
    source = random.Random(seed)
    pick = source.choice
    some = lambda: tuple(source.sample(ODD_TEXTS, source.randint(0, 4)))  # noqa: E731
    candidates = tuple(random_candidate(pick, number) for number in range(pick([1, 3])))
    published = tuple(
        PublishedValue(one.id, part, f"{metric}{number}", pick([*NUMBERS, -1e300]))
        for one in candidates
        for part in ("train", "test")
        for number, metric in enumerate(some())
    )
    return Recipe(
        candidates,
        DataRules("pad", "nearest", True, pick(ODD_TEXTS), {text: pick(ODD_TEXTS) for text in some()}, some(), 3,
                  {text: pick(ODD_TEXTS) for text in some()}, pick(ODD_TEXTS)),
        Protocol("holdout", 2, 0.25, 3, 1 / 3, "loss", pick(["last", "best"]), "best", 9, 2**31 - 1),
        pick(["f32", "bf16"]), pick(ODD_TEXTS), pick(ODD_TEXTS), some(), pick(ODD_TEXTS), some(), published,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(40))
def test_random_recipes_of_odd_values_read_back_equal(seed):
    assert returns(random_recipe(seed))


def test_averages_measures_and_a_budget_read_back_equal():
    one = Candidate("small_cnn", train=Training(trainable="all", average=1 / 3))
    protocol = Protocol(choose_by="cost", score_epoch="last", budget=600.5, decide=("cost cat:dog 5",))
    assert returns(Recipe((one,), protocol=protocol))


def test_a_grid_stands_resolved_as_full_candidates():
    text = 'backbone = "mobilenet"\ntrain.epochs = 3\n[grid]\n"train.optimizer.learning_rate" = [1e-2, 1e-3]'
    plain = tomllib.loads(to_toml(read_text(text).recipe()))
    assert "grid" not in plain
    assert [one["train"]["optimizer"]["learning_rate"] for one in plain["candidate"]] == [0.01, 0.001]
    assert all(one["train"]["epochs"] == 3 and one["head"]["pooling"] == "average" for one in plain["candidate"])
    assert "published" not in plain


def test_paths_are_resolved_to_what_their_files_hold(tmp_path):
    (tmp_path / "removed.txt").write_text("a.jpg\n")
    (tmp_path / "r.toml").write_text('backbone = "mobilenet"\ndata.remove = "removed.txt"')
    recipe = read(tmp_path / "r.toml").recipe()
    assert tomllib.loads(to_toml(recipe))["data"]["remove"] == ["a.jpg"]
