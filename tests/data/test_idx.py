import gzip
import hashlib

import numpy as np
import pytest

from headstart.data import decode
from headstart.data.images import read_table
from headstart.errors import DataError


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header + array.tobytes()


def images(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 5, 4), dtype=np.uint8)


@pytest.fixture
def digits(tmp_path):
    """Write 12 training and 4 test images; the training files are packed."""
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images(12))))
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.arange(12, dtype=np.uint8))))
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(images(4, 1)))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.array([0, 10, 11, 2], np.uint8)))
    return tmp_path


def test_images_labels_and_given_splits(digits):
    table = read_table(digits)
    assert table.classes == tuple(str(number) for number in range(12))
    rows = {row.path: row for row in table.rows}
    assert rows["train-images-idx3-ubyte.gz#07"].label == "7"
    assert rows["t10k-images-idx3-ubyte#1"].split == "test"
    assert [row.split for row in table.rows] == ["test"] * 4 + ["train"] * 12
    row = rows["train-images-idx3-ubyte.gz#11"]
    assert row.sha256 == hashlib.sha256(images(12)[11].tobytes()).hexdigest()
    assert (row.width, row.height, row.status) == (4, 5, "ok")
    np.testing.assert_array_equal(decode.pixels(table.encoded(row))[:, :, 2], images(12)[11])


def test_colour_images_and_names_with_prefix_and_dot(tmp_path):
    colour = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), dtype=np.uint8)
    (tmp_path / "emnist-train-images.idx4-ubyte").write_bytes(idx(colour))
    (tmp_path / "emnist-train-labels.idx1-ubyte").write_bytes(idx(np.array([1, 2, 1], np.uint8)))
    table = read_table(tmp_path)
    np.testing.assert_array_equal(decode.pixels(table.encoded(table.rows[2])), colour[2])


def test_a_file_both_packed_and_unpacked_counts_once(digits):
    packed = (digits / "train-images-idx3-ubyte.gz").read_bytes()
    (digits / "train-images-idx3-ubyte").write_bytes(gzip.decompress(packed))
    assert len(read_table(digits).rows) == 16


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train-images-idx3-ubyte.gz", gzip.compress(idx(images(12)))[:-20], "no sound IDX file"),
        ("train-images-idx3-ubyte.gz", b"no gzip", "no sound IDX file"),
        ("t10k-images-idx3-ubyte", idx(images(4))[:-1], "holds 79 values where 80 are announced"),
        ("t10k-images-idx3-ubyte", b"\0\0\x0d\x01", "does not start as an IDX file of bytes"),
        ("t10k-images-idx3-ubyte", b"", "no sound IDX file"),
        ("t10k-labels-idx1-ubyte", idx(np.zeros(3, np.uint8)), r"shape \(4, 5, 4\) do not fit labels of shape \(3,\)"),
        ("t10k-labels-idx1-ubyte", None, "has no labels. Put t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte.gz"),
    ],
)
def test_damaged_files(digits, name, content, message):
    if content is None:
        (digits / name).unlink()
    else:
        (digits / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_table(digits)
