from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from headstart.data.decode import ImageFacts
from headstart.data.groups import content_group
from headstart.data.look import Look
from headstart.data.split import split_table
from headstart.data.table import NearGroup
from headstart.errors import DataError
from headstart.recipe import Protocol


def many(row, counts, *, split="", start=0):
    prefix = f"{split}/" if split else ""
    return [
        row(f"{prefix}{label}/{start + i}", label, split=split) for label, count in counts.items() for i in range(count)
    ]


def labels(splits, positions):
    return Counter(splits.rows[index].label for index in positions)


def paths(splits, positions):
    return {splits.rows[index].path for index in positions}


def check_partition(splits):
    """Every row is in one part; every fold's two sides are train; the folds of a repeat cover train once."""
    everything = np.concatenate([splits.train, splits.validation, splits.test])
    assert len(everything) == len(set(everything.tolist())) == sum(row.ok for row in splits.rows)
    for name in ("train", "validation", "test"):
        assert {splits.rows[index].split for index in getattr(splits, name)} <= {name}
    for round_ in splits.rounds:
        assert not set(round_.train.tolist()) & set(round_.validation.tolist())
        assert np.all(np.diff(round_.train) > 0)
        if splits.validation.size == 0:
            assert set(round_.train.tolist()) | set(round_.validation.tolist()) == set(splits.train.tolist())
    for repeat in {round_.repeat for round_ in splits.rounds} if splits.kind == "folds" else ():
        validated = np.concatenate([r.validation for r in splits.rounds if r.repeat == repeat])
        assert sorted(validated.tolist()) == splits.train.tolist()


def test_one_folder_gives_a_test_set_and_stratified_folds(row, table):
    counts = {"a": 300, "b": 120, "c": 12}
    splits = split_table(table(many(row, counts)), Protocol(folds=5, seed=3))
    check_partition(splits)
    assert (splits.kind, len(splits.rounds), splits.validation.size) == ("folds", 5, 0)
    for label, count in counts.items():
        share = 0.2 * count
        assert abs(labels(splits, splits.test)[label] - share) <= max(1, 0.3 * share)
        train = labels(splits, splits.train)[label]
        for round_ in splits.rounds:
            assert abs(labels(splits, round_.validation)[label] - train / 5) <= max(1, 0.3 * train / 5)
            assert labels(splits, round_.validation)[label] >= 1
    assert splits.notes == (f"A test set of {splits.test.size} of 432 images was cut from the training images.",)


def test_set_aside_rows_are_excluded(row, table):
    rows = many(row, {"a": 20, "b": 20})
    rows.append(replace(row("a/bad", "a"), status="set_aside", reason="truncated JPEG"))
    splits = split_table(table(rows), Protocol(folds=2))
    check_partition(splits)
    assert splits.rows[-1].split == "excluded"


def test_holdout(row, table):
    splits = split_table(table(many(row, {"a": 100, "b": 50})), Protocol(kind="holdout", holdout=0.3))
    check_partition(splits)
    (round_,) = splits.rounds
    assert splits.kind == "holdout"
    assert {splits.rows[index].split for index in round_.validation} == {"train"}
    share = 0.3 * splits.train.size
    assert abs(round_.validation.size - share) <= 0.3 * share


def test_seventy_twenty_ten(row, table):
    counts = {"a": 633, "b": 898, "c": 70}
    splits = split_table(table(many(row, counts)), Protocol(kind="holdout", holdout=2 / 9, test_fraction=0.1))
    check_partition(splits)
    (round_,) = splits.rounds
    for positions, share in ((round_.train, 0.7), (round_.validation, 0.2), (splits.test, 0.1)):
        for label, count in counts.items():
            assert abs(labels(splits, positions)[label] - share * count) <= max(2, 0.3 * share * count)
    assert round_.train.size + round_.validation.size + splits.test.size == 1601


def test_given_train_validation_and_test_stay_as_they_are(row, table):
    rows = [
        one
        for split, count in (("train", 7), ("validation", 2), ("test", 1))
        for one in many(row, {"a": count, "b": 2 * count}, split=split)
    ]
    splits = split_table(table(rows), Protocol(test_fraction=0.5))
    check_partition(splits)
    assert [one.split for one in splits.rows] == [one.split for one in rows]
    (round_,) = splits.rounds
    assert (splits.kind, splits.notes) == ("holdout", ())
    assert labels(splits, round_.train) == {"a": 7, "b": 14}
    assert labels(splits, round_.validation) == {"a": 2, "b": 4}


