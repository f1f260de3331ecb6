import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from headstart.data.audit import Audit, Leak, SetAside
from headstart.data.table import ImageRow
from headstart.errors import RunError
from headstart.evaluation.metrics import evaluate, fold_values
from headstart.evaluation.results import (
    CandidateResult,
    CrossValidation,
    DatasetSummary,
    FinalResult,
    ParameterCounts,
    ProtocolSummary,
)
from headstart.evaluation.summary import Summary
from headstart.runs.folder import (
    CandidateTiming,
    Environment,
    FeatureTiming,
    FoldRow,
    HistoryRow,
    PictureRow,
    PredictionBlock,
    ResultRow,
    RunFolder,
    Timings,
)

IMAGES = (
    ImageRow("a/1.jpg", "a", "0" * 64, 20, 10, "ok", "", "", "train"),
    ImageRow("b/x,y.jpg", "b", "1" * 64, 0, 0, "set_aside", "cut short", "series 1", "excluded"),
)
ENVIRONMENT = Environment(
    "0.1.0", "3.11", "Linux", "x86", 2, None, "tensorflow", "openvino", "headstart demo", {"keras": "3.15.1"}
)
AUDIT = Audit((SetAside("b/x,y.jpg", "cut short"),), (("a", "b"),), (), (("a", "b"),), (), {"train": {"a": 1}}, ("w",))
TIMINGS = Timings(
    3.0,
    None,
    4.5,
    {"features": 2.5},
    {"mobilenet": FeatureTiming(5, 1.0, 5.0, 0)},
    {"m": CandidateTiming(1.5, None, 3.25)},
)
HISTORY = (
    HistoryRow("m", 0, 0, 1, 1, 1e-3, 0.5, 0.75, val_loss=0.625, val_accuracy=0.5),
    HistoryRow("m", None, None, 1, 1, 1e-3, 0.25, 1.0),
)


def summary():
    values = fold_values([0.5, 1.0], [0.5, 0.5])
    test = evaluate(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), ["a", "b"])
    candidates = (
        CandidateResult(
            "m", "mobilenet", "h", "c", {"epochs": 2, "head": {"dense": [1]}}, "done", None,
            ParameterCounts(1, 2, 3, (1,)), 12, CrossValidation(values, values, values, values, (1, 2)),
        ),
        CandidateResult("r", "resnet50", "h", "c", {}, "failed", "no memory", None, None, None),
    )  # fmt: skip
    return Summary(
        dataset=DatasetSummary("data", "f" * 64, ("a", "b"), 3, 0, {"test": {"a": 1, "b": 2}}),
        protocol=ProtocolSummary("folds", 2, 1, "accuracy", "per_backbone", 0, 1),
        candidates=candidates,
        best="m",
        recommended="m",
        finals=(FinalResult("m", 2, test, None, test),),
        test=test,
        verdict="m is best.",
    )


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.write_study("seed = 0\n")
    folder.write_summary(summary())
    return folder


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("study", "seed = 0\n# Größe\n"),
        ("environment", ENVIRONMENT),
        ("images", IMAGES),
        ("folds", (FoldRow(0, 1, "a/1.jpg"), FoldRow(1, 0, "b,c"))),
        ("audit", AUDIT),
        ("audit", dataclasses.replace(AUDIT, leaks=(Leak("exact", ("a", "b"), ("train", "test")),))),
        ("results", (ResultRow("m", 0, 1, "done", 3, 5, 0.9, 0.1, 1.0, 0.0, 0.8, 0.2),)),
        ("results", (ResultRow("m", 0, 1, "failed", *[None] * 8),)),
        ("history", HISTORY),
        ("summary", summary()),
        ("timings", TIMINGS),
    ],
)
def test_what_is_written_is_read(folder, name, value):
    getattr(folder, f"write_{name}")(value)
    assert getattr(folder, name)() == value


def test_final_trainings_say_so_in_the_history(folder):
    folder.write_history(HISTORY)
    lines = (folder.path / "history.csv").read_text().splitlines()
    measures = "loss,accuracy,precision,recall,top_k"
    validation = ",".join(f"val_{name}" for name in measures.split(","))
    assert lines[0] == f"candidate,repeat,fold,phase,epoch,learning_rate,{measures},{validation}"
    assert lines[1] == "m,0,0,1,1,0.001,0.5,0.75,,,,0.625,0.5,,,"
    assert lines[2] == "m,,final,1,1,0.001,0.25,1.0,,,,,,,,"


def test_images_have_the_columns_of_the_design(folder):
    folder.write_images(IMAGES)
    header = (folder.path / "images.csv").read_text().splitlines()[0]
    assert header == "path,label,sha256,width,height,status,reason,group,split"


