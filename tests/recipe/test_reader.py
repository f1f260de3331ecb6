"""Reading recipes: what is said, what is meant, and everything that is wrong in one go."""

import copy
import functools
import math
import operator
import re
import time
import tomllib
from datetime import date

import pytest
import tomli_w

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
    builtin,
)
from headstart.recipe.reader import read, read_text

WHOLE = """
name = "whole"
title = "All keys at once"
source = "Somebody, 2020"
unknown = ["the batch size", "the seed"]
classes = ["cat", "dog"]
precision = "bf16"

backbone = "resnet50"
weights = "random"
image_size = 64
preprocessing = "unit"
colour = "grey"

[head]
pooling = "max"
layers = ["dense 64 tanh l2 0.01", "dropout 0.5"]
output = "sigmoid"
l2 = 1

[train]
epochs = 3
batch_size = 8
optimizer = {name = "sgd", learning_rate = 1, momentum = 0.9, nesterov = true}
schedule = {kind = "steps", factor = 0.5, every = 2}
trainable = "last 4"
batch_normalization = "inference"
patience = 2
label_smoothing = 0.1
class_weights = "balanced"

[[train.phases]]
epochs = 5
trainable = "from 130"
learning_rate = 1e-5
optimizer_state = "keep"

[augmentation]
views = ["flip"]
fresh = ["rotation 0.1"]

[data]
resize = "crop"
interpolation = "bilinear"
antialias = false
group_by = "folder"
class_names = {n01 = "cat", n02 = "dog"}
remove = ["cat/1.jpg"]
limit = 100

[protocol]
kind = "holdout"
folds = 4
holdout = 0.25
repeats = 2
test_fraction = 0.1
choose_by = "loss"
score_epoch = "best"
finals = "all"
final_epochs = 7
seed = 3

[published.resnet50-lr1.test]
accuracy = 1
"""


def problems_of(text, *overrides):
    return list(read_text(text, overrides).problems)


def one_candidate(text, *overrides):
    (candidate,) = read_text(text, overrides).recipe().candidates
    return candidate


def test_every_key_arrives_in_its_type():
    recipe = read_text(WHOLE).recipe()
    (published,) = recipe.published
    assert (published.candidate, published.part, published.metric, published.value) == (
        "resnet50-lr1", "test", "accuracy", 1.0,
    )  # fmt: skip
    assert recipe == Recipe(
        name="whole",
        title="All keys at once",
        source="Somebody, 2020",
        unknown=("the batch size", "the seed"),
        classes=("cat", "dog"),
        precision="bf16",
        published=recipe.published,
        data=DataRules("crop", "bilinear", False, "folder", {"n01": "cat", "n02": "dog"}, ("cat/1.jpg",), 100),
        protocol=Protocol("holdout", 4, 0.25, 2, 0.1, "loss", "best", "all", 7, 3),
        candidates=(
            Candidate(
                backbone="resnet50",
                weights="random",
                image_size=64,
                preprocessing="unit",
                colour="grey",
                head=Head("max", ("dense 64 tanh l2 0.01", "dropout 0.5"), "sigmoid", 1.0),
                train=Training(
                    3, 8, Optimizer("sgd", 1.0, 0.9, True), Schedule("steps", 0.5, 2), "last 4", "inference",
                    2, 0.0, 0.1, "balanced", (Phase(5, "from 130", 1e-5, optimizer_state="keep"),),
                ),
                augmentation=Augmentation(("flip",), ("rotation 0.1",)),
            ),
        ),
    )  # fmt: skip
    assert isinstance(recipe.candidates[0].head.l2, float)


@pytest.mark.parametrize("word", ["accuracy", "loss"])
def test_recipes_with_a_monitor_were_written_when_folds_were_scored_at_their_best_epochs(word):
    text = f'backbone = "mobilenet"\nprotocol.monitor = "{word}"'
    assert read_text(text).recipe().protocol == Protocol(choose_by=word, score_epoch="best")
    both = read_text(f'{text}\nprotocol.score_epoch = "last"').recipe().protocol
    assert both == Protocol(choose_by=word, score_epoch="last")


