"""The command line: help, exit statuses, and one clear line for every kind of bad input."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from headstart import cli, options
from headstart.recipe import builtin
from headstart.study.settings import Settings


@pytest.fixture
def photos(tmp_path):
    """Two classes of twelve small pictures."""
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(12):
            image = Image.fromarray(random.integers(0, 256, (12, 12, 3), np.uint8))
            image.save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


def write_csv(path, rows, header=("path", "label")):
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path


BAD_OPTIONS = [
    (["--backbones", "mobilnet"], 2, r"no backbone 'mobilnet'\. Did you mean 'mobilenet'\?"),
    (["--backbones", "mobilenet", "--learning-rates", "1e-2;1e-3"], 2, "numbers with commas"),
    (["--backbones", "mobilenet", "--learning-rates", "-1"], 2, "--learning-rates must be above 0"),
    (["--backbones", "mobilenet:random", "--learning-rates", "1e-2,1e-2"], 2, "is there twice"),
    (["--backbones", "mobilenet:random", "--image-size", "16"], 2, "at least 32 pixels"),
    (["--backbones", "mobilenet:random", "--folds", "1"], 2, "--folds must be between 2 and 100"),
    (["--backbones", "mobilenet:random", "--folds", "3", "--holdout", "0.2"], 2, "exclude each other"),
    (["--backbones", "mobilenet:random", "--optimizer", "adamm"], 2, "Did you mean 'adam'"),
    (["--backbones", "mobilenet:random", "--momentum", "0.9"], 2, "--momentum belongs to sgd"),
    (["--backbones", "mobilenet:random", "--choose-by", "f1"], 2, "--choose-by must be one of accuracy, balanced"),
    (["--backbones", "mobilenet:random", "--choose-by", "cost"], 2, "needs costs of errors. Give some with --cost"),
    (["--backbones", "mobilenet:random", "--budget", "10"], 2, "must be a time, such as 90s, 10m or 1.5h"),
    (
        ["--backbones", "mobilenet:random", "--min-images-per-class", "20"],
        1,
        "Fewer than two classes of .* 12 or fewer",
    ),
    (["--backbones", "mobilenet:random", "--min-images-per-class", "-1"], 2, "--min-images-per-class must be between"),
    (["--backbones", "mobilenet:random", "--group-by", "("], 2, "regular expression"),
    (["--backbones", "mobilenet", "--weights-dir", "nowhere"], 1, "no weights folder nowhere"),
    (["--no-such-option"], 2, "No such option"),
]


@pytest.mark.parametrize(("extra", "status", "message"), BAD_OPTIONS, ids=lambda value: str(value)[:40])
def test_bad_options_say_so_in_one_line_and_write_nothing(headstart, photos, tmp_path, extra, status, message):
    result, out, error = headstart("compare", photos, "--out", "run", "--quiet", *extra)
    assert result == status
    assert re.search(message, error), error
    assert "Traceback" not in error
    assert len([line for line in error.splitlines() if line.startswith("Error")]) == 1
    assert out == ""
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("typed", "name", "value"),
    [
        (["--budget", "90s"], "budget", 90), (["--budget", "10m"], "budget", 600), ([], "budget", 0),
        (["--budget", "1.5h"], "budget", 5400), ([], "choose_by", "accuracy"),
        (["--choose-by", "auc"], "choose_by", "auc"),
        (["--monitor", "loss"], "choose_by", "loss"), ([], "schedule", "cosine"), ([], "learning_rates", ()),
        ([], "logistic", True), (["--no-logistic"], "logistic", False), (["--pool"], "pool", True),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_typed_reaches_the_settings(photos, typed, name, value):
    assert cli.app.commands["compare"].make_context("compare", [str(photos), *typed]).params[name] == value


@pytest.fixture
def no_weights(monkeypatch, tmp_path):
    """No weights in any place that is looked at; whether somebody sits at the terminal is what this returns sets."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return lambda answers: monkeypatch.setattr(cli, "_at_terminal", lambda: answers)


