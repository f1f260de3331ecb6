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
    # three pairs of equal images and fourteen of near ones
    assert sum(row.group != "" for row in photographs.rows) == 6 + 28


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


def test_flower_photos_hold_photographs_that_were_uploaded_twice(photographs):
    """Every pair was looked at: one photograph, as it was and finished otherwise (paler, darker, grey, cropped)."""
    assert [len(group.paths) for group in photographs.near] == [2] * 14
    assert all(group.joined for group in photographs.near)
    pairs = {group.paths for group in photographs.near}
    assert ("daisy/10466290366_cc72e33532.jpg", "daisy/10994032453_ac7f8d9e2e.jpg") in pairs
    grey = ("dandelion/17161833794_e1d92259d2_m.jpg", "dandelion/18304194360_2a4a0be631_m.jpg")
    assert grey in pairs
    found = audit(photographs)
    assert (found.wrong_extensions, found.rotated, found.blank, found.dark) == ((), (), (), ())
    assert found.colour_modes == {"RGB": 3670}
    assert len(found.blurred) <= 10
    assert found.sizes.shapes == len({(row.width, row.height) for row in photographs.rows})


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
