"""What a corrected list changed: against a made-up earlier run, and through two real studies."""

import dataclasses
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from headstart import api
from headstart.data.images import ImageRow
from headstart.errors import RunError
from headstart.evaluation.significance import paired_interval
from headstart.recipe import Candidate, DataRules, Protocol, Recipe
from headstart.recipe.writer import to_toml
from headstart.runs.folder import DoubtRow, PredictionBlock, RunFolder
from headstart.study import changes as module
from headstart.study import study
from headstart.study.changes import OTHERWISE, Earlier, changes


def row(number, label, split="test", sha256=None, status="ok"):
    return ImageRow(f"{number}.jpg", label, sha256 or f"{number:064d}", 9, 9, status, "", "", split)


def block(rows, right):
    """Return predictions of rows of the classes a and b: right, or not."""
    labels = np.array(["ab".index(one.label) for one in rows])
    said = np.where(right, labels, 1 - labels)
    return PredictionBlock("m", "test", None, None, tuple(one.path for one in rows), labels, np.eye(2)[said], np.eye(2))


def made_up(monkeypatch, before, was, after, now, rules, study=""):
    """Return the changes between two runs, given the rows of each and who is right of its test images."""
    said = []
    recipe = Recipe((Candidate("mobilenet"),), rules)
    tested = [place for place, one in enumerate(after) if one.split == "test"]
    case = SimpleNamespace(
        best="m",
        plan=SimpleNamespace(recipe=recipe, table=SimpleNamespace(rows=after)),
        parts=SimpleNamespace(rows=after, test=np.array(tested, np.int64)),
        place=SimpleNamespace(folder=RunFolder(Path("here")), progress=SimpleNamespace(say=said.append)),
        test_of=lambda name: block([after[place] for place in tested], now),
    )
    tested_before = block([one for one in before if one.split == "test"], was)
    earlier = Earlier({one.path: one for one in before}, tested_before, study or to_toml(recipe))
    monkeypatch.setattr(module, "_earlier", lambda folder: earlier)
    return changes(case), said


RULES = DataRules(remove=("0.jpg", "1.jpg"), relabel={"2.jpg": "b"}, corrected_from="runs/before")


def test_only_images_that_both_tested_with_one_content_and_label_count(monkeypatch):
    before = [
        row(0, "a", "train"), row(1, "a", "excluded", status="set_aside"), row(2, "a", "train"),
        row(3, "a"), row(4, "b"), row(5, "a"), row(6, "b"), row(7, "a"), row(8, "b", "train"),
    ]  # fmt: skip
    after = [
        row(0, "a", "excluded", status="set_aside"), row(2, "b", "train"),
        row(3, "a"), row(4, "b"), row(5, "b"), row(6, "b", sha256="f" * 64), row(7, "a"), row(8, "b"),
    ]  # fmt: skip
    found, _ = made_up(
        monkeypatch, before, [True, False, True, True, False], after, [True, True, True, True, True, False], RULES
    )
    assert (found.previous, found.removed, found.relabelled, found.images) == ("before", 1, 1, 3)
    assert (found.accuracy_before, found.accuracy_now) == (pytest.approx(1 / 3), 1.0)
    assert found.difference_ci95 == paired_interval(2, 0, 3)
    assert found.sentence.startswith("Against before, 1 image was left out and 1 relabelled. Of the 3 test images")


@pytest.mark.parametrize(("gained", "words"), [(0, "chance alone may explain that"), (30, "more than chance explains")])
def test_the_sentence_says_whether_chance_explains_it(monkeypatch, gained, words):
    rows = [row(number, "ab"[number % 2]) for number in range(100)]
    was, now = np.arange(100) >= 40, np.arange(100) >= 40 - gained
    found, _ = made_up(monkeypatch, rows, was, rows, now, RULES)
    assert words in found.sentence
    assert f"60.0 % were right before and {60 + gained:.1f} % are now (difference {gained:.1f} points" in found.sentence


def test_without_common_test_images_there_is_no_accuracy(monkeypatch):
    found, _ = made_up(monkeypatch, [row(0, "a")], [True], [row(1, "a")], [True], RULES)
    assert (found.images, found.accuracy_before, found.accuracy_now, found.difference_ci95) == (0, None, None, None)
    assert found.sentence.endswith("have no test image in common.")


