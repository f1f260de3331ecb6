import numpy as np
import pytest
from PIL import Image

from headstart.data.audit import audit
from headstart.data.images import read_table
from headstart.data.split import split_table
from headstart.errors import DataError, UsageError
from headstart.recipe import DataRules, Protocol


def test_removed_images_are_set_aside_and_counted(flowers, save):
    save(flowers / "rose" / "3.png", 103)
    table = read_table(flowers, rules=DataRules(remove=("rose/1.png", "daisy/0.png")))
    assert {row.path: (row.status, row.reason, row.label) for row in table.set_aside} == {
        "daisy/0.png": ("set_aside", "removed by list", "daisy"),
        "rose/1.png": ("set_aside", "removed by list", "rose"),
    }
    assert table.counts == {"daisy": 3, "rose": 3}
    found = audit(table, split_table(table, Protocol(kind="holdout")))
    assert [(one.path, one.reason) for one in found.set_aside] == [
        ("daisy/0.png", "removed by list"), ("rose/1.png", "removed by list"),
    ]  # fmt: skip
    assert found.warnings[0] == "2 files set aside (daisy/0.png: removed by list, rose/1.png: removed by list)."


def test_removed_images_are_not_even_opened(flowers):
    (flowers / "rose" / "bad.png").write_text("words")
    table = read_table(flowers, rules=DataRules(remove=("rose/bad.png",)))
    (row,) = table.set_aside
    assert (row.reason, row.sha256) == ("removed by list", "")


def test_images_in_arrays_can_be_removed():
    table = read_table("digits", rules=DataRules(remove=("digits#0003", "digits#1796")))
    assert [row.path for row in table.set_aside] == ["digits#0003", "digits#1796"]
    assert len(table.ok) == 1795


def test_paths_that_are_not_there_are_named_and_counted(flowers):
    remove = ("flowers/rose/1.png", "daisy/0.png", "x/1", "x/2", "x/3")
    with pytest.raises(UsageError) as error:
        read_table(flowers, rules=DataRules(remove=remove))
    assert str(error.value) == (
        f"4 of 5 paths to remove are not in {flowers}: flowers/rose/1.png, x/1, x/2 and 1 more. "
        "Give them relative to DATA, as in the image table. Did you mean 'rose/1.png'?"
    )


def test_a_class_may_not_lose_all_its_images(flowers):
    with pytest.raises(DataError, match=r"Class 'rose' has no readable image \(for example rose/0.png: removed by"):
        read_table(flowers, rules=DataRules(remove=tuple(f"rose/{index}.png" for index in range(3))))


def test_classes_bear_their_names_in_natural_order(flowers, save):
    save(flowers / "n10" / "1.png", 200)
    table = read_table(flowers, rules=DataRules(class_names={"daisy": "class 10", "n10": "class 9"}))
    assert table.classes == ("class 9", "class 10", "rose")
    assert {row.path: row.label for row in table.rows if row.path.endswith("1.png")} == {
        "daisy/1.png": "class 10", "n10/1.png": "class 9", "rose/1.png": "rose",
    }  # fmt: skip
    assert table.notes == ()


def test_images_that_are_set_aside_bear_the_new_names_too(flowers):
    (flowers / "rose" / "bad.png").write_text("words")
    table = read_table(flowers, rules=DataRules(class_names={"rose": "Rosa"}))
    assert [row.label for row in table.set_aside] == ["Rosa"]
    assert table.classes == ("Rosa", "daisy")


def test_labels_may_become_one_class_and_that_is_noted(flowers, save):
    for index in range(2):
        save(flowers / "tulip" / f"{index}.png", 300 + index)
        save(flowers / "oak" / f"{index}.png", 400 + index)
    names = {"daisy": "flower", "tulip": "flower", "rose": "oak"}
    table = read_table(flowers, rules=DataRules(class_names=names))
    assert table.counts == {"flower": 6, "oak": 5}
    assert table.notes == (
        "The labels daisy, tulip are one class, flower.",
        "The labels oak, rose are one class, oak.",
    )


def test_corrected_labels_count_and_are_noted(flowers):
    table = read_table(flowers, rules=DataRules(relabel={"rose/0.png": "daisy", "daisy/1.png": "daisy"}))
    assert {row.path: row.label for row in table.rows if row.path.endswith("0.png")} == {
        "daisy/0.png": "daisy", "rose/0.png": "daisy",
    }  # fmt: skip
    assert table.counts == {"daisy": 5, "rose": 2}
    assert table.notes == ("1 image has a corrected label.",)
    assert table.fingerprint != read_table(flowers).fingerprint