def test_a_monitor_beside_its_present_name_is_refused():
    assert problems_of('backbone = "mobilenet"\nprotocol.monitor = "loss"\nprotocol.choose_by = "loss"') == [
        "protocol: monitor is the earlier name of choose_by; one of the two must go."
    ]


def test_a_monitor_that_is_no_measure_is_refused_under_the_present_word():
    assert problems_of('backbone = "mobilenet"\nprotocol.monitor = "lss"') == [
        "protocol.choose_by must be one of accuracy, balanced_accuracy, macro_f1, auc, loss, cost. Received: 'lss'. "
        "Did you mean 'loss'?"
    ]


def test_the_average_of_weights_is_read_and_checked_against_the_protocol():
    text = 'backbone = "small_cnn"\ntrain = {trainable = "all", average = 0.2}'
    assert one_candidate(text).train.average == 0.2
    assert problems_of(f'{text}\nprotocol.score_epoch = "best"') == [
        "train.average keeps a mean of the last epochs, protocol.score_epoch = 'best' one of them. Give one."
    ]


def test_what_is_left_out_is_the_default():
    recipe = read_text('backbone = "mobilenet"').recipe()
    assert recipe == Recipe((Candidate("mobilenet"),))


def test_candidates_are_laid_over_what_is_said_for_all():
    text = """
    image_size = 64
    head = {pooling = "max", layers = ["dense 8"]}
    train.optimizer = {name = "sgd", momentum = 0.9}
    [[candidate]]
    backbone = "mobilenet"
    [[candidate]]
    name = "deep"
    backbone = "resnet50"
    image_size = 32
    head.layers = []
    train.optimizer.momentum = 0.5
    """
    first, second = read_text(text).recipe().candidates
    optimizer = Optimizer("sgd", momentum=0.9)
    assert first == Candidate(
        "mobilenet", image_size=64, head=Head("max", ("dense 8",)), train=Training(optimizer=optimizer)
    )
    assert second == Candidate(
        "resnet50", "deep", image_size=32, head=Head("max"), train=Training(optimizer=Optimizer("sgd", momentum=0.5))
    )


BAD = """
backbone = "mobilenet"
colur = "grey"

[train]
epoch = 5
batch_size = "many"
patience = 1.5

[data]
resize = "strech"

[protocol]
folds = true

[grid]
"train.batch" = [8, 16]
"head.pooling" = "max"
"train.optimizer.learning_rate" = []

[[candidate]]
name = "one"
train.label_smoothing = 2.0
learning_rate = 0.1

[[candidate]]
name = "two"
head.layers = ["dense 64", 5]
train.phases = [{trainable = "last"}]

[[candidate]]
name = "three"

[[candidate]]
name = "four"

[published.five.test]
accuracy = 0.9
[published.three.tests]
accuracy = "good"
"""

BAD_LINES = [
    r"colur: there is no such key\. Did you mean 'colour'\?",
    r"train\.epoch: there is no such key\. Did you mean 'epochs'\?",
    r"train\.batch_size must be a whole number\. Received: 'many'\.",
    r"train\.patience must be a whole number\. Received: 1\.5\.",
    r"data\.resize must be one of stretch, crop, pad\. Received: 'strech'\. Did you mean 'stretch'\?",
    r"protocol\.folds must be a whole number\. Received: true\.",
    r"grid\.train\.batch: there is no such key\. Did you mean 'train\.batch_size'\?",
    r"grid\.head\.pooling must be a list with at least one value\. Received: 'max'\.",
    r"grid\.train\.optimizer\.learning_rate must be a list with at least one value\. Received: \[\]\.",
    r"candidate\[0\]\.learning_rate: there is no such key\. Did you mean 'train\.optimizer\.learning_rate'\?",
    r"train\.label_smoothing must be .* Received: 2\. \(candidate one\)",
    r"candidate\[1\]\.head\.layers\[1\] must be text\. Received: 5\.",
    r"candidate\[1\]\.train\.phases\[0\]\.epochs is missing\. Add it\.",
    r"train\.phases\[0\]\.trainable must be none, .* Received: 'last'\..* \(candidate two\)",
    r"candidate: 'three' and 'four' are equal\. .*",
    r"published\.five: there is no such candidate\..*",
    r"published\.three\.tests: there is no such part\. Did you mean 'test'\?",
    r"--set train\.epocs: there is no such key\. Did you mean 'train\.epochs'\?",
    r"--set 'train\.epochs' must be KEY=VALUE, such as train\.epochs=5\.",
    r"--set image_size must be a whole number\. Received: 'large'\.",
]