def test_only_what_the_list_relabelled_counts(monkeypatch):
    before = [row(2, "a"), row(3, "a"), row(4, "b"), row(5, "a"), row(6, "b")]
    after = [row(2, "b"), row(3, "b", sha256="f" * 64), row(4, "b"), row(5, "b"), row(6, "b")]
    rules = DataRules(relabel={f"{number}.jpg": "b" for number in (2, 3, 4, 9)}, corrected_from="runs/before")
    found, _ = made_up(monkeypatch, before, [True] * 5, after, [True] * 5, rules)
    assert (found.removed, found.relabelled) == (0, 1)


@pytest.mark.parametrize(
    ("earlier", "differs"),
    [
        (Recipe((Candidate("mobilenet"),), title="another", name="other", source="x"), False),
        (Recipe((Candidate("mobilenet"),), DataRules(remove=("9.jpg",), corrected_from="runs/first")), False),
        (Recipe((Candidate("mobilenet_v2"),)), True),
        (Recipe((Candidate("mobilenet"),), protocol=Protocol(seed=1)), True),
        (Recipe((Candidate("mobilenet"),), DataRules("pad")), True),
    ],
)
def test_the_list_is_not_blamed_for_other_settings(monkeypatch, earlier, differs):
    rows = [row(number, "ab"[number % 2]) for number in range(10)]
    found, _ = made_up(monkeypatch, rows, [True] * 10, rows, [True] * 10, RULES, to_toml(earlier))
    assert found.sentence.endswith(OTHERWISE) == differs


@pytest.mark.parametrize("source", ["", "here"])
def test_a_study_without_an_earlier_run_has_no_changes(monkeypatch, source):
    rules = DataRules(remove=("0.jpg",), corrected_from=source)
    assert made_up(monkeypatch, [row(0, "a")], [True], [row(0, "a")], [True], rules) == (None, [])


def test_an_earlier_run_that_cannot_be_read_is_told(tmp_path):
    said = []
    case = SimpleNamespace(
        plan=SimpleNamespace(recipe=SimpleNamespace(data=DataRules(corrected_from=str(tmp_path)))),
        place=SimpleNamespace(folder=RunFolder(Path("here")), progress=SimpleNamespace(say=said.append)),
    )
    with pytest.raises(RunError):
        RunFolder(tmp_path).summary()
    assert changes(case) is None
    assert said == [f"The run {tmp_path} cannot be read, so what the corrections changed is not shown."]


def test_an_edited_list_of_a_real_run_changes_the_next_one(finished, tmp_path, monkeypatch):
    earlier = RunFolder(finished.result.folder)
    train = [one for one in earlier.images() if one.split == "train"]
    blue, green, red = (next(one for one in train if one.label == label) for label in ("blue", "green", "red"))
    edited = (
        DoubtRow(blue.path, "blue", "red", 0.9, "drop"),
        DoubtRow(green.path, "green", "red", 0.8, "relabel"),
        DoubtRow(red.path, "red", "blue", 0.7, "keep"),
    )
    copy = tmp_path / "before"
    shutil.copytree(earlier.path, copy)
    (copy / "doubts.csv").unlink(missing_ok=True)
    RunFolder(copy).write_doubts(edited)
    caught = []
    gather = study.gather
    monkeypatch.setattr(
        study, "gather", lambda case, *more, **named: (caught.append(changes(case)), gather(case, *more, **named))[1]
    )
    monkeypatch.setenv("HEADSTART_CACHE", str(finished.cache))
    settings = dataclasses.replace(finished.settings, drop=copy / "doubts.csv")
    result = api.compare(finished.data, settings, out=tmp_path / "after")
    rows = {one.path: one for one in RunFolder(result.folder).images()}
    assert (rows[blue.path].split, rows[blue.path].reason) == ("excluded", "removed by list")
    assert (rows[green.path].label, rows[red.path].label) == ("red", "red")
    [found] = caught
    assert (found.previous, found.removed, found.relabelled) == ("before", 1, 1)
    assert str(tmp_path) not in (result.folder / "summary.json").read_text()
    assert OTHERWISE not in found.sentence
    tested = {one.path for one in rows.values() if one.split == "test"}
    assert found.images == len(tested & {one.path for one in earlier.images() if one.split == "test"})
    assert found.accuracy_now == pytest.approx(result.summary.test.accuracy, abs=0.2)
    kept = [one for one in RunFolder(result.folder).doubts() if one.action == "keep"]
    assert kept == [DoubtRow(red.path, "red", "", None, "keep")]
