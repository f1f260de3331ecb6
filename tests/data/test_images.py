import dataclasses
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from headstart.data import decode
from headstart.data.images import ImageRow, read_table
from headstart.data.table import natural_order
from headstart.errors import DataError, ImageError, UsageError
from headstart.progress import Progress
from headstart.recipe import DataRules
from headstart.storage import RUN_MARKER


def test_a_row_has_the_nine_columns():
    names = [field.name for field in dataclasses.fields(ImageRow)]
    assert names == ["path", "label", "sha256", "width", "height", "status", "reason", "group", "split"]


def test_class_folders(flowers):
    table = read_table(flowers)
    assert (table.name, table.location, table.classes) == ("flowers", str(flowers), ("daisy", "rose"))
    assert [row.path for row in table.rows[3:5]] == ["daisy/3.png", "rose/0.png"]
    first = table.rows[0]
    assert first.sha256 == hashlib.sha256((flowers / "daisy/0.png").read_bytes()).hexdigest()
    assert (first.label, first.width, first.height, first.status, first.split) == ("daisy", 16, 12, "ok", "")
    assert table.counts == {"daisy": 4, "rose": 3}
    assert table.encoded(first) == (flowers / "daisy/0.png").read_bytes()


def test_images_deeper_in_a_class_count_and_hidden_files_do_not(flowers, save):
    save(flowers / "daisy" / "garden" / "bed 2" / "deep.png", 50)
    for hidden in (".DS_Store", "daisy/.hidden.png", "daisy/Thumbs.db", "rose/desktop.ini", ".git/x/y.png"):
        (flowers / hidden).parent.mkdir(parents=True, exist_ok=True)
        (flowers / hidden).write_bytes(b"x")
    table = read_table(flowers)
    assert "daisy/garden/bed 2/deep.png" in {row.path for row in table.ok}
    assert (len(table.rows), len(table.set_aside)) == (8, 0)


def test_what_cannot_be_read_is_set_aside_by_name_and_reason(flowers):
    (flowers / "daisy" / "notes.jpg").write_text("not a picture")
    (flowers / "rose" / "half.png").write_bytes((flowers / "rose/0.png").read_bytes()[:300])
    (flowers / "rose" / "empty.jpg").touch()
    (flowers / "LICENSE.txt").write_text("free")
    table = read_table(flowers)
    assert {row.path: (row.label, row.reason) for row in table.set_aside} == {
        "LICENSE.txt": ("", "outside the class folders"),
        "daisy/notes.jpg": ("daisy", "text, not an image"),
        "rose/empty.jpg": ("rose", "empty file"),
        "rose/half.png": ("rose", "truncated PNG"),
    }
    assert table.counts == {"daisy": 4, "rose": 3}


def test_the_extension_does_not_matter(flowers):
    (flowers / "daisy/0.png").rename(flowers / "daisy/0.txt")
    assert len(read_table(flowers).ok) == 7


def test_classes_are_in_natural_order():
    labels = ["10", "2", "1", "b2", "b10", "a", "01"]
    assert natural_order([*labels, *labels]) == ("01", "1", "2", "10", "a", "b2", "b10")


def test_names_keep_their_letters(tmp_path, save):
    decomposed = "Lo\u0308wenzahn"
    for folder in (decomposed, "Gänse blümchen"):
        save(tmp_path / folder / "ünï 1.png", len(folder))
    table = read_table(tmp_path)
    assert set(table.classes) == {decomposed, "Gänse blümchen"} == {path.name for path in tmp_path.iterdir()}
    assert {row.path for row in table.rows} == {f"{decomposed}/ünï 1.png", "Gänse blümchen/ünï 1.png"}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux allows such names")
