"""Files are read only where they are images: no film is held in memory, and no pipe is waited for."""

import os
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from headstart.data import decode, image_file
from headstart.data.images import read_table
from headstart.errors import ImageError


@pytest.fixture
def photograph(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def lengthened(path, size):
    """Give a file a size without writing as much."""
    with path.open("ab") as stream:
        stream.truncate(size)
    return path


def refused(path, reason):
    with pytest.raises(ImageError) as caught:
        image_file.encoded(path)
    assert str(caught.value) == reason


def test_the_bytes_of_an_image_come_whole(photograph):
    assert image_file.read(photograph) == photograph.read_bytes()
    assert image_file.encoded(str(photograph)) == photograph.read_bytes()
    assert image_file.encoded(b"any") == b"any"
    pixels = np.zeros((2, 2), np.uint8)
    assert image_file.encoded(pixels) is pixels


def test_what_is_no_image_is_not_read_beyond_its_head(tmp_path):
    film = tmp_path / "film.mp4"
    film.write_bytes(b"\0\0\0\x20ftypisom\0\0\2\0")
    lengthened(film, 200_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match="not an image of an allowed format"):
            image_file.read(film)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_an_enormous_file_is_refused_unread(photograph):
    refused(lengthened(photograph, 2**30 + 1), "too large: 1,073,741,825 bytes; at most 1,073,741,824 are read")


def test_as_many_pixels_as_are_decoded_fit_into_a_file():
    assert decode.PIXEL_LIMIT * 6 + 2**20 < image_file.LARGEST_FILE


def test_an_image_is_in_memory_once(photograph):
    lengthened(photograph, 50_000_000)
    tracemalloc.start()
    try:
        assert len(image_file.read(photograph)) == 50_000_000
        assert tracemalloc.get_traced_memory()[1] < 60_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(os.name == "nt", reason="there are no pipes in folders there")
def test_pipes_devices_and_folders_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to("/dev/zero")
    for name in ("pipe.jpg", "link.jpg"):
        refused(tmp_path / name, "no regular file")
    refused(tmp_path, "a folder, not an image")


def test_names_that_no_file_can_have(tmp_path):
    for name in ("a\0b.jpg", "a\ud800.jpg"):
        refused(name, "no file can have this name")
    with pytest.raises(ImageError, match=r"(?i)name|path|file"):
        image_file.encoded(tmp_path / ("x" * 300))
    refused(tmp_path / "gone.jpg", "No such file or directory")


def test_lack_of_memory_is_a_reason(photograph, monkeypatch):
    monkeypatch.setattr(decode, "identify", lambda head: bytearray(2**62))
    refused(photograph, decode.OUT_OF_MEMORY)


@pytest.mark.skipif(os.name == "nt", reason="there are no pipes in folders there")
def test_a_table_sets_aside_what_is_too_large_and_what_a_list_should_not_name(tmp_path, photograph, monkeypatch):
    monkeypatch.setattr(image_file, "LARGEST_FILE", 20_000)
    lengthened(photograph, 20_001)
    for number in range(4):
        Image.fromarray(np.full((9, 9), number, np.uint8)).save(tmp_path / f"{number}.png")
    os.mkfifo(tmp_path / "pipe.png")
    rows = [f"{number}.png,{'ab'[number % 2]}\n" for number in range(4)]
    (tmp_path / "list.csv").write_text("".join(["path,label\n", *rows, "a.png,a\n", "pipe.png,b\n"]))
    aside = read_table(tmp_path / "list.csv", strict=False).set_aside
    assert {row.path: row.reason for row in aside} == {
        "a.png": "too large: 20,001 bytes; at most 20,000 are read",
        "pipe.png": "no regular file",
    }
    assert [len(row.sha256) for row in aside] == [64, 0]
