"""Copies by answer: never moved, never overwritten, never twice."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from headstart.classifier.prediction import Prediction
from headstart.classifier.sorting import Sorter, check_apart, folder_names
from headstart.errors import UsageError


def files_in(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def said(path, answer):
    return Prediction(str(path), answer, (), None, None if answer else "empty file")


@pytest.fixture
def named_alike(tmp_path):
    """Five files with one name, two of them equal."""
    contents = (b"one", b"two", b"one", b"six", b"seven")
    return [write(tmp_path / "in" / str(place) / "x.jpg", content) for place, content in enumerate(contents)]


def test_equal_names_get_numbers_and_equal_files_one_copy(named_alike, tmp_path):
    before = files_in(tmp_path / "in")
    expected = {"cat/x.jpg": b"one", "cat/x (2).jpg": b"two", "cat/x (3).jpg": b"six", "cat/x (4).jpg": b"seven"}
    for turn in range(3):
        sorter = Sorter(tmp_path / "out", ["cat", "dog"])
        assert len(list(sorter.sort(said(path, "cat") for path in named_alike))) == 5
        assert files_in(tmp_path / "out") == expected
        assert (sorter.copied, sorter.there) == ((4, 1) if turn == 0 else (0, 5))
    assert files_in(tmp_path / "in") == before


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x" * 251 + ".jpg", "x" * 247 + " (2).jpg"),
        ("x" * 248 + ".jpg", "x" * 247 + " (2).jpg"),
        ("x" * 247 + ".jpg", "x" * 247 + " (2).jpg"),
        ("\u96ea" * 83 + ".jpg", "\u96ea" * 82 + " (2).jpg"),
        ("a." + "y" * 253, "a." + "y" * 249 + " (2)"),
        ("." + "y" * 254, "." + "y" * 250 + " (2)"),
    ],
)
def test_numbered_names_are_no_longer_than_names_can_be(tmp_path, name, expected):
    sorter = Sorter(tmp_path / "out", ["cat"])
    for place in (1, 2):
        sorter.copy(write(tmp_path / "in" / str(place) / name, bytes([place])), "cat")
    assert files_in(tmp_path / "out") == {f"cat/{name}": b"\1", f"cat/{expected}": b"\2"}


def test_long_names_that_are_shortened_to_one_are_all_copied(tmp_path):
    sorter = Sorter(tmp_path / "out", ["cat"])
    for last in "abc":
        for place in range(3):
            name = "x" * 250 + f"{last}.jpg"
            sorter.copy(write(tmp_path / "in" / str(place) / name, f"{last}{place}".encode()), "cat")
    assert sorter.copied == len(set(files_in(tmp_path / "out").values())) == 9


def test_a_file_in_the_place_of_a_folder_is_said(tmp_path):
    place = write(tmp_path / "out" / "cat", b"mine")
    with pytest.raises(FileExistsError) as caught:
        Sorter(tmp_path / "out", ["cat"]).copy(write(tmp_path / "x.jpg", b"new"), "cat")
    assert caught.value.filename == str(place)
    assert place.read_bytes() == b"mine"


def test_unknown_has_a_folder_and_errors_have_none(named_alike, tmp_path):
    sorter = Sorter(tmp_path / "out", ["cat", "dog"])
    rows = [said(named_alike[0], "unknown"), said(named_alike[1], None), said(named_alike[2], "dog")]
    assert list(sorter.sort(rows)) == rows
    assert files_in(tmp_path / "out") == {"unknown/x.jpg": b"one", "dog/x.jpg": b"one"}


def test_what_lies_there_is_not_touched(tmp_path):
    write(tmp_path / "out" / "cat" / "x.jpg", b"mine")
    (tmp_path / "out" / "cat" / "x (2).jpg").mkdir()
    Sorter(tmp_path / "out", ["cat"]).copy(write(tmp_path / "x.jpg", b"new"), "cat")
    assert files_in(tmp_path / "out") == {"cat/x.jpg": b"mine", "cat/x (3).jpg": b"new"}


def test_copies_keep_their_time(tmp_path):
    source = write(tmp_path / "x.jpg", b"content")
    os.utime(source, (1e9, 1e9))
    assert Sorter(tmp_path / "out", ["cat"]).copy(source, "cat").stat().st_mtime == 1e9


def test_file_systems_without_hard_links(named_alike, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    sorter = Sorter(tmp_path / "out", ["cat"])
    list(sorter.sort(said(path, "cat") for path in named_alike))
    assert sorted(files_in(tmp_path / "out").values()) == [b"one", b"seven", b"six", b"two"]


def test_a_full_disk_leaves_no_half_file(named_alike, tmp_path, monkeypatch):
    def full(source, target, length):
        target.write(b"ha")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(OSError, match="No space left") as caught:
        Sorter(tmp_path / "out", ["cat"]).copy(named_alike[0], "cat")
    assert caught.value.filename == str(tmp_path / "out" / "cat")
    assert files_in(tmp_path / "out") == {}


def test_a_file_that_vanished_is_a_row(tmp_path):
    [row] = Sorter(tmp_path / "out", ["cat"]).sort([said(tmp_path / "gone.jpg", "cat")])
    assert (row.answer, row.error) == (None, "vanished before it was copied")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["a/b", "a\\b", "a_b"], ("a_b", "a_b (2)", "a_b (3)")),
        (["Cat", "cat", "CAT "], ("Cat", "cat (2)", "CAT (3)")),
        (["..", ".", "", " "], ("_", "_ (2)", "_ (3)", "_ (4)")),
        (["con", "NUL.txt", "com1", "console"], ("con_", "NUL.txt_", "com1_", "console")),
        ([".git", 'say "hi"?', "end. ", "tab\tnul\0"], ("_git", "say _hi__", "end", "tab_nul_")),
        (["straße", "STRASSE", "caf\u00e9", "cafe\u0301"], ("straße", "STRASSE (2)", "caf\u00e9", "cafe\u0301 (2)")),
        (["x" * 300, "x" * 301], ("x" * 200, "x" * 200 + " (2)")),
    ],
)
def test_names_that_every_file_system_takes(words, expected):
    assert folder_names(words) == expected


def test_names_are_short_in_bytes_too():
    assert all(len(name.encode()) <= 255 for name in folder_names(["雪" * 300, "🐦" * 300]))


@pytest.mark.parametrize("path", ["out", "out/cat", "out/cat/../dog/x.jpg", "link"])
def test_sorting_what_was_sorted_is_refused(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out" / "cat").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "out")
    with pytest.raises(UsageError, match="Choose a --sort-into outside"):
        check_apart(["in", path], Path("out"))
    check_apart(["in", ".", "output"], Path("out"))


def test_a_file_is_no_place_to_sort_into(tmp_path):
    with pytest.raises(UsageError, match="is a file"):
        check_apart([], write(tmp_path / "x", b""))