def test_names_that_are_no_text_are_set_aside(flowers):
    Path(os.fsdecode(bytes(flowers) + b"/rose/\xff.png")).write_bytes((flowers / "rose/0.png").read_bytes())
    table = read_table(flowers)
    assert [(row.path, row.reason) for row in table.set_aside] == [
        ("rose/\\udcff.png", "its path is not valid UTF-8: rename it")
    ]
    assert len(table.fingerprint) == 64


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_links_to_folders_are_followed_but_not_in_circles(flowers, save, tmp_path):
    save(tmp_path / "elsewhere" / "more.png", 60)
    (flowers / "rose" / "linked").symlink_to(tmp_path / "elsewhere")
    (flowers / "rose" / "circle").symlink_to(flowers)
    (flowers / "daisy" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    table = read_table(flowers)
    paths = {row.path for row in table.ok}
    assert "rose/linked/more.png" in paths
    assert len(paths) == 8
    assert ("daisy/gone.png", "a broken link or no regular file") in {(r.path, r.reason) for r in table.set_aside}


def test_a_file_that_cannot_be_opened_is_set_aside(flowers, monkeypatch):
    real_open = Path.open

    def open_unless_forbidden(self, *arguments, **options):
        if self.name == "1.png":
            raise PermissionError(13, "Permission denied")
        return real_open(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", open_unless_forbidden)
    reasons = {row.path: (row.sha256, row.reason) for row in read_table(flowers).set_aside}
    assert reasons == dict.fromkeys(["daisy/1.png", "rose/1.png"], ("", "cannot be read: Permission denied"))


def test_a_file_that_vanished_after_the_scan_is_an_image_error(flowers):
    table = read_table(flowers)
    (flowers / "daisy/0.png").unlink()
    with pytest.raises(ImageError, match="cannot be read"):
        table.encoded(table.rows[0])


@pytest.mark.parametrize("validation", ["val", "valid", "validation", "Val"])
def test_split_folders(tmp_path, save, validation):
    for split, count in (("Train", 3), (validation, 2), ("TEST", 1)):
        for index in range(count):
            save(tmp_path / split / "a" / f"{index}.png", index)
            save(tmp_path / split / "b" / f"{index}.png", 100 + index)
    table = read_table(tmp_path)
    assert table.classes == ("a", "b")
    splits = {row.path: row.split for row in table.rows}
    assert splits["Train/a/0.png"] == "train"
    assert splits[f"{validation}/b/1.png"] == "validation"
    assert list(splits.values()).count("test") == 2


def test_classes_called_train_and_test(tmp_path, save):
    for label in ("train", "bus"):
        save(tmp_path / label / "1.png", len(label))
    table = read_table(tmp_path)
    assert table.classes == ("bus", "train")
    assert {row.split for row in table.rows} == {""}


@pytest.mark.parametrize(
    ("split", "other", "hint"),
    [("train", "holdout", ""), ("Test", "Training", " Did you mean 'train'?"), ("train", "evaluation", None)],
)
def test_a_folder_that_seems_to_be_a_split_of_another_name_is_refused(tmp_path, save, split, other, hint):
    for folder in (split, other):
        for label in "ab":
            save(tmp_path / folder / label / "1.png", ord(label))
    with pytest.raises(DataError) as error:
        read_table(tmp_path)
    assert f"{other} holds the same folders as {split} (a, b), but its name is no split's" in str(error.value)
    assert "Allowed: train, validation, val, valid, test." in str(error.value)
    assert hint is None or f"test.{hint} Rename it" in str(error.value)


def test_classes_called_train_and_bus_may_hold_other_folders(tmp_path, save):
    for path in ("train/steam/1.png", "train/2.png", "bus/city/1.png"):
        save(tmp_path / path, len(path))
    assert read_table(tmp_path).classes == ("bus", "train")


def test_run_folders_in_data_are_passed_over(flowers, tmp_path, save):
    def make_run(folder: Path) -> None:
        save(folder / "media" / "worst-00001.jpg", 900)
        (folder / RUN_MARKER).write_text("id")

    before = read_table(flowers)
    for run in ("runs/flowers-1", "rose/runs/deep", "run"):
        make_run(flowers / run)
    table = read_table(flowers)
    assert table.rows == before.rows
    assert table.notes == ("The folder runs holds no images and was left out.",)
    for split in ("train", "test"):
        for label in "ab":
            save(tmp_path / "parts" / split / label / "1.png", ord(label))
    make_run(tmp_path / "parts" / "runs" / "parts-1")
    assert {row.split for row in read_table(tmp_path / "parts").rows} == {"train", "test"}


def test_an_empty_class_folder_is_left_out_and_noted(flowers):
    (flowers / "tulip").mkdir()
    table = read_table(flowers)
    assert table.classes == ("daisy", "rose")
    assert table.notes == ("The folder tulip holds no images and was left out.",)


def make_folders(root: Path, *names: str) -> None:
    for name in names:
        (root / name).mkdir(parents=True)


def test_data_that_cannot_be_used(tmp_path, save, flowers):
    make_folders(tmp_path, "nothing", "hollow/a", "hollow/b", "two/train/a", "two/val/a", "two/validation/a")
    make_folders(tmp_path, "mixed/train/a", "mixed/test/a", "trainless/test/a", "trainless/val/a")
    save(tmp_path / "one" / "only" / "1.png", 1)
    for label in "ab":
        save(tmp_path / "wrapped" / "data" / label / "1.png", ord(label))
        save(tmp_path / "flat" / "train" / label / "1.png", ord(label))
        save(tmp_path / "dead" / label / "1.png", ord(label))
    save(tmp_path / "flat" / "test" / "1.png", 9)
    save(tmp_path / "loose" / "1.png", 1)
    save(tmp_path / "mixed" / "other" / "1.png", 1)
    (tmp_path / "dead" / "b" / "1.png").write_text("gone")
    (tmp_path / "text" / "a").mkdir(parents=True)
    (tmp_path / "text" / "a" / "1.png").write_text("gone")
    cases = {
        "flowrs": "There is no folder or file .*flowrs.* Did you mean 'flowers'",
        "nothing": "no images in class folders in .*nothing. Put each class",
        "hollow": "no images in class folders",
        "loose": "no images in class folders",
        "one": "only one class in .*: 'only'. At least two are needed.$",
        "wrapped": "only one class .* If the classes lie one folder deeper, give .*wrapped.data.$",
        "two": "both val and validation",
        "mixed": r"split folders \(test, train\) and others \(other\)",
        "trainless": "holds test, validation but no train folder",
        "flat": "test holds no class folders",
        "dead": r"Class 'b' has no readable image \(for example b/1.png: text, not an image\)",
        "text": "None of the 1 files in .* is a readable image",
        "one/only/1.png": "is a file. DATA must be a folder, or a CSV",
    }
    for name, message in cases.items():
        with pytest.raises(DataError, match=message) as error:
            read_table(tmp_path / name)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("names", "note"),
    [
        (("a/1.png", "b/1.jpg"), "Class 'b' has no readable image (for example b/1.jpg: text, not an image)."),
        (("a/1.png", "a/2.png"), "There is only one class in"),
    ],
)
def test_what_no_study_can_learn_from_can_be_read_all_the_same(tmp_path, save, names, note):
    for number, name in enumerate(names):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("gone") if path.suffix == ".jpg" else save(path, number)
    with pytest.raises(DataError, match=re.escape(note)):
        read_table(tmp_path / "data")
    table = read_table(tmp_path / "data", strict=False)
    assert table.notes[0].startswith(note)
    assert table.classes == tuple(sorted({name[0] for name in names}))
    (tmp_path / "data" / "a" / "1.png").write_text("gone")
    (tmp_path / "data" / "a" / "2.png").unlink(missing_ok=True)
    with pytest.raises(DataError, match=r"None of the . files"):
        read_table(tmp_path / "data", strict=False)


def test_group_by_must_be_valid_before_anything_is_read(tmp_path):
    with pytest.raises(UsageError, match=r"--group-by must be folder, exif-burst or a regular expression.*'\(a'"):
        read_table(tmp_path / "not there", rules=DataRules(group_by="(a"))


def test_equal_pictures_share_a_group_whatever_their_file_format(flowers, save):
    save(flowers / "rose" / "copy.png", 0)
    save(flowers / "rose" / "copy.bmp", 0)
    table = read_table(flowers)
    groups = {row.path: row.group for row in table.rows}
    assert groups["rose/copy.png"] == groups["rose/copy.bmp"] == groups["daisy/0.png"] != ""
    assert sum(group == "" for group in groups.values()) == 6


def test_folder_groups(flowers, save):
    for label, seed in (("daisy", 70), ("rose", 80)):
        save(flowers / label / "plant7" / "x.png", seed)
    save(flowers / "daisy" / "plant7" / "y.png", 71)
    groups = {row.path: row.group for row in read_table(flowers, rules=DataRules(group_by="folder")).rows}
    assert {path for path, group in groups.items() if group == "plant7"} == {
        "daisy/plant7/x.png", "daisy/plant7/y.png", "rose/plant7/x.png",
    }  # fmt: skip
    assert groups["daisy/0.png"] == ""


def test_a_rule_that_joins_nothing_is_noted(flowers):
    table = read_table(flowers, rules=DataRules(group_by=r"plant\d+"))
    assert table.notes == (r"--group-by plant\d+ joined no images.",)


def test_the_fingerprint_changes_with_content_labels_and_groups_only(flowers):
    table = read_table(flowers)
    assert read_table(str(flowers)).fingerprint == table.fingerprint
    moved = flowers.with_name("moved")
    flowers.rename(moved)
    assert read_table(moved).fingerprint == table.fingerprint
    assert read_table(moved, rules=DataRules(group_by=r"(\d)\.png")).fingerprint != table.fingerprint
    (moved / "rose" / "0.png").rename(moved / "daisy" / "rose.png")
    assert read_table(moved).fingerprint != table.fingerprint


def test_progress_counts_every_image(flowers):
    class Counting(Progress):
        total = 0
        seen = 0

        def track(self, name, *, total, unit):
            self.total, self.unit = total, unit
            return super().track(name, total=total, unit=unit)

    progress = Counting()
    read_table(flowers, progress=progress)
    assert (progress.total, progress.unit) == (7, "images")


def test_user_files_are_never_touched(flowers, tmp_path):
    def state():
        return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in flowers.rglob("*.png")}

    before = state()
    read_table(flowers, cache=tmp_path / "cache")
    assert state() == before
    assert {path.name for path in tmp_path.iterdir()} == {"flowers", "cache"}


def test_pixels_of_a_row(flowers):
    table = read_table(flowers)
    expected = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    np.testing.assert_array_equal(decode.pixels(table.encoded(table.rows[0])), expected)


def test_the_fingerprint_is_the_same_in_another_process(flowers):
    code = f"from headstart.data.images import read_table; print(read_table({str(flowers)!r}).fingerprint)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == read_table(flowers).fingerprint