@pytest.mark.parametrize("extra", [[], ["--quiet"], ["--json"], ["--weights-dir", "weights"]])
def test_without_any_weights_compare_says_how_to_get_some(headstart, photos, tmp_path, no_weights, extra):
    (tmp_path / "weights").mkdir()
    no_weights(answers=bool({"--quiet", "--json"} & set(extra)))
    status, out, error = headstart("compare", photos, *extra)
    place = f"{'weights and ' if '--weights-dir' in extra else ''}{tmp_path / 'keras' / 'models'}"
    message = (
        f"No pretrained weights were found (in {place}). Fetch some: headstart weights fetch mobilenet mobilenet_v2; "
        "or name the folder where they lie with --weights-dir or HEADSTART_WEIGHTS; or train a small network from "
        "scratch: --backbones small_cnn."
    )
    assert status == 1
    assert message in (out + error).replace("\\/", "/")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("answer", [b"\n", b"n\n"])
def test_at_a_terminal_weights_are_offered_and_may_be_refused(headstart, photos, no_weights, monkeypatch, answer):
    no_weights(answers=True)
    monkeypatch.setattr("headstart.backbones.weights.fetch", lambda *a, **o: pytest.fail("nobody said yes"))
    status, _, error = headstart("compare", photos, listed=answer)
    assert status == 1
    assert "Fetch MobileNet and MobileNetV2 (22 MB) now? [y/N]" in error
    assert "Error: No pretrained weights were found" in error


def test_at_a_terminal_compare_goes_on_after_fetching(headstart, photos, no_weights, monkeypatch):
    from headstart.backbones import weights

    no_weights(answers=True)
    fetched, compared = [], []

    def fetch(row, *, weights_dir):
        fetched.append(row.name)
        return weights.WeightsFile(row.name, Path("kept"), "", "", "", checked=True)

    def compare(data, settings, **others):
        compared.append(data)
        raise KeyboardInterrupt

    monkeypatch.setattr(weights, "fetch", fetch)
    monkeypatch.setattr("headstart.api.compare", compare)
    headstart("compare", photos, listed=b"y\n")
    assert (fetched, compared) == (["mobilenet", "mobilenet_v2"], [photos])


def test_a_download_that_fails_is_one_clear_line(headstart, photos, no_weights, monkeypatch):
    import keras

    def unreachable(**others):
        raise Exception("URL fetch failure on https://somewhere: None -- no route to host\nmore")

    no_weights(answers=True)
    monkeypatch.setattr(keras.applications, "MobileNet", unreachable)
    status, _, error = headstart("compare", photos, listed=b"y\n")
    assert status == 1
    [line] = [line for line in error.splitlines() if "Error: " in line]
    assert line.endswith("The download failed: URL fetch failure on https://somewhere: None -- no route to host")


def test_missing_weights_name_the_file_and_the_ways_to_get_it(headstart, photos, tmp_path):
    (tmp_path / "weights").mkdir()
    status, _, error = headstart("compare", photos, "--backbones", "mobilenet,resnet50", "--weights-dir", "weights")
    assert status == 1
    assert "mobilenet.weights.h5" in error
    assert "resnet50.weights.h5" in error
    assert not (tmp_path / "runs").exists()


def bad_data(tmp_path, photos):
    """Return what each kind of bad DATA is, and what its message must say."""
    empty = tmp_path / "empty"
    empty.mkdir()
    lone = tmp_path / "lone" / "cat"
    lone.mkdir(parents=True)
    for path in (photos / "cat").iterdir():
        (lone / path.name).write_bytes(path.read_bytes())
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xfe\x00path")
    return {
        "no such folder": (tmp_path / "foto", "no folder or file"),
        "no images": (empty, "no image"),
        "one class": (lone.parent, "one class"),
        "unreadable csv": (binary, "UTF-8"),
        "wrong columns": (write_csv(tmp_path / "a.csv", [["photos/cat/0.png", "x"]], ("path", "lable")), "label"),
        "missing files": (write_csv(tmp_path / "b.csv", [["gone.png", "x"], ["photos/cat/0.png", "y"]]), "gone.png"),
        "label missing": (write_csv(tmp_path / "c.csv", [["photos/cat/0.png", ""]]), "label"),
    }


