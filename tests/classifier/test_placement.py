"""A classifier takes the place of an earlier one and of nothing else."""

import re

import pytest

from headstart.classifier import bundle, placement
from headstart.errors import UsageError

from .conftest import save_birds


def content(folder):
    return {path.relative_to(folder).as_posix(): path.is_file() and path.read_bytes() for path in folder.rglob("*")}


def refused(folder, message):
    with pytest.raises(UsageError, match=message) as caught, placement.new_folder(folder):
        pytest.fail("nothing may be written")
    assert "\n" not in str(caught.value)


def test_what_is_the_users_own_is_left_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "mine"
    (place / "deep").mkdir(parents=True)
    (place / "thesis.txt").write_text("years of work")
    (tmp_path / "mine.part").mkdir()
    (tmp_path / "mine.part" / "more.txt").write_text("of it")
    (tmp_path / "file").write_text("a file")
    (tmp_path / "read").mkdir()
    (tmp_path / "read" / "README.md").write_text("a project")
    before = content(tmp_path)
    with pytest.raises(UsageError, match=r"mine is not empty and is no earlier classifier: it holds deep, thesis\.txt"):
        save_birds(place)
    refused(tmp_path / "file", "file is a file. Choose the name of a new folder")
    refused(tmp_path / "read", r"it holds README\.md")
    refused(place.relative_to(tmp_path) / "..", "is not empty and is no earlier classifier")
    refused(placement.Path("."), "is not empty and is no earlier classifier")
    assert content(tmp_path) == before


def test_an_earlier_classifier_with_a_file_of_the_user_is_kept(birds):
    (birds / "notes.txt").write_text("mine")
    refused(birds, r"it holds notes\.txt")
    (birds / "notes.txt").unlink()
    (birds / "model.bin").unlink()
    (birds / "model.bin").mkdir()
    refused(birds, r"it holds model\.bin")


def test_an_earlier_classifier_is_replaced_and_leaves_nothing(birds):
    (birds / ".DS_Store").write_bytes(b"\0")
    (birds.parent / f"birds.{'0' * 32}.old").mkdir()
    (birds.parent / f"birds.{'a' * 32}.part").mkdir()
    (birds.parent / f"birds.{'a' * 31}.part").mkdir()
    (birds.parent / "birds.part").mkdir()
    save_birds(birds, classes=["one", "two", "three"])
    assert bundle.read_info(birds).classes == ("one", "two", "three")
    assert not (birds / ".DS_Store").exists()
    assert sorted(path.name for path in birds.parent.iterdir()) == ["birds", f"birds.{'a' * 31}.part", "birds.part"]


def test_empty_and_new_folders_are_taken_but_not_the_one_worked_in(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    for name in ("empty", "link", "new/deep"):
        save_birds(tmp_path / name)
        assert bundle.read_info(tmp_path / name).classes
    assert (tmp_path / "link").is_symlink()
    monkeypatch.chdir(tmp_path / "empty")
    refused(placement.Path("."), "is the folder in which you work")
    assert bundle.read_info(".").classes


def test_what_appears_while_a_classifier_is_written_is_kept(tmp_path):
    place = tmp_path / "it"
    with pytest.raises(UsageError, match=r"it holds thesis\.txt"), placement.new_folder(place) as part:
        assert re.fullmatch(r"it\.[0-9a-f]{32}\.part", part.name)
        place.mkdir()
        (place / "thesis.txt").write_text("years of work")
    assert content(tmp_path) == {"it": False, "it/thesis.txt": b"years of work"}
