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
    assert found.warnings == ("2 files set aside (daisy/0.png: removed by list, rose/1.png: removed by list).",)


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