@pytest.mark.parametrize(
    "kind",
    ["no such folder", "no images", "one class", "unreadable csv", "wrong columns", "missing files", "label missing"],
)
def test_bad_data_says_so_in_one_line_and_writes_nothing(headstart, photos, tmp_path, kind):
    data, message = bad_data(tmp_path, photos)[kind]
    status, out, error = headstart("compare", data, "--backbones", "mobilenet:random", "--out", "run", "--quiet")
    assert status == 1
    assert message in error, error
    assert len(error.strip().splitlines()) == 1
    assert out == ""
    assert not (tmp_path / "run").exists()


def test_an_output_folder_that_holds_something_else_is_left_alone(headstart, photos, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("precious")
    status, _, error = headstart(
        "compare", photos, "--backbones", "mobilenet:random", "--image-size", "32", "--folds", "2", "--out", "thesis",
        "--quiet",
    )  # fmt: skip
    assert status == 1
    assert "not empty" in error
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter.txt"]


@pytest.mark.parametrize("command", [["predict"], ["report"]])
def test_folders_that_are_no_classifier_or_run_are_refused(headstart, photos, command):
    extra = [photos / "cat"] if command == ["predict"] else []
    status, out, error = headstart(*command, photos, *extra)
    assert status == 1
    assert re.search("is no (classifier|run)", error)
    assert out == ""


def test_csv_has_every_class_so_top_is_refused(headstart, photos):
    status, out, error = headstart("predict", "run", photos, "--csv", "--top", "3")
    assert (status, out) == (2, "")
    assert "Leave out --top" in error


def test_debug_shows_the_traceback(headstart, tmp_path):
    with pytest.raises(Exception, match="no folder or file"):
        headstart("compare", tmp_path / "foto", "--backbones", "mobilenet:random", "--debug")


def test_interruption_exits_with_130(headstart, photos, monkeypatch):
    def interrupt(*arguments, **others):
        raise KeyboardInterrupt

    monkeypatch.setattr("headstart.api.compare", interrupt)
    status, _, error = headstart("compare", photos)
    assert status == 130
    assert "goes on from here" in error


def test_a_package_that_is_not_installed_is_named_with_its_extra(headstart, photos, monkeypatch):
    monkeypatch.setitem(sys.modules, "tomli_w", None)
    monkeypatch.setattr("headstart.api.compare", lambda *a, **o: __import__("tomli_w"))
    status, _, error = headstart("compare", photos)
    assert status == 1
    assert error == "Error: tomli_w is not installed. Install it with: pip install 'headstart[cpu]'\n"


def test_every_command_has_help_with_an_example():
    runner = CliRunner()
    commands = [[], *([name] for name in cli.app.commands)]
    for name, command in cli.app.commands.items():
        commands += [[name, inner] for inner in getattr(command, "commands", {})]
    for arguments in commands:
        result = runner.invoke(cli.app, [*arguments, "--help"])
        assert result.exit_code == 0
        leaf = arguments and not hasattr(cli.app.commands[arguments[0]], "commands")
        assert not leaf or "Example: headstart" in result.output


def test_every_setting_of_compare_is_an_option_with_the_same_default(headstart, monkeypatch):
    given = {}

    def remember(data, settings, **others):
        given["settings"] = settings
        raise KeyboardInterrupt

    monkeypatch.setattr("headstart.api.compare", remember)
    headstart("compare", "photos")
    assert given["settings"] == Settings()
    assert len(options._SETTINGS) == len(Settings.__dataclass_fields__)


def test_help_is_quick_and_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['headstart', 'compare', '--help']; from headstart import cli\n"
        "try:\n    cli.main()\nexcept SystemExit:\n    pass\n"
        "heavy = ('keras', 'tensorflow', 'numpy', 'openvino', 'rich', 'PIL', 'scipy', 'matplotlib')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_backbones_weights_cache_and_doctor_answer(headstart, tmp_path):
    status, out, _ = headstart("backbones")
    assert status == 0
    assert "mobilenet_v2" in out
    assert json.loads(headstart("backbones", "resnet50", "--json")[1])["backbone"]["parameters"] == 23_587_712
    assert len(json.loads(headstart("backbones", "--json")[1])) >= 4
    status, out, _ = headstart("weights", "list", "--weights-dir", tmp_path)
    lines = [line.rstrip() for line in out.splitlines()]
    assert status == 0
    assert lines[1].split(maxsplit=2) == ["mobilenet", "missing", "headstart weights fetch mobilenet"]
    assert [line.split(maxsplit=2)[2] for line in lines if line.startswith("alexnet")] == ["docs/weights.md says how"]
    assert lines[-1].startswith("Or put NAME.weights.h5 into the folder")
    assert json.loads(headstart("cache", "info", "--json")[1])["spaces"] == []
    assert headstart("cache", "clear")[0] == 0
    checks = json.loads(headstart("doctor", "--json")[1])
    assert {check["name"] for check in checks} >= {"headstart", "study", "engine", "cache", "weights"}


def test_weights_verify_tells_a_damaged_file(headstart, tmp_path):
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "mobilenet.weights.h5").write_bytes(b"something else")
    (tmp_path / "w" / "weights.json").write_text(json.dumps({"mobilenet": {"sha256": "0" * 64}}))
    status, out, _ = headstart("weights", "verify", "--weights-dir", "w")
    assert status == 1
    assert "damaged" in out


