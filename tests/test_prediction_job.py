"""``headstart predict`` from outside: every form, bad files, lists, copies, and a watch that a signal ends."""

import csv
import functools
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from headstart import prediction_job, terminal
from headstart.classifier import predict, tables

from .classifier.conftest import save_birds


@pytest.fixture(scope="module")
def birds(tmp_path_factory):
    return save_birds(tmp_path_factory.mktemp("run") / "classifier")


@pytest.fixture
def headstart(headstart):
    """Run ``headstart predict``."""
    return functools.partial(headstart, "predict")


@pytest.fixture
def photos(tmp_path):
    """A dozen small pictures of all colours in two folders, with equal names."""
    random = np.random.default_rng(0)
    for number in range(12):
        folder = tmp_path / "photos" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        colour = random.integers(0, 256, 3)
        Image.fromarray(np.full((12, 12, 3), colour, np.uint8)).save(folder / f"{number // 2}.png")
    return tmp_path / "photos"


def files_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def in_short(predictions, classes):
    return terminal.answers_in_short(Counter(str(one.answer) for one in predictions), classes, unread=0) + "\n"


def test_every_form_says_the_same(headstart, birds, photos, tmp_path):
    model = predict.load(birds)
    expected = model.predict([photos / name for name in files_below(photos)])
    status, out, error = headstart(birds, photos, "--csv")
    assert (status, out) == (0, "".join(tables.csv_lines(expected, model.classes)))
    assert error == in_short(expected, model.classes)
    as_json = "".join(tables.json_pieces(expected, top=2))
    assert headstart(birds, photos / "a", photos / "b", "--json", "--top", 2)[1:] == (as_json + "\n", "")
    status, out, error = headstart(birds, "photos/**/*.png", "--top", 1)
    assert error == in_short(expected, model.classes)
    assert headstart(birds, "photos", "--quiet")[2] == headstart(birds, photos / "a" / "0.png")[2] == ""
    lines = out.splitlines()
    assert lines[0].split() == ["image", "answer", "classes"]
    assert [line.split("  ")[0] for line in lines[1:]] == [f"photos/{name}" for name in files_below(photos)]
    assert all(f"{one.answer}  " in line for one, line in zip(expected, lines[1:], strict=True))
    assert all(f"{one.ranked[0].probability:.1%}" in line for one, line in zip(expected, lines[1:], strict=True))
    parquet = pytest.importorskip("pyarrow.parquet")
    status, out, error = headstart(birds, photos, "--parquet", "out.parquet")
    assert (status, out, error) == (0, "out.parquet\n", in_short(expected, model.classes))
    found = parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row["answer"] for row in found] == [one.answer for one in expected]


def test_a_bad_file_is_a_row_and_the_rest_goes_on(headstart, birds, photos):
    (photos / "a" / "0.png").write_bytes(b"")
    (photos / "a" / "1.png").write_bytes((photos / "a" / "2.png").read_bytes()[:-30])
    status, out, error = headstart(birds, "-", "--csv", "--quiet", listed=b"photos/a\nphotos/none.png\n")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert (status, error) == (1, "")
    reasons = ["empty file", "truncated PNG", *[""] * 4, "No such file or directory"]
    assert [row["error"] for row in rows] == reasons
    assert [bool(row["answer"]) for row in rows] == [not reason for reason in reasons]