def test_repeats_are_different_and_the_test_set_is_the_same(row, table):
    data = table(many(row, {"a": 60, "b": 60}))
    splits = split_table(data, Protocol(folds=3, repeats=2))
    check_partition(splits)
    assert [(r.repeat, r.fold) for r in splits.rounds] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert paths(splits, splits.rounds[0].validation) != paths(splits, splits.rounds[3].validation)
    once = split_table(data, Protocol(folds=5))
    assert paths(once, once.test) == paths(splits, splits.test)
    holdouts = split_table(data, Protocol(kind="holdout", repeats=3)).rounds
    assert len({tuple(round_.validation.tolist()) for round_ in holdouts}) == 3


def test_the_same_seed_gives_the_same_split_in_any_order_and_another_seed_another(row, table):
    rows = many(row, {"a": 80, "b": 41})
    shuffled = [rows[index] for index in np.random.default_rng(0).permutation(len(rows))]
    first, second = split_table(table(rows), Protocol()), split_table(table(shuffled), Protocol())
    assert paths(first, first.test) == paths(second, second.test)
    for one, other in zip(first.rounds, second.rounds, strict=True):
        assert paths(first, one.validation) == paths(second, other.validation)
    other = split_table(table(rows), Protocol(seed=1))
    assert paths(other, other.test) != paths(first, first.test)


def test_new_images_leave_the_others_where_they_are(row, table):
    counts, more = {"a": 1500, "b": 1200}, {"a": 150, "b": 120}
    before = split_table(table(many(row, counts)), Protocol())
    after = split_table(table(many(row, counts) + many(row, more, start=10_000)), Protocol())
    new = paths(after, range(2700, 2970))
    assert len(new) == 270
    assert paths(after, after.test) - new == paths(before, before.test)
    for one, other in zip(before.rounds, after.rounds, strict=True):
        assert paths(after, other.validation) - new == paths(before, one.validation)


def test_renaming_and_a_copy_leave_an_image_where_it_is(row, table):
    rows = many(row, {"a": 300, "b": 300})
    before = split_table(table(rows), Protocol())
    copied = rows[7]
    group = content_group(copied.sha256)
    twins = [row(path, "a", group=group, content=copied.path) for path in ("a/renamed", "a/copy")]
    after = split_table(table([*rows[:7], *twins, *rows[8:]]), Protocol())
    assert after.rows[7].split == after.rows[8].split == before.rows[7].split
    assert paths(after, after.test) - {"a/renamed", "a/copy"} == paths(before, before.test) - {copied.path}


@pytest.mark.parametrize("seed", range(12))
def test_groups_never_fall_on_two_sides(row, table, seed):
    generator = np.random.default_rng(seed)
    rows = [
        row(
            f"{i}", "abc"[generator.integers(3)], group=f"g{generator.integers(80)}" if generator.random() < 0.7 else ""
        )
        for i in range(500)
    ]
    splits = split_table(table(rows), Protocol(seed=seed, folds=4, repeats=2))
    check_partition(splits)
    sides = [splits.test, *(round_.validation for round_ in splits.rounds)]
    for side in sides:
        inside = {splits.rows[index].group for index in side} - {""}
        chosen = set(side.tolist())
        others = [index for index in splits.train.tolist() + splits.test.tolist() if index not in chosen]
        assert not inside & {splits.rows[index].group for index in others}
        assert side.size > 0


def test_a_mixed_group_counts_for_its_majority(row, table):
    rows = many(row, {"a": 30, "b": 30})
    rows += [row(f"g{i}", "b" if i < 40 else "a", group="g") for i in range(60)]
    splits = split_table(table(rows), Protocol(folds=2, test_fraction=0.5))
    grouped = {splits.rows[index].split for index in range(60, 120)}
    assert len(grouped) == 1
    check_partition(splits)


def test_a_picture_under_two_labels_is_never_in_a_cut_test_set(row, table):
    for seed in range(20):
        rows = many(row, {"a": 10, "b": 10})
        rows += [row("a/twin", "a", group="t", content="twin"), row("b/twin", "b", group="t", content="twin")]
        rows += [row("a/friend", "a", group="t")]
        splits = split_table(table(rows), Protocol(seed=seed, folds=2, test_fraction=0.5))
        assert {row_.split for row_ in splits.rows[20:]} == {"train"}


