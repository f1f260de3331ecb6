from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from headstart.data.audit import audit
from headstart.data.images import read_table
from headstart.data.split import split_table
from headstart.data.subset import limited
from headstart.errors import UsageError
from headstart.recipe import DataRules, Protocol


def many(row, counts, split=""):
    return [row(f"{split}/{label}/{i}", label, split=split) for label, count in counts.items() for i in range(count)]


def counts(rows):
    return Counter((row.label, row.split) for row in rows)


def test_every_class_and_split_keeps_its_share(row):
    rows = many(row, {"a": 600, "b": 300, "c": 100}, "train") + many(row, {"a": 60, "b": 30, "c": 10}, "validation")
    for limit in (11, 110, 333, 1000):
        kept = limited(rows, limit)
        assert len(kept) == limit
        for stratum, count in counts(rows).items():
            assert abs(counts(kept)[stratum] - limit * count / 1100) < 1.5
    assert counts(limited(rows, 110)) == {
        ("a", "train"): 60, ("b", "train"): 30, ("c", "train"): 10,
        ("a", "validation"): 6, ("b", "validation"): 3, ("c", "validation"): 1,
    }  # fmt: skip


def test_every_class_keeps_an_image_to_train_on(row):
    rows = many(row, {"a": 1000, "b": 2, "c": 1}, "train") + many(row, {"a": 1000, "b": 50, "c": 50}, "validation")
    assert counts(limited(rows, 3)) == {("a", "train"): 1, ("b", "train"): 1, ("c", "train"): 1}
    with pytest.raises(UsageError, match=r"limit must be at least 3, one image per class\. Received: 2\."):
        limited(rows, 2)


def test_a_larger_limit_contains_the_smaller(row):
    rows = many(row, {"a": 41, "b": 17, "c": 5, "d": 2})
    rows += [row(f"g/{i}", "ab"[i % 2], group=f"g{i // 7}") for i in range(40)]
    smaller: set[str] = set()
    for limit in range(4, len(rows) + 1):
        larger = {one.path for one in limited(rows, limit)}
        assert len(larger) == limit
        assert smaller < larger
        smaller = larger


def test_the_choice_depends_on_content_alone(row):
    rows = many(row, {"a": 50, "b": 30})
    kept = {one.sha256 for one in limited(rows, 20)}
    shuffled = [rows[index] for index in np.random.default_rng(0).permutation(len(rows))]
    assert {one.sha256 for one in limited(shuffled, 20)} == kept
    renamed = [replace(one, path=f"z{number}") for number, one in enumerate(rows)]
    assert {one.sha256 for one in limited(renamed, 20)} == kept


def test_test_images_and_what_is_set_aside_stay(row):
    rows = many(row, {"a": 40, "b": 40}, "train") + many(row, {"a": 30, "b": 30}, "test")
    rows.append(replace(row("train/a/bad", "a", split="train"), status="set_aside", reason="truncated JPEG"))
    kept = limited(rows, 10)
    assert counts(kept) == {("a", "train"): 6, ("b", "train"): 5, ("a", "test"): 30, ("b", "test"): 30}
    assert kept[-1].reason == "truncated JPEG"
    assert [one.path for one in kept] == [one.path for one in rows if one in kept]


def test_no_limit_and_a_generous_one_change_nothing(row):
    rows = tuple(many(row, {"a": 4, "b": 4}))
    assert limited(rows, 0) == limited(rows, 8) == limited(rows, 9) == rows


def test_groups_stay_whole_but_for_one_of_a_class(row):
    rows = [row(f"{label}/{i}", label, group=f"{label}{i // 6}") for label in "ab" for i in range(300)]
    for limit in (50, 77, 200):
        sizes = Counter(one.group for one in limited(rows, limit))
        assert sum(size < 6 for size in sizes.values()) <= 2


def test_the_hashes_that_choose_are_not_those_that_split(row, table):
    """A subset of the images has a test set of the usual share: the two draws are independent."""
    rows = limited(many(row, {"a": 3000, "b": 3000}), 1500)
    splits = split_table(table(list(rows)), Protocol())
    assert abs(splits.test.size - 300) < 60


def test_images_beyond_the_limit_are_noted_and_not_listed(tmp_path, save):
    for index in range(12):
        save(tmp_path / "data" / "a" / f"{index}.png", index)
        save(tmp_path / "data" / "b" / f"{index}.png", 100 + index)
    table = read_table(tmp_path / "data", rules=DataRules(limit=10))
    note = "14 of 24 images to learn from were left out: the limit is 10."
    assert (table.notes, len(table.rows), table.counts, table.set_aside) == ((note,), 10, {"a": 5, "b": 5}, ())
    assert set(table.facts) == {row.path for row in table.rows}
    found = audit(table, split_table(table, Protocol(kind="holdout")))
    assert (found.set_aside, found.warnings) == ((), (note,))


def test_the_limit_counts_readable_images_only(flowers):
    (flowers / "daisy" / "bad.png").write_text("words")
    rules = DataRules(limit=4, remove=("daisy/3.png",))
    table = read_table(flowers, rules=rules)
    assert (table.counts, len(table.set_aside)) == ({"daisy": 2, "rose": 2}, 2)
    assert table.notes == ("2 of 6 images to learn from were left out: the limit is 4.",)
