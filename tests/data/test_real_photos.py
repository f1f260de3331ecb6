"""The public data sets in the folder shared beside the repository."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data import decode
from headstart.data.audit import audit
from headstart.data.images import read_table
from headstart.data.split import split_table
from headstart.recipe import Protocol

DATASETS = Path(__file__).parents[2].parent / "shared" / "datasets"
pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(not DATASETS.is_dir(), reason=f"the photographs are not there: {DATASETS}"),
]


@pytest.fixture(scope="module")
def photographs():
    return read_table(DATASETS / "flower_photos")


def test_flower_photos(photographs):
    assert photographs.counts == {"daisy": 633, "dandelion": 898, "roses": 641, "sunflowers": 699, "tulips": 799}
    assert photographs.set_aside == ()
    assert sum(row.group != "" for row in photographs.rows) == 6


def test_flower_photos_have_three_pairs_and_one_label_conflict(photographs):
    for seed in range(3):
        splits = split_table(photographs, Protocol(seed=seed))
        found = audit(photographs, splits)
        assert [len(group) for group in found.exact_duplicates] == [2, 2, 2]
        ((rose, tulip),) = found.label_conflicts
        assert (rose, tulip) == ("roses/15922772266_1167a06620.jpg", "tulips/15922772266_1167a06620.jpg")
        split = {row.path: row.split for row in splits.rows}
        assert split[rose] == split[tulip] == "train"
        assert all(split[first] == split[second] for first, second in found.exact_duplicates)
        assert 0.17 < splits.test.size / 3670 < 0.23


def test_photographs_are_decoded_as_pillow_does(photographs):
    for row in photographs.rows[::400]:
        with Image.open(DATASETS / "flower_photos" / row.path) as image:
            expected = np.asarray(image.convert("RGB").resize((224, 224), Image.Resampling.BILINEAR))
        np.testing.assert_array_equal(decode.load(photographs.encoded(row), decode.Resize(224, 224)), expected)


def test_mnist_keeps_its_test_set():
    table = read_table(DATASETS / "mnist")
    assert (len(table.rows), table.classes) == (70_000, tuple("0123456789"))
    splits = split_table(table, Protocol())
    assert (splits.train.size, splits.test.size, len(splits.rounds)) == (60_000, 10_000, 5)
    # the published numbers of each digit in the test files
    assert list(audit(table, splits).counts["test"].values()) == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
    ]  # fmt: skip