def test_equal_pixels_in_unlike_files_are_one_picture(row, table):
    data = table([*many(row, {"a": 10, "b": 10}), row("x", "a", group="t"), row("y", "b", group="t")])
    same = ImageFacts(8, 8, "PNG", "L", False, "same", Look(100.0, 20.0))
    data = replace(data, facts={"x": same, "y": same})
    for seed in range(20):
        splits = split_table(data, Protocol(seed=seed, folds=2, test_fraction=0.5))
        assert {row_.split for row_ in splits.rows[20:]} == {"train"}


def test_near_duplicates_under_two_labels_are_one_picture_if_they_are_joined(row, table):
    data = table([*many(row, {"a": 10, "b": 10}), row("x", "a", group="t"), row("y", "b", group="t")])
    joined, apart = (replace(data, near=(NearGroup(("x", "y"), joined=joined),)) for joined in (True, False))
    parts = {
        side: {r.split for seed in range(20) for r in split_table(side_table, protocol(seed)).rows[20:]}
        for side, side_table in (("joined", joined), ("apart", apart))
    }
    assert parts == {"joined": {"train"}, "apart": {"train", "test"}}


def protocol(seed):
    return Protocol(seed=seed, folds=2, test_fraction=0.5)


def given(row, *splits):
    return [r for index, split in enumerate(splits) for r in many(row, {"a": 20, "b": 20}, split=split, start=index)]


def test_given_train_validation_and_test(row, table):
    splits = split_table(table(given(row, "train", "validation", "test")), Protocol())
    check_partition(splits)
    (round_,) = splits.rounds
    assert splits.kind == "holdout"
    assert round_.train.tolist() == splits.train.tolist() == list(range(40))
    assert round_.validation.tolist() == splits.validation.tolist() == list(range(40, 80))
    assert splits.test.tolist() == list(range(80, 120))
    assert splits.notes == ()


def test_given_validation_joins_train_for_folds_that_were_asked_for(row, table):
    splits = split_table(table(given(row, "train", "validation", "test")), Protocol(folds=4), folds_asked=True)
    check_partition(splits)
    assert (splits.kind, len(splits.rounds), splits.validation.size) == ("folds", 4, 0)
    assert splits.train.tolist() == list(range(80))
    assert splits.test.tolist() == list(range(80, 120))
    assert splits.notes == ("The given validation images joined the training images for the folds.",)


@pytest.mark.parametrize("kind", ["folds", "holdout"])
def test_given_train_and_test(row, table, kind):
    splits = split_table(table(given(row, "train", "test")), Protocol(kind=kind, folds=3))
    check_partition(splits)
    assert (splits.kind, len(splits.rounds)) == (kind, 3 if kind == "folds" else 1)
    assert splits.train.tolist() == list(range(40))


@pytest.mark.parametrize("folds_asked", [False, True])
def test_given_validation_without_test_is_the_sealed_test_set(row, table, folds_asked):
    splits = split_table(table(given(row, "train", "validation")), Protocol(folds=3), folds_asked=folds_asked)
    check_partition(splits)
    assert (splits.kind, splits.folds, splits.validation.size) == ("folds", 3, 0)
    assert splits.train.tolist() == list(range(40))
    assert splits.test.tolist() == list(range(40, 80))
    assert splits.notes == (
        "The given validation images are the sealed test set; candidates are judged by folds of the training images. "
        "--pool (of a recipe: --set data.pool=true) puts all together and cuts anew.",
    )


def test_given_validation_is_the_holdout_where_one_is_asked_for(row, table):
    splits = split_table(table(given(row, "train", "validation")), Protocol(kind="holdout"))
    check_partition(splits)
    (round_,) = splits.rounds
    assert round_.validation.tolist() == splits.validation.tolist() == list(range(40, 80))
    assert labels(splits, splits.test).keys() == {"a", "b"}
    assert splits.notes == (
        f"A test set of {splits.test.size} of 80 images was cut from the training images, "
        "because no test images were given.",
    )


def test_a_cut_test_set_shares_no_group_with_given_validation(row, table):
    rows = given(row, "train", "validation")
    rows += [
        row(f"{split}/{i}", "a", group=f"g{i}", split=split) for i in range(20) for split in ("train", "validation")
    ]
    for seed in range(5):
        splits = split_table(table(rows), Protocol(seed=seed, kind="holdout"))
        assert not {splits.rows[index].group for index in splits.test} - {""}


