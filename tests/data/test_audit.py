import json
from dataclasses import replace

import pytest
from PIL import Image

from headstart import storage
from headstart.data.audit import Audit, Leak, Sizes, Span, WrongExtension, audit
from headstart.data.images import read_table
from headstart.data.split import split_table
from headstart.data.table import NearGroup
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


def test_without_splits_the_given_ones_are_counted(split_folders, flowers):
    found = audit(read_table(split_folders))
    assert found.counts == {"train": {"a": 13, "b": 3}, "test": {"a": 3, "b": 2}}
    assert [leak.splits for leak in found.leaks] == [("train", "test")]
    assert audit(read_table(flowers)).counts == {"all": {"daisy": 4, "rose": 3}}


def test_files_that_are_not_what_they_seem(flowers):
    image = Image.open(flowers / "daisy/0.png")
    image.save(flowers / "daisy/wrong.jpg", "PNG", compress_level=0)
    image.rotate(90).save(flowers / "daisy/right.JPEG", "JPEG")
    image.rotate(180).save(flowers / "daisy/anything.dat", "JPEG")
    image.convert("CMYK").save(flowers / "rose/print.jpg")
    image.resize((30, 9)).convert("L").save(flowers / "rose/long.webp")
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(flowers / "rose/lying.tif", exif=exif)
    found = audit(read_table(flowers))
    assert found.wrong_extensions == (WrongExtension("daisy/wrong.jpg", "PNG"),)
    assert found.rotated == ("rose/lying.tif",)
    assert found.colour_modes == {"RGB": 12, "CMYK": 1}
    assert found.sizes == Sizes(Span(12, 16, 30), Span(9, 12, 16), 3, 13, ("rose/long.webp",))
    assert [warning for warning in found.warnings if "equal" not in warning] == [
        "1 file in another format than the name says (daisy/wrong.jpg: PNG); read all the same.",
        "1 image turned upright as the camera noted (rose/lying.tif); programs that ignore the note (EXIF) see them "
        "lying or mirrored.",
        "1 image stored as CMYK (colours for print) and converted to RGB.",
        "1 image with one side more than three times the other (rose/long.webp): little is left of them after "
        "resizing.",
    ]


def test_an_audit_comes_back_from_json(split_folders):
    found = audit(read_table(split_folders))
    plain = json.loads(storage.json_text(found))
    assert storage.from_plain(Audit, plain) == found
    older = {key: plain[key] for key in list(plain)[:7]}
    assert storage.from_plain(Audit, older).exact_duplicates == found.exact_duplicates


def test_a_group_that_is_not_joined_is_warned_of_and_leaks(row, table):
    rows = [row(f"{split}/{label}", label, split=split) for split in ("train", "test") for label in "ab"]
    made = replace(table(rows), near=(NearGroup(("test/a", "train/a", "train/b"), joined=False),))
    found = audit(made)
    assert found.near_duplicates == (("test/a", "train/a", "train/b"),)
    assert found.label_conflicts == ()
    assert found.leaks == (Leak("near", ("test/a", "train/a", "train/b"), ("train", "test")),)
    assert "3 images look nearly the same (test/a, train/a, train/b): too much of a class" in found.warnings[0]


def test_small_images_among_large_ones_are_warned_of(flowers, photograph):
    for number in range(8):
        photograph(number).save(flowers / "daisy" / f"large{number}.png")
    assert "7 images with a side below 64 pixels, far smaller than the others." in audit(read_table(flowers)).warnings


def test_a_clean_even_folder_has_nothing_to_say(flowers, save):
    for index in range(3):
        save(flowers / "daisy" / f"more{index}.png", 1000 + index)
        save(flowers / "rose" / f"more{index}.png", 2000 + index)
    table = read_table(flowers)
    found = audit(table, split_table(table, Protocol(kind="holdout")))
    assert (found.set_aside, found.exact_duplicates, found.label_conflicts, found.leaks, found.warnings) == ((),) * 5
    assert {split: sum(counts.values()) for split, counts in found.counts.items()} == {"train": 10, "test": 3}


def test_uneven_classes_and_empty_folders_are_warned_of(flowers, save):
    for index in range(20):
        save(flowers / "daisy" / f"more{index}.png", 1000 + index)
    (flowers / "tulip").mkdir()
    table = read_table(flowers)
    assert audit(table, split_table(table, Protocol(kind="holdout"))).warnings == (
        "The folder tulip holds no images and was left out.",
        "The classes are uneven: 'daisy' has 24 images, 'rose' only 3. Look at the balanced accuracy.",
        "Fewer than 5 images of a class (rose: 3): they cannot validate in every fold, and what is said of such a "
        "class rests on one or two of them.",
    )


def test_a_class_of_one_image_is_warned_of(flowers, save):
    save(flowers / "tulip" / "alone.png", 5000)
    assert audit(read_table(flowers)).warnings == (
        "One image in all of tulip: nothing would be left to judge such a class by, so a study refuses. Add images, or "
        "leave such classes out with --min-images-per-class 2.",
        "Fewer than 5 images of a class (daisy: 4, rose: 3): they cannot validate in every fold, and what is said of "
        "such a class rests on one or two of them.",
    )


@pytest.mark.parametrize(
    ("given", "protocol", "splits"),
    [
        (("train", "validation"), Protocol(), ("train", "test")),
        (("train", "validation"), Protocol(kind="holdout"), ("train", "validation")),
    ],
)
def test_leaks_into_given_validation_images_count_as_what_these_are_used_for(row, table, given, protocol, splits):
    rows = [row(f"{part}/{label}/{i}", label, split=part) for part in given for label in "ab" for i in range(6)]
    rows += [row(f"{part}/a/leak", "a", split=part, group="g", content="leak") for part in given]
    data = table(rows)
    assert [leak.splits for leak in audit(data, split_table(data, protocol)).leaks] == [splits]