def test_an_audit_is_printed_and_given_as_json(headstart, photos, tmp_path):
    (photos / "cat" / "words.jpg").write_text("words")
    (photos / "dog" / "again.png").write_bytes((photos / "cat" / "3.png").read_bytes())
    status, out, _ = headstart("audit", photos, "--quiet")
    assert status == 0
    assert re.search(r"class +all\ncat +12\ndog +13\nin all +25", out)
    assert "Pixels: width 12 to 12 (median 12), height 12 to 12 (median 12); 1 different size." in out
    assert "- 1 picture under more than one label" in out
    assert "Set aside: 1\n  cat/words.jpg: text, not an image" in out
    assert "Equal images: 1\n  cat/3.png = dog/again.png" in out
    names = write_csv(tmp_path / "names.csv", [("cat", "Felis")], ("label", "name"))
    status, out, err = headstart("audit", photos, "--json", "--class-names", names)
    found = json.loads(out)
    assert (status, err, found["counts"]) == (0, "", {"all": {"dog": 13, "Felis": 12}})
    assert found["label_conflicts"] == [["cat/3.png", "dog/again.png"]]


def test_an_audit_shows_the_first_dozen_of_each_kind(headstart, photos):
    for number in range(15):
        (photos / "cat" / f"words{number:02}.jpg").write_text("words")
    status, out, _ = headstart("audit", photos, "--quiet")
    assert status == 0
    assert "cat/words11.jpg: text" in out and "cat/words12.jpg: text" not in out
    assert "  and 3 more (--json lists all)" in out


def test_an_audit_lists_what_a_study_would_refuse(headstart, photos, tmp_path):
    (photos / "owl").mkdir()
    (photos / "owl" / "words.jpg").write_text("words")
    status, out, _ = headstart("audit", photos, "--quiet")
    assert status == 0
    assert "- Class 'owl' has no readable image" in out and "Set aside: 1\n  owl/words.jpg: text" in out
    assert re.search(r"owl +0\n", out) and "uneven" not in out
    rows = [("photos/cat/1.png", "cat"), ("photos/dog/1.png", "dog"), ("photos/dog/gone.png", "dog")]
    table = write_csv(tmp_path / "list.csv", rows)
    status, out, _ = headstart("audit", table, "--quiet")
    assert status == 0 and "photos/dog/gone.png: cannot be read: No such file" in out
    status, _, err = headstart("compare", table, "--backbones", "small_cnn", "--quiet")
    assert status == 1 and "1 of 3 files do not exist" in err


def test_run_hands_everything_to_the_python_door(headstart, monkeypatch):
    given = {}

    def remember(recipe, **others):
        given.update(others, recipe=recipe)
        raise KeyboardInterrupt

    monkeypatch.setattr("headstart.api.run", remember)
    settings = ["--set", "train.epochs=1", "--set", "data.limit=20", "--weights-dir", "w", "--out", "r", "--fresh"]
    settings += ["--only", "vgg16-adam-random,vgg16-sgd-random"]
    status, _, _ = headstart("run", "mnist-vgg16", "--data", "photos", *settings, "--quiet")
    assert status == 130
    del given["progress"]
    assert given == {
        "recipe": "mnist-vgg16",
        "data": Path("photos"),
        "overrides": ("train.epochs=1", "data.limit=20"),
        "only": ("vgg16-adam-random", "vgg16-sgd-random"),
        "weights_dir": Path("w"),
        "out": Path("r"),
        "fresh": True,
    }