def test_all_problems_of_a_file_come_at_once_each_with_its_key_and_none_twice():
    lines = problems_of(BAD, "train.epocs=5", "train.epochs", "image_size=large")
    for pattern in BAD_LINES:
        assert [line for line in lines if re.fullmatch(pattern, line)], (pattern, lines)
    assert len(lines) == len(BAD_LINES)
    assert len(set(lines)) == len(lines)


def test_candidates_that_could_be_built_are_there_in_spite_of_problems():
    draft = read_text(BAD)
    assert [one.id for one in draft.candidates] == ["one", "two", "three", "four"]
    assert draft.candidates[0].train.epochs == 20
    assert draft.candidates[1].train.phases == (Phase(1, "last"),)
    with pytest.raises(UsageError) as error:
        draft.recipe()
    assert str(error.value).splitlines() == list(draft.problems)


MOBILENET = 'backbone = "mobilenet"\n'
ONE_PROBLEM = [
    ("", r"backbone is missing\. Name one: `headstart backbones` lists them\."),
    ("backbone = 5", r"backbone must be text\. Received: 5\."),
    ('[[candidate]]\nname = "a"', r"candidate\[0\]\.backbone is missing\..*"),
    (MOBILENET + "candidate = [5]", r"candidate\[0\] must be a table\. Received: 5\."),
    ('candidate = 5\nbackbone = "mobilenet"', r"candidate must be a list of tables, .*Received: 5\."),
    ('[candidate]\nbackbone = "mobilenet"', r"candidate must be a list of tables, \[\[candidate\]\]\. .* a table\."),
    (MOBILENET + "head = 3", r"head must be a table\. Received: 3\."),
    (MOBILENET + 'head.layers = "dense 5"', r"head\.layers must be a list of texts\. Received: 'dense 5'\."),
    (MOBILENET + "train.phases = {epochs = 5}", r"train\.phases must be a list of tables\. Received: a table\."),
    (MOBILENET + "train.phases = [5]", r"train\.phases\[0\] must be a table\. Received: 5\."),
    (MOBILENET + 'train.optimizer = "sgd"', r"train\.optimizer must be a table\. Received: 'sgd'\."),
    (MOBILENET + 'train.optimizer.learning_rate = "x"', r"train\.optimizer\.learning_rate must be a number\..*'x'\."),
    (MOBILENET + "train.optimizer.learning_rate = true", r".*learning_rate must be a number\. Received: true\."),
    (MOBILENET + f"head.l2 = 1{'0' * 400}", r"head\.l2 must be a number below 1\.8e308\..*"),
    (MOBILENET + "head.l2 = nan", r"head\.l2 must be .*Received: nan\."),
    (MOBILENET + "train.epochs = 5.0", r"train\.epochs must be a whole number\. Received: 5\.0\."),
    (MOBILENET + "title = 2020-01-01", r"title must be text\. Received: 2020-01-01\."),
    (MOBILENET + "unknown = [1]", r"unknown\[0\] must be text\. Received: 1\."),
    (MOBILENET + 'classes = ["a", "b", "a"]', r"classes: 'a' is there twice\."),
    (MOBILENET + 'precision = "f16"', r"precision must be one of f32, bf16\. Received: 'f16'\..*"),
    (MOBILENET + "protocol = 5", r"protocol must be a table\. Received: 5\."),
    (MOBILENET + "data = 5", r"data must be a table\. Received: 5\."),
    (MOBILENET + "[data]\nseed = 1", r"data\.seed: there is no such key\. Did you mean 'protocol\.seed'\?"),
    (MOBILENET + "data.remove = 5", r"data\.remove must be a list of paths, .* Received: 5\."),
    (MOBILENET + "data.remove = [5]", r"data\.remove\[0\] must be text\. Received: 5\."),
    (MOBILENET + "data.class_names = 5", r"data\.class_names must be a table of label = name, .* Received: 5\."),
    (MOBILENET + "data.class_names.cat = 5", r"data\.class_names\.cat must be text\. Received: 5\."),
    (MOBILENET + 'data.remove = "none.txt"', r"data\.remove: none\.txt cannot be read: .*"),
    (MOBILENET + "protocol.folds = 1", r"protocol\.folds must be between 2 and 100\. Received: 1\."),
    (MOBILENET + "image_size = 4", r"image_size must be between 8 and 4096 pixels\. Received: 4\."),
    (MOBILENET + "grid = 5", r"grid must be a table\. Received: 5\."),
    (MOBILENET + "epochs = 5", r"epochs: there is no such key\. Did you mean 'train\.epochs'\?"),
    (MOBILENET + 'name = "a"\n[[candidate]]\nname = " a"', r"name must be one line .*Received: ' a'\."),
    (
        "[[candidate]]\nbackbone = 5\nname = 'a'\n[published.a.test]\nloss = 1",
        r"candidate\[0\]\.backbone must be text.*",
    ),
]


