import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from headstart.data import decode
from headstart.data.images import read_table
from headstart.data.samples import digits_table
from headstart.errors import MissingExtraError


def test_digits():
    table = digits_table()
    assert (table.location, table.name) == ("digits", "digits")
    assert table.classes == tuple("0123456789")
    assert (len(table.rows), table.rows[0].path, table.rows[-1].path) == (1797, "digits#0000", "digits#1796")
    assert sum(table.counts.values()) == 1797
    row = table.rows[1]
    pixels = decode.pixels(table.encoded(row))
    assert (row.label, row.width, row.height, pixels.shape) == ("1", 8, 8, (8, 8, 3))
    original = load_digits().images[1]
    np.testing.assert_allclose(pixels[:, :, 0], original * 255 / 16, atol=0.51)
    assert pixels.max() == 255


def test_digits_by_name_unless_a_folder_has_it(tmp_path, monkeypatch, save):
    monkeypatch.chdir(tmp_path)
    assert read_table("digits").fingerprint == digits_table().fingerprint
    for label in "ab":
        save(tmp_path / "digits" / label / "1.png", ord(label))
    assert read_table("digits").classes == ("a", "b")


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtraError, match=r"headstart\[study\]"):
        digits_table()