BAD_RUNS = [
    (["mnist-vgg17"], ["There is no recipe 'mnist-vgg17'. Did you mean 'mnist-vgg16'?"]),
    (["mine.toml"], ["There is no recipe file mine.toml"]),
    (["mnist-vgg16"], ["The recipe mnist-vgg16 needs images. Name their folder: --data DATA."]),
    (["mnist-vgg16", "--set", "train.epoch=5"], ["--set train.epoch: there is no such key. Did you mean 'train.ep"]),
    (
        ["mnist-vgg16", "--set", "train.epochs=0", "--set", "weights"],
        ["--set 'weights' must be KEY=VALUE", "train.epochs must be between 1 and 100000. Received: 0."],
    ),
]


@pytest.mark.parametrize(("arguments", "lines"), BAD_RUNS, ids=lambda value: str(value)[:40])
def test_bad_runs_say_everything_and_write_nothing(headstart, tmp_path, arguments, lines):
    status, out, error = headstart("run", *arguments, "--quiet")
    assert (status, out) == (2, "")
    assert all(line.startswith(f"Error: {start}") for line, start in zip(error.splitlines(), lines, strict=True))
    assert list(tmp_path.iterdir()) == []


def test_recipes_are_listed_one_line_each(headstart):
    status, out, error = headstart("recipes")
    assert (status, error) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == ["recipe", *builtin.names()]
    rows = json.loads(headstart("recipes", "--json")[1])
    assert [row["name"] for row in rows] == list(builtin.names())
    assert all(row["title"] and row["title"] in out for row in rows)


def test_a_recipe_is_printed_as_it_is_written(headstart, tmp_path):
    name = builtin.names()[0]
    text = builtin.path(name).read_text(encoding="utf-8")
    assert headstart("recipes", name) == (0, text, "")
    (tmp_path / "mine.toml").write_text("# no recipe yet\n")
    assert headstart("recipes", "mine.toml") == (0, "# no recipe yet\n", "")
    status, out, error = headstart("recipes", "linnaeus5-mobilnet")
    assert (status, out) == (2, "")
    assert "Did you mean 'linnaeus5-mobilenet'?" in error


def test_a_recipe_as_json_has_every_setting_and_the_layers(headstart, tmp_path):
    (tmp_path / "mine.toml").write_text(SMALL_RECIPE)
    status, out, error = headstart("recipes", "mine.toml", "--json")
    assert (status, error) == (0, "")
    answer = json.loads(out)
    assert [one["head"]["layers"] for one in answer["recipe"]["candidates"]] == [[], ["dense 7"]]
    assert [one["candidate"] for one in answer["candidates"]] == ["small_cnn-none", "small_cnn-7"]
    plain, deep = answer["candidates"]
    assert plain["parameters"]["total"] == sum(row["parameters"] for row in plain["layers"])
    channels = plain["layers"][-1]["parameters"] // 3 - 1
    assert deep["parameters"]["total"] - plain["parameters"]["total"] == (
        (channels + 1) * 7 + 8 * 3 - (channels + 1) * 3
    )
    assert plain["layers"][-1]["output_shape"] == [None, 3]
    assert [phase["trainable"] for phase in plain["phases"]] == plain["parameters"]["per_phase"]
    assert all(one["trainable"] + one["non_trainable"] == one["total"] for one in (*plain["phases"], *deep["phases"]))


SMALL_RECIPE = """
classes = ["a", "b", "c"]
backbone = "small_cnn"
weights = "random"
image_size = 8
train.phases = [{epochs = 1, trainable = "all"}]
grid."head.layers" = [[], ["dense 7"]]
"""


def test_a_broken_recipe_says_all_its_problems_one_line_each(headstart, tmp_path):
    (tmp_path / "bad.toml").write_text('backbone = "mobilnet"\nimage_size = "x"\ntrain.epoch = 5\n[grid]\nepochs = [1]')
    for command in (["run", "bad.toml"], ["recipes", "bad.toml", "--json"]):
        status, out, error = headstart(*command)
        assert (status, out) == (2, "")
        for key in ("image_size must be", "train.epoch: there is no", "grid.epochs: there is no", "mobilnet"):
            assert len([line for line in error.splitlines() if key in line and line.startswith("Error: ")]) == 1
    (tmp_path / "broken.toml").write_text("a = 1\nb = [")
    status, _, error = headstart("recipes", "broken.toml", "--json")
    assert status == 2
    assert re.fullmatch(r"Error: broken\.toml is no TOML: .*line 2.*\n", error)