@pytest.mark.parametrize(("text", "pattern"), ONE_PROBLEM, ids=lambda value: value[-40:])
def test_one_problem_is_one_line(text, pattern):
    (line,) = problems_of(text)
    assert re.fullmatch(pattern, line), line


def test_a_value_that_everyone_has_is_reported_once_and_one_that_some_have_names_them():
    text = """
    train.epochs = 0
    [grid]
    backbone = ["mobilenet", "resnet50"]
    "train.patience" = [-1, 1, 2, 3]
    "train.batch_size" = [8, 16]
    """
    epochs, patience = problems_of(text)
    assert epochs == "train.epochs must be between 1 and 100000. Received: 0."
    assert patience == (
        "train.patience must be between 0 and 100000. Received: -1. (candidates mobilenet-patience-1-batch_size8, "
        "mobilenet-patience-1-batch_size16, resnet50-patience-1-batch_size8 and 1 more)"
    )


def test_a_candidate_that_could_not_be_read_in_full_is_not_called_equal_to_another():
    text = """
    backbone = "mobilenet"
    [[candidate]]
    name = "a"
    [[candidate]]
    name = "b"
    train.epoch = 5
    """
    assert problems_of(text) == ["candidate[1].train.epoch: there is no such key. Did you mean 'epochs'?"]


def test_two_of_one_name_are_refused():
    text = 'backbone = "mobilenet"\n[[candidate]]\n[[candidate]]\ntrain.epochs = 5'
    (line,) = problems_of(text)
    assert line.startswith("candidate: 'mobilenet-lr0.001' is there twice.")


@pytest.mark.parametrize(
    ("text", "line"), [("a = [1,\nb = 2", 2), ("a = 1\na = 2", 2), ('\nx = """a\nb', 3), ("[a]\n[a]", 2)]
)
def test_broken_toml_is_one_line_with_its_number(tmp_path, text, line):
    file = tmp_path / "broken.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as error:
        read(file)
    assert str(error.value).startswith(f"{file} is no TOML: ")
    assert f"(at line {line}, " in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_a_file_that_is_no_text_or_too_deep_is_refused(tmp_path):
    (tmp_path / "a.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not UTF-8"):
        read(tmp_path / "a.toml")
    with pytest.raises(UsageError, match="too deep"):
        read_text("a = " + "[" * 5000 + "]" * 5000)