def test_corrected_labels_are_names_of_classes(flowers):
    names = {"rose": "Rosa"}
    rules = DataRules(class_names=names, relabel={"daisy/0.png": "Rosa", "daisy/1.png": "Rosa"})
    table = read_table(flowers, rules=rules)
    assert [row.label for row in table.rows if row.path in rules.relabel] == ["Rosa", "Rosa"]
    assert table.notes == ("2 images have a corrected label.",)
    with pytest.raises(UsageError, match=r"1 of 1 new labels are no class of .*: 'rose' for daisy/0\.png\. It has"):
        read_table(flowers, rules=DataRules(class_names=names, relabel={"daisy/0.png": "rose"}))


def test_groups_stay_what_they_are_under_corrected_labels(flowers, save):
    for index in range(2):
        save(flowers / "daisy" / "plant7" / f"{index}.png", 70 + index)
    table = read_table(flowers, rules=DataRules(group_by="folder", relabel={"daisy/plant7/0.png": "rose"}))
    assert {row.label for row in table.rows if row.group} == {"daisy", "rose"}
    assert {row.group for row in table.rows} == {"", "plant7"}


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (
            DataRules(relabel={"rose/0.png": "dasy"}),
            "1 of 1 new labels are no class of {}: 'dasy' for rose/0.png. It has daisy, rose. Did you mean 'daisy'?",
        ),
        (
            DataRules(relabel={"rose/9.png": "daisy", "rose/1.png": "daisy"}),
            "1 of 2 paths to relabel are not in {}: rose/9.png. Give them relative to DATA, as in the image table.",
        ),
        (
            DataRules(relabel={"rose/0.png": "daisy"}, remove=("rose/0.png",)),
            "rose/0.png cannot be removed and relabelled. Say one of the two.",
        ),
    ],
)
def test_what_is_wrong_with_corrected_labels_is_one_line(flowers, rules, message):
    with pytest.raises(UsageError) as error:
        read_table(flowers, rules=rules)
    assert str(error.value) == message.format(flowers)


def test_equal_pictures_of_labels_that_become_one_are_no_conflict(flowers, save):
    save(flowers / "tulip" / "same.png", 0)
    rules = DataRules(class_names={"daisy": "flower", "tulip": "flower"})
    table = read_table(flowers, rules=rules)
    found = audit(table, split_table(table, Protocol(kind="holdout")))
    assert (found.exact_duplicates, found.label_conflicts) == ((("daisy/0.png", "tulip/same.png"),), ())


def test_folder_groups_do_not_change_with_names(flowers, save):
    for index in range(2):
        save(flowers / "daisy" / "plant7" / f"{index}.png", 70 + index)
    names = {"daisy": "Gänseblümchen"}
    plain = read_table(flowers, rules=DataRules(group_by="folder"))
    named = read_table(flowers, rules=DataRules(group_by="folder", class_names=names))
    assert [row.group for row in named.rows] == [row.group for row in plain.rows]
    assert {row.group for row in named.rows} == {"", "plant7"}


def test_labels_that_are_not_there_are_an_error(flowers):
    with pytest.raises(UsageError) as error:
        read_table(flowers, rules=DataRules(class_names={"daisi": "x", "rose": "y", "oak": "z"}))
    assert str(error.value) == (
        f"class_names has labels that {flowers} does not have: daisi, oak. It has daisy, rose. Did you mean 'daisy'?"
    )


def test_empty_names_are_an_error(flowers):
    with pytest.raises(UsageError, match="class_names has no name for daisy"):
        read_table(flowers, rules=DataRules(class_names={"daisy": " "}))


def test_names_for_digits():
    names = {"0": "nought", "1": "one"}
    table = read_table("digits", rules=DataRules(class_names=names))
    assert table.classes == (*"23456789", "nought", "one")
    assert table.counts["nought"] == read_table("digits").counts["0"]


def test_the_fingerprint_changes_with_every_rule(flowers):
    rules = [
        DataRules(),
        DataRules(class_names={"rose": "tulip"}),
        DataRules(remove=("rose/0.png",)),
        DataRules(remove=("rose/1.png",)),
        DataRules(relabel={"rose/1.png": "daisy"}),
        DataRules(limit=5),
        DataRules(limit=4),
    ]
    prints = [read_table(flowers, rules=one).fingerprint for one in rules]
    assert len(set(prints)) == len(rules)
    assert read_table(flowers, rules=DataRules(class_names={"rose": "rose"})).fingerprint == prints[0]