def test_summary_holds_null_and_never_nan(folder):
    diverged = dataclasses.replace(summary().candidates[0].cv, loss=fold_values([np.nan, 1.0], [np.inf, 1.0]))
    candidate = dataclasses.replace(summary().candidates[0], cv=diverged)
    folder.write_summary(dataclasses.replace(summary(), candidates=(candidate,)))
    plain = json.loads((folder.path / "summary.json").read_text())
    assert plain["candidates"][0]["cv"]["loss"]["folds"] == [None, 1.0]
    assert plain["test"]["per_class"][0]["class"] == "a"
    assert np.isnan(folder.summary().candidates[0].cv.loss.mean)


def test_predictions_come_back(folder):
    labels, shares = np.array([0, 1]), np.array([[0.75, 0.25], [0.5, 0.5]])
    folder.write_predictions([PredictionBlock("m", "test", None, None, ("p", "q"), labels, shares, shares)], ["a", "b"])
    (block,) = folder.predictions(parts=["test"])
    assert block.paths == ("p", "q") and np.array_equal(block.probabilities, shares)


def test_pictures_come_back(folder):
    assert folder.pictures() == ()
    rows = [PictureRow("sample", 0, "a/1.jpg", "a"), PictureRow("mistake", 0, "b/2.jpg", "b", "a", 0.75)]
    rows.append(PictureRow("augmentation", 0, "a/1.jpg", "a", operation="flip + zoom 0.2"))
    folder.write_pictures(zip(rows, (b"one", b"two", b"three"), strict=True))
    assert folder.pictures() == tuple(rows)
    assert [folder.picture_bytes(row) for row in rows] == [b"one", b"two", b"three"]


def test_log_grows_and_survives_a_torn_line(folder):
    folder.log("started", seed=0)
    with (folder.path / "log.jsonl").open("a") as stream:
        stream.write('[1, 2]\n3\nnull\n"text"\n{"time": "2024')
    folder.log("test set opened", finalists=["m"], opening=1)
    entries = folder.log_entries()
    assert [entry.event for entry in entries] == ["started", "test set opened"]
    assert entries[1].details == {"finalists": ["m"], "opening": 1}
    assert entries[0].time.endswith("+00:00")


def test_a_run_is_complete_with_summary_report_and_classifier(folder):
    assert not folder.complete
    assert folder.write_report("<!doctype html>") == folder.path / "report.html"
    assert not folder.complete
    folder.classifier.mkdir()
    assert folder.complete


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: path.rename(path.with_name("moved")), "There is no folder"),
        (lambda path: (path / "study.toml").unlink() or (path / "summary.json").unlink(), "is no run of headstart"),
        (lambda path: (path / "summary.json").unlink(), "not finished. Give the same command again"),
        (lambda path: (path / "summary.json").write_text('{"schema_version": 2}'), "has schema version 2"),
        (lambda path: (path / "summary.json").write_text('{"schema_version": 1'), "is damaged"),
        (lambda path: (path / "summary.json").write_text('{"best": "m"}'), "is damaged"),
        (lambda path: (path / "summary.json").write_text("[]"), "is damaged"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(folder, change, words):
    change(folder.path)
    with pytest.raises(RunError, match=words) as caught:
        folder.summary()
    assert "\n" not in str(caught.value)


def test_a_missing_file_of_a_finished_run_is_named(folder):
    with pytest.raises(RunError, match=r"timings\.json is missing"):
        folder.timings()


def test_a_claimed_folder_goes_on_and_starts_fresh(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with folder.claim("a" * 64) as finished:
        assert not finished
        folder.log("test set opened")
        folder.jobs.mkdir()
        folder.classifier.mkdir()
        folder.write_summary(summary())
        folder.write_report("page")
    with folder.claim("a" * 64) as finished:
        assert finished and folder.jobs.exists()
    with folder.claim("a" * 64, fresh=True) as finished:
        assert not finished and not folder.jobs.exists()
    assert [entry.event for entry in folder.log_entries()] == ["test set opened"]


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("Dear")
    (tmp_path / "file").write_text("")
    with RunFolder(tmp_path / "other").claim("b" * 64):
        pass
    for name, words in (("letters", "holds no run"), ("file", "is a file"), ("other", "holds another study")):
        with pytest.raises(RunError, match=words), RunFolder(tmp_path / name).claim("a" * 64, fresh=True):
            pass
    assert [path.name for path in (tmp_path / "letters").iterdir()] == ["dear.txt"]


def test_only_one_process_works_in_a_folder(tmp_path):
    program = (
        "import sys, pathlib; from headstart.runs.folder import RunFolder\n"
        "with RunFolder(pathlib.Path(sys.argv[1])).claim('a' * 64): pass"
    )
    with RunFolder(tmp_path).claim("a" * 64):
        second = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=False)
    assert "RunError: Another headstart is working in" in second.stderr
