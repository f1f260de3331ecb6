import json

import pytest

from headstart import storage
from headstart.data.audit import audit
from headstart.data.images import read_table
from headstart.data.split import split_table
from headstart.recipe import Protocol


@pytest.fixture
def split_folders(tmp_path, save):
    """Train and test folders with a leak, a label conflict, a plain duplicate and two files set aside."""
    root = tmp_path / "data"
    for index in range(12):
        save(root / "train" / "a" / f"{index:02}.png", index)
    for index in range(2):
        save(root / "train" / "b" / f"{index}.png", 100 + index)
        save(root / "test" / "a" / f"{index}.png", 200 + index)
        save(root / "test" / "b" / f"{index}.png", 300 + index)
    save(root / "test" / "a" / "leak.bmp", 3)
    save(root / "train" / "b" / "conflict.png", 4)
    save(root / "train" / "a" / "again.png", 5)
    (root / "train" / "a" / "bad.jpg").write_text("words")
    (root / "readme.md").write_text("words")
    return root


def test_audit_of_given_splits(split_folders):
    table = read_table(split_folders)
    found = storage.to_plain(audit(table, split_table(table, Protocol(folds=2))))
    assert list(found) == [
        "set_aside", "exact_duplicates", "near_duplicates", "label_conflicts", "leaks", "counts", "warnings",
        "wrong_extensions", "rotated", "colour_modes", "sizes", "dark", "blank", "blurred", "atypical", "similar",
    ]  # fmt: skip
    assert found["set_aside"] == [
        {"path": "readme.md", "reason": "outside the class folders"},
        {"path": "train/a/bad.jpg", "reason": "text, not an image"},
    ]
    assert found["exact_duplicates"] == [
        ["test/a/leak.bmp", "train/a/03.png"],
        ["train/a/04.png", "train/b/conflict.png"],
        ["train/a/05.png", "train/a/again.png"],
    ]
    assert found["near_duplicates"] == []
    assert found["label_conflicts"] == [["train/a/04.png", "train/b/conflict.png"]]
    assert found["leaks"] == [
        {"kind": "exact", "paths": ["test/a/leak.bmp", "train/a/03.png"], "splits": ["train", "test"]}
    ]
    assert found["counts"] == {"train": {"a": 13, "b": 3}, "test": {"a": 3, "b": 2}}
    assert found["warnings"] == [
        "2 files set aside (readme.md: outside the class folders, train/a/bad.jpg: text, not an image).",
        "3 groups of equal images; headstart itself splits none of them.",
        "1 picture under more than one label: correct the labels or remove them.",
        "1 group of equal images in more than one given split: numbers flatter.",
    ]
    assert json.loads(storage.json_text(found)) == found


def test_a_clean_even_folder_has_nothing_to_say(flowers):
    table = read_table(flowers)
    found = audit(table, split_table(table, Protocol(kind="holdout")))
    assert (found.set_aside, found.exact_duplicates, found.label_conflicts, found.leaks, found.warnings) == ((),) * 5
    assert {split: sum(counts.values()) for split, counts in found.counts.items()} == {"train": 5, "test": 2}


def test_uneven_classes_and_empty_folders_are_warned_of(flowers, save):
    for index in range(20):
        save(flowers / "daisy" / f"more{index}.png", 1000 + index)
    (flowers / "tulip").mkdir()
    table = read_table(flowers)
    assert audit(table, split_table(table, Protocol(kind="holdout"))).warnings == (
        "The folder tulip holds no images and was left out.",
        "The classes are uneven: 'daisy' has 24 images, 'rose' only 3. Look at the balanced accuracy.",
    )
