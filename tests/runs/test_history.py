"""Runs are found and told in one line each, and one that is broken stops nobody."""

import json
import os
import time

import pytest

from headstart.errors import RunError
from headstart.runs.history import DAMAGED, DONE, UNFINISHED, Headline, find_runs, is_run
from headstart.storage import RUN_MARKER

ACCURACY = {"folds": [0.8, 0.9], "mean": 0.85, "std": 0.05, "ci95": [0.8, 0.9], "last_epoch_mean": 0.84}
SUMMARY = {
    "schema_version": 1,
    "dataset": {"path": "photos", "fingerprint": "f" * 64, "classes": ["a", "b"], "images": 120, "set_aside": 1},
    "candidates": [
        {"id": "small", "cv": {"accuracy": {**ACCURACY, "mean": 0.7, "ci95": None}}},
        {"id": "large", "cv": {"accuracy": ACCURACY}},
        {"id": "broken", "cv": None},
    ],
    "best": "large",
    "recommended": "small",
    "test": {"accuracy": 0.875, "intervals": {"accuracy": [0.69, 0.957]}},
}


def make_run(path, *, hour=0, summary=SUMMARY, title="", log=True):
    """Write the small files of a run that ended at some hour."""
    path.mkdir(parents=True)
    (path / RUN_MARKER).write_text("0" * 64)
    (path / "study.toml").write_text(f'name = ""\ntitle = "{title}"\n\n[data]\nresize = "stretch"\n')
    if log:
        lines = [{"time": f"2026-01-02T{hour:02}:{minute}:00+00:00", "event": "x"} for minute in ("10", "30")]
        (path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if summary is not None:
        (path / "summary.json").write_text(json.dumps(summary))
        (path / "timings.json").write_text(json.dumps({"total_seconds": 12.5}))
    return path


def test_the_headline_is_that_of_the_summary(tmp_path):
    make_run(tmp_path / "runs" / "one", hour=5, title="Flowers")
    [row] = find_runs(tmp_path / "runs")
    assert (row.name, row.folder, row.title, row.state) == ("one", tmp_path / "runs" / "one", "Flowers", DONE)
    assert (row.images, row.classes, row.candidates, row.failed) == (120, 2, 3, 1)
    assert (row.best, row.recommended, row.seconds) == ("large", "small", 12.5)
    assert row.validation == Headline(0.85, (0.8, 0.9))
    assert row.test == Headline(0.875, (0.69, 0.957))
    assert row.finished == "2026-01-02T05:30:00+00:00"


def test_what_a_budget_left_out_did_not_fail(tmp_path):
    left_out = {"id": "dear", "status": "skipped", "cv": None}
    make_run(tmp_path / "run", summary={**SUMMARY, "candidates": [*SUMMARY["candidates"], left_out]})
    [row] = find_runs(tmp_path)
    assert (row.candidates, row.failed) == (4, 1)


def test_the_headline_is_less_what_choosing_adds_and_without_shared_test_images(tmp_path):
    now = {"protocol": {"score_epoch": "last"}, "optimism": {"selection": 0.01}}
    clean = {"candidate": "large", "images": 60, "contaminated": 20, "accuracy": 0.8, "ci95": [0.6, 0.9]}
    other = {**clean, "candidate": "small", "accuracy": 0.1}
    make_run(tmp_path / "run", summary={**SUMMARY, **now, "clean": [other, clean], "recommended": "average"})
    [row] = find_runs(tmp_path)
    assert row.validation == Headline(0.84, pytest.approx((0.79, 0.89)))
    assert (row.test, row.test_images, row.contaminated) == (Headline(0.8, (0.6, 0.9)), 60, 20)
    assert row.recommended == "average"
    none = {**clean, "contaminated": 60, "accuracy": None, "ci95": None}
    make_run(tmp_path / "run2", summary={**SUMMARY, "protocol": {"score_epoch": "best"}, **{"clean": [none]}})
    [row] = [one for one in find_runs(tmp_path) if one.name == "run2"]
    assert (row.test, row.contaminated, row.validation.accuracy) == (None, 60, 0.85)


def test_the_newest_stands_first_and_those_without_a_log_last(tmp_path):
    for name, hour in (("b", 3), ("a", 3), ("new", 9), ("old", 1)):
        make_run(tmp_path / name, hour=hour)
    make_run(tmp_path / "silent", log=False)
    assert [row.name for row in find_runs(tmp_path)] == ["new", "a", "b", "old", "silent"]


def test_runs_are_found_some_folders_deep_but_not_in_runs_hidden_folders_or_behind_links(tmp_path):
    make_run(tmp_path / "a" / "b" / "c" / "deep")
    make_run(tmp_path / "a" / "b" / "c" / "d" / "too-deep")
    make_run(tmp_path / "top")
    make_run(tmp_path / "top" / "inside")
    make_run(tmp_path / ".hidden" / "run")
    (tmp_path / "link").symlink_to(tmp_path / "top", target_is_directory=True)
    (tmp_path / "circle").symlink_to(tmp_path, target_is_directory=True)
    assert {row.name for row in find_runs(tmp_path)} == {"a/b/c/deep", "top"}


def test_a_copy_without_its_hidden_files_is_a_run_too(tmp_path):
    (make_run(tmp_path / "run") / RUN_MARKER).unlink()
    assert is_run(tmp_path / "run") and not is_run(tmp_path)
    assert [row.state for row in find_runs(tmp_path)] == [DONE]


def test_a_study_that_is_not_finished_says_so(tmp_path):
    make_run(tmp_path / "run", summary=None, title="Still at it", hour=4)
    [row] = find_runs(tmp_path)
    assert (row.state, row.title, row.reason) == (UNFINISHED, "Still at it", "")
    assert row.finished == "2026-01-02T04:30:00+00:00"
    assert row.best is row.test is row.images is None


def without(name):
    return {key: value for key, value in SUMMARY.items() if key != name}


DAMAGES = {
    "cut short": ('{"schema_version": 1, "data', "cannot be read"),
    "no json": ("words", "cannot be read"),
    "another kind": ("[1, 2]", "cannot be read"),
    "a number": ("7", "cannot be read"),
    "binary": (b"\xff\xfe\x00\x01", "cannot be read"),
    "a key missing": (json.dumps(without("test")), "'test'"),
    "no such best": (json.dumps({**SUMMARY, "best": "nobody"}), "a candidate is missing"),
    "a failed best": (json.dumps({**SUMMARY, "best": "broken"}), "cannot be read"),
    "too new": (json.dumps({**SUMMARY, "schema_version": 2}), "reads up to 1"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_run_says_why_and_stops_nobody(tmp_path, kind):
    content, reason = DAMAGES[kind]
    broken = make_run(tmp_path / "broken", hour=9)
    (broken / "summary.json").write_bytes(content.encode() if isinstance(content, str) else content)
    make_run(tmp_path / "sound", hour=8)
    damaged, sound = find_runs(tmp_path)
    assert (damaged.name, damaged.state) == ("broken", DAMAGED)
    assert reason in damaged.reason and "\n" not in damaged.reason
    assert damaged.best is damaged.test is None
    assert sound.state == DONE


def test_small_files_that_are_missing_or_damaged_cost_only_what_they_say(tmp_path):
    path = make_run(tmp_path / "run")
    (path / "study.toml").write_text("title = ")
    (path / "timings.json").write_text("{}")
    (path / "log.jsonl").write_text('{"time": "2026-01-02T03:04:05+00:00", "event": "x"}\n[]\n{"time": 3}\n{"ti')
    [row] = find_runs(tmp_path)
    assert (row.state, row.title, row.seconds) == (DONE, "", None)
    assert row.finished == "2026-01-02T03:04:05+00:00"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_passed_over(tmp_path):
    make_run(tmp_path / "sound")
    shut = tmp_path / "shut"
    shut.mkdir()
    shut.chmod(0)
    try:
        assert [row.name for row in find_runs(tmp_path)] == ["sound"]
    finally:
        shut.chmod(0o700)


def test_a_folder_without_runs_has_none_and_no_folder_is_an_error(tmp_path):
    (tmp_path / "words.txt").write_text("words")
    assert find_runs(tmp_path) == ()
    for path in (tmp_path / "nowhere", tmp_path / "words.txt"):
        with pytest.raises(RunError, match="There is no folder"):
            find_runs(path)


def test_hundreds_of_runs_are_listed_quickly(tmp_path):
    long = {**SUMMARY, "comparison": [{"a": "large", "b": "small", "p_value": 1 / (3 + n)} for n in range(2000)]}
    for number in range(300):
        make_run(tmp_path / f"{number:03}", summary=long)
    assert (tmp_path / "000" / "summary.json").stat().st_size > 80_000
    start = time.process_time()
    rows = find_runs(tmp_path)
    assert len(rows) == 300 and {row.state for row in rows} == {DONE}
    assert time.process_time() - start < 5
