"""Files, folders, patterns and lists."""

import io
import os
from pathlib import Path

import pytest

from headstart.classifier.inputs import find_images
from headstart.errors import UsageError


@pytest.fixture(autouse=True)
def tree(tmp_path, monkeypatch):
    for name in ("a.jpg", "b [1].jpg", "in/c.jpg", "in/deep/d.JPG", "in/.hidden.jpg", "in/Thumbs.db", "out/e.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    monkeypatch.chdir(tmp_path)


def names(*paths, **options):
    return [path.as_posix() for path in find_images(paths, **options).files]


def test_files_and_folders_in_the_order_given():
    assert names("out", "a.jpg", "in") == ["out/e.jpg", "a.jpg", "in/c.jpg", "in/deep/d.JPG"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.jpg", ["a.jpg", "b [1].jpg"]),
        ("in/**/*.[Jj][Pp][Gg]", ["in/c.jpg", "in/deep/d.JPG"]),
        ("**", ["a.jpg", "b [1].jpg", "in/c.jpg", "in/deep/d.JPG", "out/e.jpg"]),
        ("?ut", ["out/e.jpg"]),
        ("b [1].jpg", ["b [1].jpg"]),
    ],
)
def test_patterns(pattern, expected):
    assert sorted(names(pattern)) == expected


def test_absolute_patterns(tmp_path):
    assert find_images([tmp_path / "i*" / "*.jpg"]).files == (tmp_path / "in" / "c.jpg",)


@pytest.mark.parametrize("content", [b"a.jpg\r\n\nin\nnot there.jpg", b"\xef\xbb\xbfa.jpg\nin\nnot there.jpg\n"])
def test_lists_of_lines(content):
    expected = ["a.jpg", "in/c.jpg", "in/deep/d.JPG", "not there.jpg"]
    assert names("-", listed=io.BytesIO(content)) == expected


def test_lists_with_nul_between_take_any_name():
    assert names("-", listed=io.BytesIO(b"two\nlines.jpg\0a.jpg\0")) == ["two\nlines.jpg", "a.jpg"]
    [found] = find_images(["-"], listed=io.BytesIO(b"caf\xe9.jpg\0")).files
    assert os.fsencode(found) == b"caf\xe9.jpg"


def test_a_list_may_hold_names_that_no_file_has(monkeypatch):
    long = "x" * 300 + ".jpg"
    content = f"a.jpg\n{long}\n{long}/b.jpg\n".encode()
    assert names("-", listed=io.BytesIO(content)) == ["a.jpg", long, f"{long}/b.jpg"]
    assert names("-", listed=io.BytesIO(content), leave_out=Path("out")) == ["a.jpg", long, f"{long}/b.jpg"]
    Path("circle").symlink_to("circle")
    assert names("-", listed=io.BytesIO(b"circle/c.jpg"), leave_out=Path("out")) == ["circle/c.jpg"]
    for name in (long, "a\0b.jpg"):
        with pytest.raises(UsageError, match="There is no file or folder"):
            find_images([name])


def test_a_folder_is_left_out_where_it_was_not_named(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "out")
    out = Path("out")
    assert names(".", leave_out=out) == ["a.jpg", "b [1].jpg", "in/c.jpg", "in/deep/d.JPG"]
    assert names("**/*.jpg", leave_out=out) == ["a.jpg", "b [1].jpg", "in/c.jpg"]
    assert names("-", listed=io.BytesIO(b"a.jpg\nout/e.jpg\nlink/e.jpg\n"), leave_out=out) == ["a.jpg"]


@pytest.mark.parametrize(
    ("path", "message"),
    [("nothing.jpg", "There is no file or folder nothing"), ("*.png", "Nothing matches"), ("-", "There are no files")],
)
def test_what_means_nothing_is_said(path, message):
    with pytest.raises(UsageError, match=message):
        find_images([path], listed=io.BytesIO(b"\n"))


def test_what_is_missing_does_not_stop_the_rest():
    found = find_images(["a.jpq", "in/c.jpg", "in/*.png", "nowhere/a.jpg", "out"])
    assert [path.as_posix() for path in found.files] == ["a.jpq", "in/c.jpg", "in/*.png", "nowhere/a.jpg", "out/e.jpg"]
    assert found.missing == {
        "a.jpq": "There is no file or folder a.jpq. Did you mean 'a.jpg'?",
        str(Path("in/*.png")): "Nothing matches in/*.png. Check the spelling; ** stands for any number of folders.",
        str(Path("nowhere/a.jpg")): "There is no file or folder nowhere/a.jpg. Check the spelling.",
    }
    assert not find_images(["-", "a.jpg"], listed=io.BytesIO(b"not there.jpg\n")).missing


def test_where_nothing_is_there_the_first_is_said():
    with pytest.raises(UsageError, match=r"^There is no file or folder a\.jpq\. Did you mean 'a\.jpg'\?$"):
        find_images(["a.jpq", "*.png", "a.jpq"])
