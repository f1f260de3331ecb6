import json

import pytest

from headstart.data import decode
from headstart.data.images import read_table
from headstart.data.table import NearGroup
from headstart.recipe import DataRules


@pytest.fixture
def meadow(tmp_path, photograph):
    """Fifteen photographs of each of two classes; returns the folder."""
    root = tmp_path / "meadow"
    for place, label in enumerate("ab"):
        (root / label).mkdir(parents=True)
        for number in range(15):
            photograph(100 * place + number).save(root / label / f"{number:02}.png")
    return root


def smaller(photograph, seed, path, factor=0.7):
    image = photograph(seed)
    image.resize((round(factor * image.width), round(factor * image.height))).save(path, quality=80)


@pytest.fixture
def compared(monkeypatch):
    """Count the small copies that are decoded for comparing."""
    calls = []
    load = decode.load
    monkeypatch.setattr(decode, "load", lambda *values: (calls.append(1), load(*values))[1])
    return calls


def test_photographs_without_copies_have_no_group(meadow, compared):
    table = read_table(meadow)
    assert (table.near, compared) == ((), [])
    assert {row.group for row in table.rows} == {""}


def test_copies_and_their_exact_copies_are_one_group(meadow, photograph):
    smaller(photograph, 3, meadow / "a" / "small.jpg")
    smaller(photograph, 3, meadow / "a" / "tiny.jpg", 0.6)
    (meadow / "a" / "again.jpg").write_bytes((meadow / "a" / "small.jpg").read_bytes())
    table = read_table(meadow)
    paths = ("a/03.png", "a/again.jpg", "a/small.jpg", "a/tiny.jpg")
    assert table.near == (NearGroup(paths, joined=True),)
    groups = {row.path: row.group for row in table.rows}
    assert len({groups[path] for path in paths}) == 1
    assert {path for path, group in groups.items() if group} == set(paths)


def test_images_with_a_side_below_64_pixels_are_not_compared(tmp_path, photograph, compared):
    for label, first in (("a", 0), ("b", 10)):
        (tmp_path / label).mkdir()
        for number in range(3):
            image = photograph(first + number, (90, 63))
            image.save(tmp_path / label / f"{number}.png")
            image.save(tmp_path / label / f"{number}.jpg", quality=90)
    assert (read_table(tmp_path).near, compared) == ((), [])


def test_what_was_compared_is_remembered_by_content(meadow, photograph, tmp_path, compared):
    smaller(photograph, 3, meadow / "a" / "small.jpg")
    first = read_table(meadow, cache=tmp_path / "cache")
    assert len(compared) == 2
    (meadow / "a" / "small.jpg").rename(meadow / "a" / "renamed.jpg")
    second = read_table(meadow, cache=tmp_path / "cache")
    assert len(compared) == 2
    assert [group.paths for group in (*first.near, *second.near)] == [
        ("a/03.png", "a/small.jpg"),
        ("a/03.png", "a/renamed.jpg"),
    ]


def test_a_damaged_memory_is_only_a_miss(meadow, photograph, tmp_path, compared):
    smaller(photograph, 3, meadow / "a" / "small.jpg")
    table = read_table(meadow, cache=tmp_path / "cache")
    (file,) = (tmp_path / "cache" / "near").rglob("*.jsonl")
    (line,) = file.read_text().splitlines()
    assert json.loads(line)[2] is True
    file.write_text('[1]\n{"a": 1}\nnull\n["x", "y", 3]\n' + line[:20])
    assert read_table(meadow, cache=tmp_path / "cache").near == table.near
    assert len(compared) == 4


def test_the_order_of_paths_changes_nothing_but_names(meadow, photograph):
    smaller(photograph, 3, meadow / "a" / "small.jpg")
    first = {row.sha256: row.group for row in read_table(meadow).rows}
    for number, path in enumerate(sorted((meadow / "a").iterdir(), reverse=True)):
        path.rename(path.with_name(f"renamed{number:02}{path.suffix}"))
    assert {row.sha256: row.group for row in read_table(meadow).rows} == first


@pytest.mark.parametrize(("copies", "joined"), [(4, True), (5, False)])
def test_a_group_that_holds_too_much_of_a_class_is_not_joined(meadow, photograph, copies, joined):
    """Of 19 or 20 pictures a group may hold five: the picture and four copies."""
    for number in range(copies):
        smaller(photograph, 3, meadow / "a" / f"small{number}.jpg", 0.95 - 0.07 * number)
    table = read_table(meadow)
    ((group),) = table.near
    assert (len(group.paths), group.joined) == (copies + 1, joined)
    assert (len({row.group for row in table.rows}) == 2) == joined


def test_a_file_that_is_gone_by_the_comparison_is_left_out(meadow, photograph, monkeypatch):
    smaller(photograph, 3, meadow / "a" / "small.jpg")
    with monkeypatch.context() as patch:
        patch.setattr(decode, "load", _gone)
        assert read_table(meadow).near == ()
    assert len(read_table(meadow).near) == 1


def _gone(*values):
    raise decode.ImageError("cannot be read: gone")


def test_images_beyond_a_limit_leave_their_group(meadow, photograph):
    smaller(photograph, 3, meadow / "a" / "small.jpg")
    sizes = {len(read_table(meadow, rules=DataRules(limit=limit)).near) for limit in (2, 31)}
    assert sizes == {0, 1}