def test_given_train_alone_is_split_like_one_folder(row, table):
    splits = split_table(table(given(row, "train")), Protocol(folds=3))
    check_partition(splits)
    assert labels(splits, splits.test).keys() == {"a", "b"}


def test_classes_missing_in_the_given_test_set_are_noted(row, table):
    rows = many(row, {"a": 20, "b": 20}, split="train") + many(row, {"a": 5}, split="test")
    assert split_table(table(rows), Protocol(folds=2)).notes == ("The test images show no b.",)


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.37])
def test_test_shares_of_small_sets_are_right_to_one_image(row, table, fraction):
    counts = {"a": 3, "b": 6, "c": 29, "d": 111, "e": 400}
    for seed in range(20):
        splits = split_table(table(many(row, counts)), Protocol(seed=seed, test_fraction=fraction))
        check_partition(splits)
        tested, trained = labels(splits, splits.test), labels(splits, splits.train)
        for label, count in counts.items():
            assert abs(tested[label] - fraction * count) <= 1 + 1e-9
            for round_ in splits.rounds:
                assert abs(labels(splits, round_.validation)[label] - trained[label] / 5) <= 1 + 1e-9


def test_pictures_under_two_labels_count_in_the_share_of_the_test_set(row, table):
    rows = many(row, {"a": 60, "b": 60})
    for i in range(40):
        rows += [row(f"{label}/t{i}", label, group=f"t{i}", content=f"t{i}") for label in "ab"]
    for seed in range(5):
        splits = split_table(table(rows), Protocol(seed=seed))
        assert abs(labels(splits, splits.test)["b"] - 12) <= 1
        assert abs(labels(splits, splits.test)["a"] - 28) <= 1  # the 80 twins are units of class a


@pytest.mark.parametrize("count", [2, 3, 4, 5])
@pytest.mark.parametrize("classes", [2, 5, 29])
@pytest.mark.parametrize("kind", ["folds", "holdout"])
def test_few_images_of_every_class(row, table, count, classes, kind):
    counts = {f"c{i:02}": count for i in range(classes)}
    for seed in range(8):
        splits = split_table(table(many(row, counts)), Protocol(kind=kind, seed=seed, repeats=2))
        check_small(splits, counts)
        tested = labels(splits, splits.test)
        if count == 2:
            assert splits.test.size == max(1, int(0.2 * 2 * classes + 0.5))
        else:
            assert set(tested) == set(counts)
            assert set(tested.values()) <= ({1} if kind == "folds" else {1, 2} if count == 5 else {1})


def check_small(splits, counts):
    """Every training holds every class, no round validates nothing, and every class with two units is validated."""
    train = labels(splits, splits.train)
    for round_ in splits.rounds:
        assert set(labels(splits, round_.train)) == set(counts)
        assert round_.validation.size > 0
        assert set(round_.train.tolist()) | set(round_.validation.tolist()) == set(splits.train.tolist())
        assert not set(round_.train.tolist()) & set(round_.validation.tolist())
    for repeat in {one.repeat for one in splits.rounds}:
        mine = [one for one in splits.rounds if one.repeat == repeat]
        assert [one.fold for one in mine] == list(range(len(mine)))
        validated = sum((labels(splits, one.validation) for one in mine), Counter())
        if splits.kind == "folds":
            assert len(mine) >= 2
            assert validated == {label: count for label, count in train.items() if count > 1}
            for label in validated:
                places = sum(labels(splits, one.validation)[label] > 0 for one in mine)
                assert places == min(train[label], 5)
        else:
            assert {label for label, count in train.items() if count > 1} == set(validated)


def test_small_classes_beside_large_ones(row, table):
    counts = {"a": 200, "b": 2, "c": 3, "d": 5}
    given_one = 0
    for seed in range(40):
        splits = split_table(table(many(row, counts)), Protocol(seed=seed))
        check_small(splits, counts)
        tested = labels(splits, splits.test)
        assert (splits.folds, tested["c"], tested["d"]) == (5, 1, 1)
        asked, without = 42, tested["a"] + 2
        assert tested["b"] == (without < asked)
        given_one += tested["b"]
    assert 0 < given_one < 40