def test_a_misspelt_path_is_a_row_and_the_rest_goes_on(headstart, birds, photos):
    status, out, error = headstart(birds, "photos/a/o.png", "photos/a/1.png", "photos/*.jpg", "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["path"] for row in rows] == ["photos/a/o.png", "photos/a/1.png", "photos/*.jpg"]
    assert rows[0]["error"].startswith("There is no file or folder photos/a/o.png. Did you mean '")
    assert rows[2]["error"].startswith("Nothing matches photos/*.jpg.")
    assert (status, bool(rows[1]["answer"]), rows[1]["error"]) == (1, True, "")
    assert error.startswith("3 images: ") and error.endswith(" (1), unreadable (2).\n")
    status, out, error = headstart(birds, "photos/a/o.png", "photos/*.jpg")
    assert (status, out) == (2, "") and "There is no file or folder photos/a/o.png." in error


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names")
def test_names_are_written_as_they_are_and_shown_as_they_can_be(birds, photos, capsys):
    odd = photos / "a" / "\x1b[31mred\nline.png"
    (photos / "a" / "0.png").rename(odd)

    def printed(**choices):
        prediction_job.run(birds, [photos], prediction_job.Choices(**choices))
        return capsys.readouterr().out

    assert str(odd) in [row["path"] for row in csv.DictReader(io.StringIO(printed(as_csv=True), newline=""))]
    assert str(odd) in [row["path"] for row in json.loads(printed(as_json=True))]
    table = printed()
    assert len(table.splitlines()) == 13 and r"\x1b[31mred\nline.png  " in table


def test_copies_by_answer_are_not_classified_again(headstart, birds, photos):
    status, out, error = headstart(birds, photos, "--sort-into", photos / "sorted", "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert (status, error.splitlines()[:-1]) == (0, [f"Copied 12 images into {photos / 'sorted'}."])
    folder = {"jay | magpie": "jay _ magpie"}
    expected = sorted(folder.get(row["answer"], row["answer"]) for row in rows)
    copies = files_below(photos / "sorted")
    assert sorted(copy.split("/")[0] for copy in copies) == expected
    status, again, error = headstart(birds, photos, "--sort-into", photos / "sorted", "--csv")
    assert again == out
    assert error.splitlines()[:-1] == [f"Copied 0 images into {photos / 'sorted'}; 12 have an equal copy there."]
    assert files_below(photos / "sorted") == copies
    status, _, error = headstart(birds, photos / "sorted", "--sort-into", photos / "sorted")
    assert status == 2 and "Choose a --sort-into outside of it" in error


def test_a_place_that_cannot_be_written_is_one_line(headstart, birds, photos, tmp_path):
    (tmp_path / "out").mkdir()
    for name in ("crow", "jay _ magpie", "no", "unknown"):
        (tmp_path / "out" / name).write_text("a file where a folder must be")
    status, _, error = headstart(birds, photos, "--sort-into", "out")
    assert status == 1
    assert len(error.splitlines()) == 1 and "Cannot use out/" in error


def test_a_parquet_file_takes_the_place_of_no_other(headstart, photos):
    """Said before the classifier is looked for: --json and --csv take no file, so an image is named here easily."""
    image = photos / "a" / "0.png"
    before = image.read_bytes()
    status, out, error = headstart("no classifier", photos, "--parquet", image)
    assert (status, out) == (2, "") and "0.png is there already and is no Parquet file. Name another" in error
    assert image.read_bytes() == before
    assert "is a folder" in headstart("no classifier", photos, "--parquet", photos)[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Name the images"),
        (["photos", "--csv", "--json"], "--json and --csv exclude each other"),
        (["photos", "--csv", "--parquet", "x"], "--csv and --parquet exclude each other"),
        (["photos", "--csv", "--top", "2"], "--csv has a column for every class"),
        (["photos", "--parquet", "x", "--top", "2"], "--parquet has a column for every class"),
        (["--watch", "photos", "--parquet", "x"], "--watch does not end"),
        (["--watch", "nowhere"], "There is no folder nowhere"),
        (["nowhere/*.jpg"], "Nothing matches"),
        (["-"], "There are no files in -"),
    ],
)
def test_wrong_usage_is_said(headstart, birds, photos, arguments, message):
    status, out, error = headstart(birds, *arguments)
    assert (status, out) == (2, "")
    assert message in error


def test_a_screen_shows_rows_and_no_bar(birds, photos, monkeypatch, capsys):
    monkeypatch.setattr(prediction_job, "WORTH_A_BAR", 1)
    prediction_job.run(birds, [photos], prediction_job.Choices())
    assert "Predicting: 12 images" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    prediction_job.run(birds, [photos], prediction_job.Choices())
    assert capsys.readouterr().err.startswith("12 images: ")


@pytest.fixture
def watch():
    """Start a watch in a process of its own; it is killed if the test does not end it."""
    started = []

    def start(*arguments):
        command = [sys.executable, "-m", "headstart.cli", "predict", *map(str, arguments)]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command, env={**os.environ, "PYTHONUNBUFFERED": "1"}, **options))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ended(process, number):
    process.send_signal(number)
    out, error = process.communicate(timeout=30)
    return process.returncode, out, error


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_watch_answers_new_files_until_a_signal(watch, birds, photos, tmp_path, number):
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "old.png").write_bytes((photos / "a" / "0.png").read_bytes())
    watching = watch(birds, photos / "b", "--watch", tmp_path / "inbox", "--sort-into", tmp_path / "s", "--json")
    lines = [json.loads(watching.stdout.readline()) for _ in range(6)]
    assert [line["path"] for line in lines] == [str(photos / "b" / f"{number}.png") for number in range(6)]
    (tmp_path / "inbox" / "new.png").write_bytes((photos / "a" / "0.png").read_bytes())
    (tmp_path / "inbox" / "bad.png").write_bytes(b"text")
    rows = sorted((json.loads(watching.stdout.readline()) for _ in range(2)), key=lambda row: row["path"])
    assert [(row["path"].rpartition("/")[2], row["error"]) for row in rows] == [
        ("bad.png", "text, not an image"),
        ("new.png", None),
    ]
    assert ended(watching, number) == (0, "", "")
    assert len(files_below(tmp_path / "s")) == 7
    expected = predict.load(birds).predict([tmp_path / "inbox" / "new.png"])[0].answer
    assert rows[1]["answer"] == expected


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_watch_that_waits_ends_at_once(watch, birds, tmp_path):
    watching = watch(birds, "--watch", tmp_path, "--csv")
    assert watching.stdout.readline().startswith("path,predicted")
    start = time.monotonic()
    assert ended(watching, signal.SIGINT) == (0, "", "Stopped after 0 images.\n")
    assert time.monotonic() - start < 10


def test_matrix_products_stay_on_their_worker(birds, photos):
    """The command line says so before NumPy is imported; what the user said wins."""
    code = (
        "import os, sys\nfrom headstart import cli\n"
        f"sys.argv = ['headstart', 'predict', {str(birds)!r}, {str(photos)!r}, '--json']\n"
        "cli.main()\nprint(os.environ['OPENBLAS_NUM_THREADS'], file=sys.stderr)"
    )
    for chosen in ("1", "3"):
        environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
        environment |= {"OPENBLAS_NUM_THREADS": chosen} if chosen != "1" else {}
        run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert run.stderr.split() == [chosen]