def test_grey_files_become_colour_by_repeating(flowers):
    from headstart.data import decode

    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    Image.fromarray(grey).save(flowers / "daisy" / "grey.png")
    table = read_table(flowers)
    (row,) = [row for row in table.rows if row.path == "daisy/grey.png"]
    pixels = decode.load(table.encoded(row), decode.Resize(8, 8))
    np.testing.assert_array_equal(pixels, np.repeat(grey[:, :, None], 3, axis=2))


@pytest.fixture
def uneven(flowers, save):
    """Return a folder with 4 daisies, 3 roses, 2 tulips (one more is unreadable) and an oak."""
    for path, seed in (("oak/0.png", 500), ("tulip/0.png", 600), ("tulip/1.png", 601)):
        save(flowers / path, seed)
    (flowers / "tulip" / "bad.png").write_text("words")
    return flowers


def test_small_classes_are_left_out_whole_and_said(uneven):
    table = read_table(uneven, rules=DataRules(min_images_per_class=3))
    assert table.counts == {"daisy": 4, "rose": 3}
    assert {row.label for row in table.rows} == {"daisy", "rose"} == set(table.classes)
    assert set(table.facts) == {row.path for row in table.rows}
    assert table.notes == ("2 classes were left out, with fewer than 3 images to learn from (oak: 1, tulip: 2).",)
    assert split_table(table, Protocol()).test.size == 2


def test_a_class_of_one_image_is_refused_until_it_is_left_out(uneven):
    with pytest.raises(DataError, match="Class 'oak' has one image in all"):
        split_table(read_table(uneven), Protocol())
    table = read_table(uneven, rules=DataRules(min_images_per_class=2))
    assert table.notes == ("1 class was left out, with fewer than 2 images to learn from (oak: 1).",)
    assert len(split_table(table, Protocol()).rounds) >= 2


def test_a_class_without_a_readable_image_can_be_left_out(flowers):
    (flowers / "tulip").mkdir()
    (flowers / "tulip" / "bad.png").write_text("words")
    with pytest.raises(DataError, match="'tulip' has no readable image"):
        read_table(flowers)
    assert read_table(flowers, rules=DataRules(min_images_per_class=1)).classes == ("daisy", "rose")


def test_given_test_images_do_not_make_a_class_large(tmp_path, save):
    for split, label, count in (("train", "a", 6), ("train", "b", 6), ("train", "c", 1), ("test", "c", 5)):
        for index in range(count):
            save(tmp_path / "data" / split / label / f"{index}.png", hash((split, label, index)) % 2**32)
    for label in "ab":
        save(tmp_path / "data" / "test" / label / "0.png", ord(label))
    table = read_table(tmp_path / "data", rules=DataRules(min_images_per_class=2))
    assert (table.classes, len(table.rows)) == (("a", "b"), 14)
    pooled = read_table(tmp_path / "data", rules=DataRules(min_images_per_class=2, pool=True))
    assert pooled.counts == {"a": 7, "b": 7, "c": 6}


def test_classes_that_are_all_too_small_are_an_error(uneven):
    with pytest.raises(DataError, match=r"Fewer than two classes of .* the others have 3 or fewer\. Use a smaller"):
        read_table(uneven, rules=DataRules(min_images_per_class=4))


def test_a_pool_forgets_the_given_splits_and_says_from_where_its_images_come(tmp_path, save):
    for split, count in (("train", 9), ("val", 4), ("test", 3)):
        for label in "ab":
            for index in range(count):
                save(tmp_path / "data" / split / label / f"{index}.png", len(split) * 1000 + ord(label) * 10 + index)
    save(tmp_path / "data" / "test" / "a" / "copy.bmp", 5000 + 970)
    table = read_table(tmp_path / "data", rules=DataRules(pool=True))
    assert table.notes == (
        "The given splits were put together, to be cut anew: 18 train, 8 validation, 7 test images.",
    )
    assert {row.split for row in table.rows} == {""}
    splits = split_table(table, Protocol())
    assert {row.path.split("/")[0] for row in splits.rows if row.split == "test"} > {"train"}
    twins = {row.split for row in splits.rows if row.path in ("train/a/0.png", "test/a/copy.bmp")}
    assert len(twins) == 1
    assert audit(table, splits).leaks == ()
    assert len(audit(read_table(tmp_path / "data")).leaks) == 1


def test_a_pool_without_given_splits_says_that_it_changed_nothing(flowers):
    table = read_table(flowers, rules=DataRules(pool=True))
    assert table.notes == ("--pool changed nothing: no splits are given.",)
    assert table.fingerprint == read_table(flowers).fingerprint
