"""The built-in recipes: they read, hold what the reports published, and say what is unknown."""

from __future__ import annotations

import dataclasses
import itertools
import re
from pathlib import Path

import pytest

from headstart.recipe import Candidate, PublishedValue, Recipe, builtin
from headstart.recipe.reader import read

DOCUMENT = Path(__file__).parents[2] / "docs" / "recipes.md"

# Settings besides title, source, unknown and published numbers: what one regime may take, and each further candidate.
MOST_LINES = 25
MOST_LINES_MORE = 5

WANTED = {
    *("linnaeus5-mobilenet", "linnaeus5-resnet50", "linnaeus5-comparison"),
    *("flowers-handmade", "flowers-mobilenet-v2", "flowers-alexnet", "flowers-inception-v3", "flowers-vgg16"),
    *("flowers-resnet50", "flowers-resnet50-augmented", "flowers-comparison", "flowers-finetuned"),
    *("natural-images-resnet50", "natural-images-resnet50-lower-rate", "natural-images-resnet50-100-epochs"),
    *("imagenette-mobilenet-v2", "imagenette-best", "imagenette-small-cnn"),
    *("mnist-vgg16", "mnist-resnet50", "mnist-resnet50-nesterov", "mnist-vgg16-highway", "mnist-comparison"),
    "mnist-resnet50-inputs",
}

# Nothing was published for what the reports only wished for, or showed as curves.
WITHOUT_NUMBERS = {"flowers-finetuned", "imagenette-best", "imagenette-small-cnn", "natural-images-resnet50-lower-rate"}


# Written here; all others are regimes of the reports, whose folds were scored at their best epochs.
OF_THIS_HOUSE = {"flowers-finetuned", "imagenette-best", "imagenette-small-cnn"}


def recipe_of(name: str) -> Recipe:
    return read(builtin.path(name)).recipe()


def candidate_of(recipe: str, candidate: str) -> Candidate:
    return next(one for one in recipe_of(recipe).candidates if one.id == candidate)


def published_of(recipe: str, candidate: str, part: str) -> dict[str, float]:
    rows = recipe_of(recipe).published
    return {row.metric: row.value for row in rows if (row.candidate, row.part) == (candidate, part)}


def unnamed(candidate: Candidate) -> Candidate:
    return dataclasses.replace(candidate, name="")


every = pytest.mark.parametrize("name", builtin.names())


def test_all_that_were_asked_for_are_there():
    assert set(builtin.names()) == WANTED


@every
def test_reads_without_problems(name):
    draft = read(builtin.path(name))
    assert draft.problems == ()
    assert draft.recipe().name == name


@every
def test_regimes_of_reports_keep_the_best_epoch_of_every_fold(name):
    assert recipe_of(name).protocol.score_epoch == ("last" if name in OF_THIS_HOUSE else "best")


@every
def test_says_what_it_repeats(name):
    recipe = recipe_of(name)
    assert recipe.title and "\n" not in recipe.title
    assert recipe.source and recipe.unknown and recipe.classes
    assert len(set(recipe.classes)) == len(recipe.classes)


@every
def test_published_numbers_belong_to_candidates_and_classes(name):
    recipe = recipe_of(name)
    assert bool(recipe.published) == (name not in WITHOUT_NUMBERS)
    assert {row.candidate for row in recipe.published} <= {one.id for one in recipe.candidates}
    assert {row.part for row in recipe.published} <= {"train", "validation", "test"}
    allowed = {*recipe.classes, *(f"{kind} {n}" for kind in ("fold", "epoch") for n in range(1, 51))}
    assert {word for row in recipe.published for word in row.metric.split(":")[1:]} <= allowed
    keys = [(row.candidate, row.part, row.metric) for row in recipe.published]
    assert len(set(keys)) == len(keys)


@every
def test_is_about_twenty_lines_besides_the_published_numbers(name):
    text = builtin.path(name).read_text(encoding="utf-8").split("[published")[0]
    text = re.sub(r"^(unknown|classes) = \[\n(?:  .*\n)+\]", r"\1 = []", text, flags=re.MULTILINE)
    text = re.sub(r'^n\d{8} = ".*"\n', "", text, flags=re.MULTILINE)
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    further = max(0, text.count("[[candidate]]") - 1)
    assert len(lines) <= MOST_LINES + MOST_LINES_MORE * further