def test_a_recipe_is_named_after_its_file_unless_it_says_otherwise(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('\ufeffbackbone = "mobilenet"', encoding="utf-8")
    assert read(file).recipe().name == "mine"
    file.write_text('backbone = "mobilenet"\nname = ""')
    assert read(str(file)).recipe().name == ""


def test_files_that_a_recipe_names_lie_beside_it(tmp_path, monkeypatch):
    (tmp_path / "names.csv").write_text("label,name\nn01,cat\n")
    (tmp_path / "removed.txt").write_text("cat/1.jpg\n\n# blurred\ncat/2.jpg\n")
    file = tmp_path / "r.toml"
    file.write_text('backbone = "mobilenet"\ndata = {class_names = "names.csv", remove = "removed.txt"}')
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    rules = read(file).recipe().data
    assert rules == DataRules(class_names={"n01": "cat"}, remove=("cat/1.jpg", "cat/2.jpg"))


def test_files_that_an_override_names_lie_in_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "removed.txt").write_text("cat/1.jpg\n")
    monkeypatch.chdir(tmp_path)
    draft = read_text('backbone = "mobilenet"\ndata.remove = ["x"]', ["data.remove=removed.txt"])
    assert draft.recipe().data.remove == ("cat/1.jpg",)


def test_a_corrected_list_gives_removals_new_labels_and_its_run(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".study").write_text("x")
    lines = "a,x,y,0.9,relabel\nb,x,y,0.9,drop\nc,y,x,0.9,relabel\nd,y,x,0.9,\ne,y,x,0.8,keep\n"
    (tmp_path / "run" / "doubts.csv").write_text("path,label,suggested,confidence,action\n" + lines)
    text = 'backbone = "mobilenet"\n[data]\nremove = "run/doubts.csv"\n'
    run = str(tmp_path / "run")
    rules = read_text(text, folder=tmp_path).recipe().data
    assert rules == DataRules(remove=("b",), relabel={"a": "y", "c": "x"}, corrected_from=run, keep=("e",))
    assert rules.corrected_run == "run"
    assert read_text(text + 'keep = ["f", "e"]', folder=tmp_path).recipe().data.keep == ("f", "e")
    rules = read_text(text + 'relabel = {c = "z", e = "x"}', folder=tmp_path).recipe().data
    assert rules.relabel == {"a": "y", "c": "z", "e": "x"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("data.relabel = 5", "data.relabel must be a table of path = class. Received: 5."),
        ("data.relabel = {a = 1}", "data.relabel.a must be text. Received: 1."),
        ("data.corrected_from = 1", "data.corrected_from must be text. Received: 1."),
    ],
)
def test_new_labels_are_texts(text, problem):
    assert problems_of(MOBILENET + text) == [problem]


def test_a_grid_too_large_is_refused_at_once():
    values = ", ".join(map(str, range(1, 201)))
    text = f'backbone = "mobilenet"\n[grid]\ntrain.epochs = [{values}]\ntrain.batch_size = [{values}]'
    start = time.perf_counter()
    assert problems_of(text) == ["grid must make at most 10,000 candidates. Received: 40,000."]
    assert time.perf_counter() - start < 5


def test_overrides_win_over_defaults_candidates_and_what_all_share():
    text = """
    backbone = "mobilenet"
    train.epochs = 3
    [[candidate]]
    name = "a"
    train.epochs = 4
    [[candidate]]
    name = "b"
    train.batch_size = 8
    """
    settings = ["train.epochs=9", "data.limit=50", "protocol.kind=holdout", "precision=bf16", "train.trainable=last 4"]
    recipe = read_text(text, settings).recipe()
    assert [(one.train.epochs, one.train.trainable) for one in recipe.candidates] == [(9, "last 4")] * 2
    assert recipe.candidates[1].train.batch_size == 8
    assert (recipe.data.limit, recipe.protocol.kind, recipe.precision) == (50, "holdout", "bf16")


def test_overrides_can_mend_what_is_out_of_range_and_name_the_backbone():
    assert one_candidate("train.epochs = 0", "train.epochs=2", "backbone=mobilenet").train.epochs == 2


