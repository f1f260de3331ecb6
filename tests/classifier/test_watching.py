"""A watched folder: new files once they are whole."""

import os
import shutil

import pytest

from headstart.classifier import watching
from headstart.classifier.watching import Watch
from headstart.errors import UsageError


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand, in seconds."""
    times = [0.0]
    monkeypatch.setattr(watching.time, "monotonic", lambda: times[0])
    return times


def looks(watch, clock, seconds):
    clock[0] += seconds
    return [path.name for path in watch.look()]


def test_a_file_is_new_once_it_has_stopped_growing(tmp_path, clock):
    (tmp_path / "old.jpg").write_bytes(b"old")
    watch = Watch(tmp_path)
    assert looks(watch, clock, 5) == []
    with (tmp_path / "new.jpg").open("wb", buffering=0) as stream:
        for _ in range(4):
            stream.write(b"more")
            assert looks(watch, clock, 0.9) == []
    assert looks(watch, clock, 0.5) == []
    assert looks(watch, clock, 0.5) == ["new.jpg"]
    assert looks(watch, clock, 5) == []


def test_a_file_that_changes_is_new_again(tmp_path, clock):
    (tmp_path / "x.jpg").write_bytes(b"half")
    watch = Watch(tmp_path, settled=0)
    (tmp_path / "x.jpg").write_bytes(b"half and half")
    assert looks(watch, clock, 1) == ["x.jpg"]
    os.utime(tmp_path / "x.jpg", (1, 1))
    assert looks(watch, clock, 1) == ["x.jpg"]
    (tmp_path / "x.jpg").unlink()
    assert looks(watch, clock, 1) == []
    (tmp_path / "x.jpg").write_bytes(b"half and half")
    assert looks(watch, clock, 1) == ["x.jpg"]


def test_empty_files_have_time_to_be_filled(tmp_path, clock):
    watch = Watch(tmp_path)
    (tmp_path / "empty.jpg").touch()
    assert looks(watch, clock, 0) == looks(watch, clock, 5) == []
    assert looks(watch, clock, 5) == ["empty.jpg"]


def test_hidden_unfinished_and_left_out_files_are_passed_over(tmp_path, clock):
    watch = Watch(tmp_path, leave_out=tmp_path / "sorted", settled=0)
    for name in (".x.jpg", "x.jpg.part", "x.jpg.crdownload", "sorted/x.jpg", "deep/down/x.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert looks(watch, clock, 1) == ["x.jpg"]
    (tmp_path / "x.jpg.part").rename(tmp_path / "y.jpg")
    assert looks(watch, clock, 1) == ["y.jpg"]


def test_files_that_are_answered_otherwise_are_known(tmp_path, clock):
    watch = Watch(tmp_path, settled=0)
    (tmp_path / "x.jpg").write_bytes(b"x")
    watch.know([tmp_path / "." / "x.jpg", tmp_path / "nowhere.jpg"])
    assert looks(watch, clock, 1) == []


def test_folders_that_come_and_go(tmp_path, clock):
    watch = Watch(tmp_path / ".", settled=0)
    (tmp_path / "day").mkdir()
    (tmp_path / "day" / "x.jpg").write_bytes(b"x")
    assert looks(watch, clock, 1) == ["x.jpg"]
    shutil.rmtree(tmp_path / "day")
    assert looks(watch, clock, 1) == []
    shutil.rmtree(tmp_path)
    with pytest.raises(UsageError, match="is gone"):
        watch.look()
    with pytest.raises(UsageError, match="There is no folder"):
        Watch(tmp_path)


def test_a_watch_ends_when_it_is_told(tmp_path):
    (tmp_path / "x.jpg").write_bytes(b"x")
    watch = Watch(tmp_path, interval=0.01, settled=0)
    (tmp_path / "y.jpg").write_bytes(b"y")
    answers = iter([False, False, True, True])
    assert [[path.name for path in files] for files in watch.batches(lambda: next(answers))] == [["y.jpg"]]