def test_what_is_said_of_small_classes(row, table):
    splits = split_table(table(many(row, {"a": 2, "b": 2})), Protocol())
    absent, single = ("a", "b") if labels(splits, splits.test)["b"] else ("b", "a")
    assert splits.notes == (
        "A test set of 1 of 4 images was cut from the training images.",
        f"The test images show no {absent}.",
        "2 folds instead of 5: the others would have no image to validate with.",
        f"Always trained on and never validated, with a single training image or group: {single}.",
    )


def test_a_class_of_one_training_image_with_given_test_images_is_always_trained_on(row, table):
    rows = many(row, {"a": 1, "b": 9}, split="train") + many(row, {"a": 3, "b": 3}, split="test")
    splits = split_table(table(rows), Protocol())
    assert splits.folds == 5
    assert all(0 in round_.train for round_ in splits.rounds)
    assert splits.notes == ("Always trained on and never validated, with a single training image or group: a.",)


def test_a_class_that_is_one_group_is_always_trained_on_and_said(row, table):
    rows = many(row, {"b": 30, "c": 30}) + [row(f"{i}", "a", group="g") for i in range(10)]
    splits = split_table(table(rows), Protocol())
    assert all(set(range(60, 70)) <= set(round_.train.tolist()) for round_ in splits.rounds)
    assert splits.notes[1:] == (
        "The test images show no a.",
        "Always trained on and never validated, with a single training image or group: a.",
    )


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"a": 30, "b": 1}, r"Class 'b' has one image in all: .* leave such classes out: --min-images-per-class 2 "),
        ({"a": 1, "b": 9, "c": 1}, r"Each of the classes 'a', 'c' has one image in all"),
    ],
)
@pytest.mark.parametrize("kind", ["folds", "holdout"])
def test_a_class_of_one_image_is_refused_with_the_way_out(row, table, counts, message, kind):
    with pytest.raises(DataError, match=message) as error:
        split_table(table(many(row, counts)), Protocol(kind=kind))
    assert "\n" not in str(error.value)


def test_without_anything_to_validate_with_there_is_no_study(row, table):
    rows = many(row, {"a": 1, "b": 1}, split="train") + many(row, {"a": 3, "b": 3}, split="test")
    for kind in ("folds", "holdout"):
        with pytest.raises(DataError, match="Nothing is left to validate with: every class has a single"):
            split_table(table(rows), Protocol(kind=kind))
    rows = [row(f"{i}", "ab"[i % 2], group="gh"[i % 2]) for i in range(20)]
    with pytest.raises(DataError, match="No test set can be cut"):
        split_table(table(rows), Protocol())


def test_the_smallest_class_that_suffices(row, table):
    for seed in range(10):
        splits = split_table(table(many(row, {"a": 6, "b": 60})), Protocol(seed=seed))
        assert [labels(splits, round_.validation)["a"] for round_ in splits.rounds] == [1] * 5
        assert labels(splits, splits.test)["a"] == 1
        splits = split_table(table(many(row, {"a": 3, "b": 60})), Protocol(seed=seed, kind="holdout"))
        assert (labels(splits, splits.test)["a"], labels(splits, splits.rounds[0].validation)["a"]) == (1, 1)


def test_groups_count_not_images(row, table):
    rows = many(row, {"b": 30}) + [row(f"{i}", "a", group=f"g{i % 3}") for i in range(30)]
    splits = split_table(table(rows), Protocol())
    assert labels(splits, splits.test)["a"] == 10
    assert sorted(labels(splits, round_.validation)["a"] for round_ in splits.rounds) == [0, 0, 0, 10, 10]


def test_given_splits_without_what_is_needed(row, table):
    with pytest.raises(DataError, match="DATA gives test, validation images but none for train"):
        split_table(table(given(row, "validation", "test")), Protocol())
    rows = many(row, {"a": 20}, split="train") + many(row, {"a": 5, "b": 5}, split="test")
    with pytest.raises(DataError, match="no training images of class b"):
        split_table(table(rows), Protocol())
    rows = given(row, "train", "test")
    rows[40:] = [replace(bad, status="set_aside", reason="empty file") for bad in rows[40:]]
    with pytest.raises(DataError, match="None of the test images of DATA is readable"):
        split_table(table(rows), Protocol())


def test_a_class_that_exists_only_under_two_labels_cannot_be_tested(row, table):
    rows = many(row, {"a": 40})
    for i in range(20):
        rows += [row(f"{label}/t{i}", label, group=f"t{i}", content=f"t{i}") for label in ("a", "b")]
    with pytest.raises(DataError, match="No image of class b could be put into the test set"):
        split_table(table(rows), Protocol())