PHASED = """
[[candidate]]
name = "phased"
backbone = "mobilenet"
train.phases = [{epochs = 3, trainable = "last 4", learning_rate = 1e-5}]
[[candidate]]
name = "plain"
backbone = "mobilenet"
"""


def test_a_phase_is_overridden_where_there_is_one():
    first, second = read_text(PHASED, ["train.phases[0].epochs=1", "train.phases.0.trainable=all"]).recipe().candidates
    assert first.train.phases == (Phase(1, "all", 1e-5),)
    assert second.train.phases == ()
    (line,) = problems_of(PHASED, "train.phases[1].epochs=1")
    assert line == "--set train.phases[1].epochs: no candidate has so many phases."


def test_candidates_that_an_override_makes_equal_become_one_and_that_is_said():
    text = 'backbone = "mobilenet"\n[[candidate]]\nname = "short"\n[[candidate]]\nname = "long"\ntrain.epochs = 100'
    draft = read_text(text + "\n[published.long.test]\nloss = 1\n[published.short.test]\nloss = 2", ["train.epochs=1"])
    assert [one.id for one in draft.recipe().candidates] == ["short"]
    assert draft.notes == ("long now equals short, so it is left out.",)
    assert [row.candidate for row in draft.recipe().published] == ["short"]
    assert read_text(text).notes == ()


def test_a_built_in_recipe_is_read_by_its_name_and_its_path():
    name = builtin.names()[0]
    assert read(name) == read(builtin.path(name))
    assert read(name).recipe().name == name


SOURCES = [
    ("linnaeus5-mobilnet", r"no recipe 'linnaeus5-mobilnet'\. Did you mean 'linnaeus5-mobilenet'\?"),
    ("xyz", r"no recipe 'xyz'\. `headstart recipes` lists them"),
    ("mine.toml", r"no recipe file mine\.toml\."),
    ("folder/mine", r"no recipe file folder/mine\."),
    (".", r"\. is a folder\."),
]


@pytest.mark.parametrize(("source", "message"), SOURCES)
def test_what_is_no_recipe_is_said_with_the_nearest_name(tmp_path, monkeypatch, source, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message):
        read(source)


def test_a_name_comes_before_a_file_of_the_same_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = builtin.names()[0]
    (tmp_path / name).write_text('backbone = "mobilenet"\nname = "mine"')
    assert read(name).name == name
    assert read(f"./{name}").name == "mine"
    assert read(tmp_path / name).name == "mine"


def addresses_in(table, before=()):
    """Yield the steps to everything in a table, lists included."""
    items = table.items() if isinstance(table, dict) else enumerate(table)
    for step, value in items:
        yield (*before, step)
        if isinstance(value, dict | list):
            yield from addresses_in(value, (*before, step))


ODD_VALUES = [-1, 0.5, True, "x", [], [5], ["x"], {}, {"a": 1}, [{}], [[1]], date(2020, 1, 1), math.inf, 10**400]


@pytest.mark.parametrize("value", ODD_VALUES, ids=lambda value: str(value)[:20])
def test_no_value_of_any_key_is_a_fault_of_the_reader(value):
    whole = tomllib.loads(WHOLE + 'grid."train.epochs" = [1, 2]\n[[candidate]]\nname = "a"\ngrid.weights = ["random"]')
    said = 0
    for *steps, last in addresses_in(whole):
        changed = copy.deepcopy(whole)
        place = functools.reduce(operator.getitem, steps, changed)
        place[last] = value
        draft = read_text(tomli_w.dumps(changed))
        assert all(len(line.splitlines()) == 1 for line in draft.problems)
        said += bool(draft.problems)
        if not draft.problems:
            assert draft.recipe().candidates == draft.candidates
    assert said > 20


def test_a_key_with_a_line_break_is_still_one_line():
    assert problems_of(MOBILENET + '"a\\nb" = 5') == ["a\\nb: there is no such key."]