@pytest.mark.slow
def test_the_main_job_from_the_command_line_to_predictions(headstart, photos, tmp_path):
    settings = ["--backbones", "mobilenet:random", "--learning-rates", "1e-3", "--image-size", "32", "--folds", "2"]
    status, out, error = headstart("compare", photos, *settings, "--epochs", "2", "--out", "run", "--json")
    assert (status, error) == (0, "")
    assert json.loads(out) == json.loads((tmp_path / "run" / "summary.json").read_text())
    (tmp_path / "torn.jpg").write_bytes(b"\xff\xd8\xff")
    files = [photos / "cat" / "0.png", tmp_path / "torn.jpg"]
    status, out, error = headstart("predict", "run/classifier", *files, "--csv")
    rows = list(csv.DictReader(out.splitlines()))
    assert status == 1
    assert [bool(row["error"]) for row in rows] == [False, True]
    assert float(rows[0]["p:cat"]) + float(rows[0]["p:dog"]) == pytest.approx(1, abs=1e-5)
    out = headstart("predict", "run/classifier", files[0], "--json")[1]
    assert len(json.loads(out)[0]["ranked"]) == 2
    out = headstart("predict", "run/classifier", files[0], "--json", "--top", "1")[1]
    assert len(json.loads(out)[0]["ranked"]) == 1
    status, out, _ = headstart("predict", "run/classifier", photos, "--top", "1")
    assert (status, len(out.splitlines())) == (0, 1 + 24)
    assert out.splitlines()[0].split() == ["image", "answer", "classes"]
    assert {line.split()[1] for line in out.splitlines()[1:]} <= {"cat", "dog", "unknown"}
    assert headstart("report", "run")[1].strip().endswith("report.html")


@pytest.mark.slow
def test_the_terminal_is_free_of_library_noise(photos, tmp_path):
    command = [
        sys.executable, "-m", "headstart.cli", "compare", str(photos), "--backbones", "small_cnn,mobilenet:random",
        "--learning-rates", "1e-3", "--image-size", "32", "--folds", "2", "--epochs", "1", "--out", "run", "--quiet",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=dict(os.environ), check=True)
    assert (done.stdout, done.stderr) == ("run\n", "")


@pytest.mark.parametrize("out", ["taken/run", "/proc/headstart-run"])
def test_a_place_that_cannot_be_written_is_said_in_one_line(headstart, photos, tmp_path, out):
    (tmp_path / "taken").write_text("a file")
    settings = ["--backbones", "small_cnn", "--image-size", "8", "--folds", "2", "--quiet"]
    status, _, error = headstart("compare", photos, *settings, "--out", out)
    assert status == 1
    assert len(error.strip().splitlines()) == 1
    assert "fault in headstart" not in error


def test_settings_out_of_range_are_refused_before_anything_is_written(headstart, photos, tmp_path):
    for extra in (["--schedule", "steps", "--schedule-every", "0"], ["--l2", "nan"], ["--schedule-factor", "-1"]):
        status, _, error = headstart("compare", photos, "--backbones", "small_cnn", "--out", "run", *extra)
        assert status == 2
        assert "must be" in error
    assert not (tmp_path / "run").exists()


def test_another_backend_than_tensorflow_is_refused(headstart, photos, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    status, _, error = headstart("compare", photos, "--backbones", "small_cnn", "--quiet")
    assert status == 2
    assert "TensorFlow backend" in error


def test_bf16_is_refused_where_keras_computes_the_features(headstart, photos, monkeypatch):
    monkeypatch.setenv("HEADSTART_ENGINE", "keras")
    settings = ["--backbones", "mobilenet:random", "--precision", "bf16", "--quiet"]
    status, _, error = headstart("compare", photos, *settings)
    assert status == 2
    assert "OpenVINO engine" in error