@every
def test_is_documented(name):
    row = next(line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith(f"| `{name}` |"))
    assert int(row.split("|")[3]) == len(recipe_of(name).candidates)


def test_the_documented_example_reads(tmp_path):
    block = re.search(r"```toml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert block
    file = tmp_path / "leaves.toml"
    file.write_text(block[1], encoding="utf-8")
    recipe = read(file).recipe()
    assert [one.id for one in recipe.candidates] == [
        *("large-lr0.001", "large-lr0.0001"),
        *("small-lr0.001", "small-lr0.0001"),
    ]
    assert recipe.published == (PublishedValue("large-lr0.001", "test", "accuracy", 0.91),)


# Each line typed from the report's table once more, not copied from the recipe.
SPOTS = [
    ("linnaeus5-mobilenet", "mobilenet-lr0.01", "test", {"accuracy": 0.9465, "loss": 0.1335}),
    ("linnaeus5-mobilenet", "mobilenet-lr0.001", "validation", {"accuracy": 0.9528, "loss": 0.1286}),
    ("linnaeus5-mobilenet", "mobilenet-lr0.0001", "test", {"accuracy": 0.9670, "fp:berry": 23, "fn:other": 19}),
    ("linnaeus5-mobilenet", "mobilenet-lr0.0001", "train", {"loss:fold 5": 0.0865, "accuracy:fold 2": 0.9829}),
    ("linnaeus5-mobilenet", "mobilenet-lr1e-05", "train", {"accuracy": 0.9528, "loss": 0.1397}),
    ("linnaeus5-mobilenet", "mobilenet-lr1e-06", "test", {"accuracy": 0.9545, "loss": 0.1349}),
    ("linnaeus5-resnet50", "resnet50-1024-1024", "test", {"accuracy": 0.9735, "loss": 0.4271, "tn:dog": 1598}),
    ("linnaeus5-resnet50", "resnet50-1024-1024", "validation", {"accuracy:fold 1": 0.9758, "loss:fold 4": 0.3684}),
    ("linnaeus5-comparison", "resnet50", "test", {"precision:flower": 0.97, "accuracy:other": 0.98}),
    ("flowers-handmade", "handmade", "test", {"accuracy": 0.7278, "confusion_matrix:roses:tulips": 31}),
    ("flowers-mobilenet-v2", "mobilenet_v2", "test", {"loss": 0.32, "accuracy": 0.9111}),
    ("flowers-alexnet", "alexnet", "validation", {"loss": 0.06, "accuracy": 0.9771}),
    ("flowers-inception-v3", "inception_v3", "train", {"loss": 0.34, "accuracy": 0.8780}),
    ("flowers-vgg16", "vgg16", "validation", {"loss": 0.39, "accuracy": 0.8947}),
    ("flowers-resnet50", "resnet50", "test", {"loss": 0.20, "accuracy": 0.9306, "recall:roses": 0.85}),
    ("flowers-resnet50-augmented", "resnet50-augmented", "validation", {"loss": 0.52, "accuracy": 0.9171}),
    ("natural-images-resnet50", "resnet50", "test", {"accuracy": 0.9583, "loss": 0.1752, "top_5": 1.0}),
    ("natural-images-resnet50", "resnet50", "test", {"precision_at_half": 0.9595, "recall_at_half": 0.9578}),
    ("imagenette-mobilenet-v2", "mobilenet_v2", "train", {"loss:epoch 1": 0.85, "accuracy:epoch 4": 0.98}),
    ("imagenette-mobilenet-v2", "mobilenet_v2", "validation", {"loss:epoch 3": 0.06, "accuracy": 0.98}),
    ("imagenette-mobilenet-v2", "mobilenet_v2", "test", {"loss": 0.06, "accuracy": 0.98}),
    ("mnist-vgg16", "vgg16-sgd-imagenet", "test", {"accuracy": 0.9969, "loss": 0.0116}),
    ("mnist-vgg16", "vgg16-adam-random", "train", {"accuracy": 0.9872, "loss": 0.0399}),
    ("mnist-resnet50", "resnet50-adam-imagenet", "test", {"accuracy": 0.9608, "loss": 0.6885}),
    ("mnist-resnet50", "resnet50-sgd-random", "train", {"accuracy": 0.9335, "loss": 0.3346}),
    ("mnist-comparison", "vgg16-adam-imagenet", "test", {"accuracy": 0.9807, "loss": 0.1523}),
    ("mnist-resnet50-nesterov", "resnet50-nesterov", "train", {"accuracy": 0.9739233, "loss": 0.0835}),
    ("mnist-resnet50-nesterov", "resnet50-nesterov", "validation", {"accuracy:epoch 3": 0.8397}),
]


@pytest.mark.parametrize(("recipe", "candidate", "part", "figures"), SPOTS)
def test_holds_the_reports_figures(recipe, candidate, part, figures):
    found = published_of(recipe, candidate, part)
    assert {metric: found[metric] for metric in figures} == figures


CONFUSIONS = [
    *(("flowers-handmade", "handmade", 98), ("flowers-resnet50", "resnet50", 25)),
    ("flowers-resnet50-augmented", "resnet50-augmented", 25),
]


@pytest.mark.parametrize(("recipe", "candidate", "errors"), CONFUSIONS)
def test_flower_tables_follow_from_their_confusion_matrices(recipe, candidate, errors):
    found, classes = published_of(recipe, candidate, "test"), recipe_of(recipe).classes
    matrix = {(a, b): found[f"confusion_matrix:{a}:{b}"] for a, b in itertools.product(classes, classes)}
    right = sum(matrix[one, one] for one in classes)
    assert sum(matrix.values()) == 360
    assert 360 - right == errors
    assert found["accuracy"] == pytest.approx(right / 360, abs=5.1e-5)
    for one in classes:
        truth, said = sum(matrix[one, two] for two in classes), sum(matrix[two, one] for two in classes)
        assert found[f"support:{one}"] == truth
        assert found[f"recall:{one}"] == pytest.approx(matrix[one, one] / truth, abs=5.1e-3)
        assert found[f"precision:{one}"] == pytest.approx(matrix[one, one] / said, abs=5.1e-3)
        assert found[f"f1:{one}"] == pytest.approx(2 * matrix[one, one] / (truth + said), abs=5.1e-3)


@pytest.mark.parametrize(
    ("recipe", "candidate"),
    [("linnaeus5-mobilenet", "mobilenet-lr0.0001"), ("linnaeus5-resnet50", "resnet50-1024-1024")],
)
def test_linnaeus_tables_follow_from_their_counts(recipe, candidate):
    found, classes = published_of(recipe, candidate, "test"), recipe_of(recipe).classes
    assert sum(found[f"tp:{one}"] for one in classes) / 2000 == pytest.approx(found["accuracy"], abs=5e-5)
    for one in classes:
        tp, tn, fp, fn = (found[f"{count}:{one}"] for count in ("tp", "tn", "fp", "fn"))
        assert (tp + fn, tn + fp) == (400, 1600)
        ratios = {
            "precision": tp / (tp + fp),
            "recall": tp / 400,
            "specificity": tn / 1600,
            "accuracy": (tp + tn) / 2000,
            "f1": 2 * tp / (2 * tp + fp + fn),
        }
        for metric, ratio in ratios.items():  # some were rounded and some cut off after two decimals
            assert found[f"{metric}:{one}"] == pytest.approx(ratio, abs=0.01)


@pytest.mark.parametrize("part", ["train", "validation"])
@pytest.mark.parametrize("metric", ["accuracy", "loss"])
def test_linnaeus_means_follow_from_the_folds(part, metric):
    found = published_of("linnaeus5-mobilenet", "mobilenet-lr0.0001", part)
    folds = [found[f"{metric}:fold {number}"] for number in range(1, 6)]
    assert sum(folds) / 5 == pytest.approx(found[metric], abs=1e-4)


PAIRS = [
    ("linnaeus5-comparison", "mobilenet", "linnaeus5-mobilenet", "mobilenet-lr0.0001"),
    ("linnaeus5-comparison", "resnet50", "linnaeus5-resnet50", "resnet50-1024-1024"),
    ("flowers-comparison", "handmade", "flowers-handmade", "handmade"),
    ("flowers-comparison", "mobilenet_v2", "flowers-mobilenet-v2", "mobilenet_v2"),
    ("flowers-comparison", "alexnet", "flowers-alexnet", "alexnet"),
    ("flowers-comparison", "inception_v3", "flowers-inception-v3", "inception_v3"),
    ("flowers-comparison", "vgg16", "flowers-vgg16", "vgg16"),
    ("flowers-comparison", "resnet50", "flowers-resnet50", "resnet50"),
    ("flowers-comparison", "resnet50-augmented", "flowers-resnet50-augmented", "resnet50-augmented"),
    *(
        ("mnist-comparison", f"{network}-{optimizer}-{weights}", f"mnist-{network}", f"{network}-{optimizer}-{weights}")
        for network in ("vgg16", "resnet50")
        for optimizer in ("adam", "sgd")
        for weights in ("random", "imagenet")
    ),
    ("mnist-vgg16-highway", "vgg16-sgd-random", "mnist-vgg16", "vgg16-sgd-random"),
]


@pytest.mark.parametrize(("comparison", "candidate", "single", "original"), PAIRS)
def test_comparisons_repeat_settings_and_numbers_of_the_single_recipes(comparison, candidate, single, original):
    assert unnamed(candidate_of(comparison, candidate)) == unnamed(candidate_of(single, original))
    for part in ("train", "validation", "test"):
        assert published_of(comparison, candidate, part) == published_of(single, original, part)


def test_the_four_mnist_regimes():
    found = {one.id: one for one in recipe_of("mnist-vgg16").candidates}
    weights, optimizers = ("random", "imagenet"), ("adam", "sgd")
    assert set(found) == {f"vgg16-{one}-{two}" for one in optimizers for two in weights}
    sgd = found["vgg16-sgd-random"].train
    assert (sgd.optimizer.learning_rate, sgd.optimizer.momentum, sgd.optimizer.nesterov) == (0.01, 0.9, False)
    assert (sgd.schedule.kind, sgd.schedule.factor) == ("inverse_time", 0.001)
    assert found["vgg16-adam-imagenet"].train.schedule.kind == "constant"
    assert {one.train.epochs for one in found.values()} == {15}


def test_the_two_phases_of_imagenette():
    recipe = recipe_of("imagenette-mobilenet-v2")
    (one,) = recipe.candidates
    assert (one.train.cuts, one.train.all_epochs) == (("none", "from 130"), 6)
    assert one.head.output == "sigmoid"
    assert set(recipe.data.class_names.values()) == set(recipe.classes)


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of the table of parameters that the reports' models must show; None: not given."""

    recipe: str
    candidate: str
    trainable: int
    non_trainable: int | None = None
    total: int | None = None
    per_phase: tuple[int, ...] = ()


ROWS = [
    Row("linnaeus5-mobilenet", "mobilenet-lr0.0001", 5_125, 3_228_864),
    Row("linnaeus5-resnet50", "resnet50-1024-1024", 4_207_621, 22_532_992),
    Row("flowers-handmade", "handmade", 406_149, 960, 407_109),
    Row("flowers-resnet50", "resnet50", 210_205, 23_587_712),
    Row("flowers-resnet50-augmented", "resnet50-augmented", 1_115_397, 23_587_712),
    Row("natural-images-resnet50", "resnet50", 23_600_136, 53_120, 23_653_256),
    Row("imagenette-mobilenet-v2", "mobilenet_v2", 82_634, 2_257_984, 2_340_618, per_phase=(82_634, 1_442_634)),
    Row("mnist-vgg16", "vgg16-adam-random", 14_719_818, 0, 14_719_818),
    Row("mnist-resnet50", "resnet50-adam-random", 23_555_082, 53_120, 23_608_202),
]


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.recipe)
def test_parameter_counts_are_those_of_the_reports(row):
    from headstart import api

    recipe = recipe_of(row.recipe)
    alone = dataclasses.replace(recipe, candidates=(candidate_of(row.recipe, row.candidate),), published=())
    (described,) = api.describe(alone)
    counts = described.parameters
    assert described.candidate == row.candidate
    assert counts.trainable == row.trainable
    assert row.non_trainable in (None, counts.non_trainable)
    assert row.total in (None, counts.total)
    assert row.per_phase in ((), counts.per_phase)


@pytest.mark.slow
@every
def test_its_networks_have_the_layers_and_sizes_that_it_names(name):
    from headstart import api

    assert [one.id for one in api.read_recipe(name).candidates] == [one.id for one in recipe_of(name).candidates]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.recipe)
def test_published_parameters_are_those_of_the_table(row):
    found = published_of(row.recipe, row.candidate, "train")
    known = {
        "trainable_parameters": row.trainable,
        "non_trainable_parameters": row.non_trainable,
        "parameters": row.total,
    }
    counts = {metric: value for metric, value in found.items() if metric in known}
    assert counts
    assert counts == {metric: known[metric] for metric in counts}
