"""Folders and zip files that are no classifier, or are made to harm: refused in one line, and nothing is written."""

import hashlib
import json
import os
import shutil
import stat
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from headstart.classifier import archive, bundle, info, predict
from headstart.errors import ClassifierError

FILES = ("classifier.json", "model.xml", "model.bin", "weights.npz", "unknown.npz", "probes.npz", "README.md")
pytestmark = pytest.mark.usefixtures("watched")


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """Let the working and the temporary folder be empty ones, and find them so at the end."""
    outside = [tmp_path / "deep" / name for name in ("cwd", "temp")]
    for folder in outside:
        folder.mkdir(parents=True)
    monkeypatch.chdir(outside[0])
    monkeypatch.setenv("TMPDIR", str(outside[1]))
    before = set(tmp_path.iterdir())
    yield
    assert [path for path in (tmp_path / "deep").rglob("*") if path not in outside] == []
    assert {path.name for path in set(tmp_path.iterdir()) - before} <= {"birds", "birds.zip", "elsewhere", "copy.zip"}


@pytest.fixture
def zipped(birds):
    return bundle.pack(birds, birds.with_suffix(".zip"))


def refused(path, message):
    with pytest.raises(ClassifierError, match=message) as caught:
        predict.load(path)
    assert "\n" not in str(caught.value)


def write_zip(path, folder, *, method=zipfile.ZIP_STORED, rename=None, extra=()):
    """Write a zip file of a folder as other programs would; ``extra`` are further (entry, content)."""
    with zipfile.ZipFile(path, "w", method) as out:
        for file in sorted(folder.iterdir()):
            entry = zipfile.ZipInfo("placeholder")
            entry.filename, entry.compress_type = (rename or {}).get(file.name, file.name), method
            out.writestr(entry, file.read_bytes())
        for name, content in extra:
            out.writestr(name, content)
    return path


def test_a_zip_file_says_what_its_folder_says(birds, zipped):
    images = [np.random.default_rng(4).integers(0, 256, (30, 50, 3), np.uint8) for _ in range(5)]
    folder, packed = predict.load(birds), predict.load(zipped)
    np.testing.assert_array_equal(folder.probabilities(images), packed.probabilities(images))
    assert folder.predict(images) == packed.predict(images)
    assert folder.info == packed.info
    for name in FILES[1:]:
        assert packed.bundle.read(name) == (birds / name).read_bytes()


def test_packing_is_deterministic_and_leaves_the_users_files_out(birds, zipped):
    first = zipped.read_bytes()
    (birds / "notes.txt").write_text("mine")
    os.utime(birds / "model.bin", (0, 10**9))
    assert bundle.pack(birds, birds.with_name("copy.zip")).read_bytes() == first
    with zipfile.ZipFile(zipped) as found:
        assert found.namelist() == sorted(FILES)
        assert found.testzip() is None


def test_an_interrupted_pack_leaves_the_old_file(birds, zipped, monkeypatch):
    before = zipped.read_bytes()
    monkeypatch.setattr(archive, "pack", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        bundle.pack(birds, zipped)
    assert zipped.read_bytes() == before
    assert sorted(path.name for path in birds.parent.iterdir()) == ["birds", "birds.zip", "deep"]


def test_a_damaged_folder_is_not_packed(birds):
    (birds / "model.bin").write_bytes(b"")
    with pytest.raises(ClassifierError, match="damaged"):
        bundle.pack(birds, birds.with_suffix(".zip"))


def test_deflated_by_another_program_is_read_too(birds):
    write_zip(birds.with_suffix(".zip"), birds, method=zipfile.ZIP_DEFLATED)
    assert predict.load(birds.with_suffix(".zip")).info == predict.load(birds).info


@pytest.mark.parametrize("name", FILES[1:])
@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_a_changed_byte_in_any_file_is_refused(birds, name, kind):
    content = bytearray((birds / name).read_bytes())
    content[len(content) // 2] ^= 1
    (birds / name).write_bytes(bytes(content))
    place = birds if kind == "folder" else write_zip(birds.with_suffix(".zip"), birds)
    refused(place, f"is damaged: {name} is not the file that was saved")


def test_a_changed_byte_in_the_description_is_refused_or_changes_nothing(birds):
    text, known = (birds / "classifier.json").read_bytes(), bundle.read_info(birds)
    refusals = 0
    for place in range(0, len(text), 23):
        (birds / "classifier.json").write_bytes(text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :])
        try:
            assert bundle.read_info(birds) == known
        except ClassifierError:
            refusals += 1
    assert refusals > 0.7 * len(range(0, len(text), 23))


def test_another_class_name_is_damage(birds):
    text = (birds / "classifier.json").read_text()
    (birds / "classifier.json").write_text(text.replace('"crow"', '"crew"'))
    refused(birds, "classifier.json is not the file that was saved")
    (birds / "classifier.json").write_text(json.dumps(json.loads(text)))
    assert predict.load(birds).classes[0] == "crow"


def test_a_changed_byte_of_the_zip_file_itself_is_refused_or_changes_nothing(birds, zipped):
    content, known = zipped.read_bytes(), bundle.open_bundle(birds)
    # the list at the end is where most fields are
    places = [*range(0, len(content), len(content) // 20), *range(len(content) - 500, len(content), 5)]
    refusals = 0
    for place in places:
        zipped.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        try:
            found = bundle.open_bundle(zipped)
            assert found.info == known.info
            assert all(found.read(name) == known.read(name) for name in FILES[1:])
        except ClassifierError:
            refusals += 1
    assert refusals > len(places) / 2


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_said(birds, name):
    (birds / name).unlink()
    refused(birds, "holds no classifier.json" if name == "classifier.json" else f"incomplete: {name} is missing")
    refused(write_zip(birds.with_suffix(".zip"), birds), "holds no classifier.json|is missing")


@pytest.mark.parametrize("length", [0, 1, 21, 100, 5000])
def test_a_truncated_zip_file_is_refused(zipped, length):
    zipped.write_bytes(zipped.read_bytes()[:length])
    refused(zipped, "neither a folder nor a zip file|cannot be read")


@pytest.mark.parametrize(
    "content", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"PK\x05\x06" + bytes(18), b"PK\x05\x06" * 900]
)
def test_files_that_are_no_zip_file_are_refused(birds, content):
    birds.with_suffix(".zip").write_bytes(content)
    refused(birds.with_suffix(".zip"), "is no classifier|cannot be read")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../evil.txt", "points outside"),
        ("../../deep/cwd/evil.txt", "points outside"),
        ("..", "points outside"),
        ("/evil.txt", "points outside"),
        ("C:/evil.txt", "points outside"),
        ("C:evil.txt", "points outside"),
        ("\\\\server\\evil.txt", "points outside"),
        ("sub\\model.xml", "points outside"),
        ("sub/model.xml", "without their folder"),
        ("sub/", "without their folder"),
        ("__MACOSX/._model.xml", "without their folder"),
        ("evil.txt", "is no file of a classifier"),
        ("Model.xml", "is no file of a classifier"),
        ("model.xml ", "is no file of a classifier"),
        ("model.xml\0.txt", "is no file of a classifier|cannot be read"),
        ("x" * 3000, "is no file of a classifier"),
        ("a\nb", "is no file of a classifier"),
    ],
)
def test_entries_with_other_names_are_refused(birds, name, message):
    entry = zipfile.ZipInfo("placeholder")
    entry.filename = name
    # seven files are all that a bundle has
    (birds / "README.md").unlink()
    refused(write_zip(birds.with_suffix(".zip"), birds, extra=[(entry, b"evil")]), message)
    refused(write_zip(birds.with_suffix(".zip"), birds, rename={"model.bin": name}), message)


def test_a_zip_file_of_the_folder_itself_says_what_to_do(birds):
    renamed = {name: f"classifier/{name}" for name in FILES}
    refused(write_zip(birds.with_suffix(".zip"), birds, rename=renamed), "without their folder")


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_a_file_that_is_there_twice_is_refused(birds):
    (birds / "README.md").unlink()
    refused(write_zip(birds.with_suffix(".zip"), birds, extra=[("model.xml", b"<net/>")]), "holds a file twice")


def test_links_in_a_zip_file_are_refused(birds):
    (birds / "README.md").unlink()
    for kind in (stat.S_IFLNK, stat.S_IFIFO, stat.S_IFDIR):
        entry = zipfile.ZipInfo("README.md")
        entry.external_attr = (kind | 0o777) << 16
        refused(write_zip(birds.with_suffix(".zip"), birds, extra=[(entry, b"/etc/passwd")]), "a link or no plain file")


@pytest.mark.skipif(os.name == "nt", reason="links need a right of their own there")
@pytest.mark.parametrize("name", FILES)
def test_links_in_a_folder_are_refused(birds, name):
    elsewhere = birds.with_name("elsewhere")
    shutil.copy(birds / name, elsewhere)
    (birds / name).unlink()
    (birds / name).symlink_to(elsewhere)
    refused(birds, "a link or no plain file")


@pytest.mark.skipif(os.name == "nt", reason="there are no pipes in folders there")
def test_pipes_and_folders_in_the_place_of_files_are_refused(birds):
    (birds / "model.bin").unlink()
    os.mkfifo(birds / "model.bin")
    refused(birds, "a link or no plain file")
    (birds / "model.bin").unlink()
    (birds / "model.bin").mkdir()
    refused(birds, "a link or no plain file")


def test_the_users_own_files_in_a_folder_are_left_alone(birds):
    (birds / "notes.txt").write_text("mine")
    (birds / "evil.py").write_text("raise SystemExit")
    assert predict.load(birds).classes[0] == "crow"


def test_encrypted_and_oddly_packed_entries_are_refused(birds, zipped):
    content = bytearray(zipped.read_bytes())
    start = content.rfind(b"PK\x01\x02")
    content[start + 8] |= 1
    zipped.write_bytes(bytes(content))
    refused(zipped, "encrypted")
    refused(write_zip(zipped, birds, method=zipfile.ZIP_BZIP2), "packed in an unusual way")


def declared(path, name, size):
    """Let the list of a zip file's entries say that one has ``size`` bytes."""
    content = bytearray(path.read_bytes())
    start = content.rfind(name.encode()) - 46
    assert content[start : start + 4] == b"PK\x01\x02"
    struct.pack_into("<I", content, start + 24, size)
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("name", ["classifier.json", "model.bin", "probes.npz"])
def test_two_gigabytes_that_are_only_said_are_refused(birds, name):
    path = write_zip(birds.with_suffix(".zip"), birds, method=zipfile.ZIP_DEFLATED)
    declared(path, name, 2**31)
    refused(path, "would unpack from")


ZEROS = 50_000_000


@pytest.mark.parametrize("said", ["as it is", "as it was"])
@pytest.mark.parametrize("name", ["classifier.json", "model.bin", "README.md"])
def test_bombs_take_no_memory(birds, name, said):
    path, kept = birds.with_suffix(".zip"), (birds / name).read_bytes()
    (birds / name).write_bytes(bytes(ZEROS))
    write_zip(path, birds, method=zipfile.ZIP_DEFLATED)
    if said == "as it was":
        declared(path, name, len(kept))
    assert path.stat().st_size < ZEROS / 100
    tracemalloc.start()
    try:
        refused(path, "damaged|at most|cannot be read")
        assert tracemalloc.get_traced_memory()[1] < ZEROS / 4
    finally:
        tracemalloc.stop()


def grown(folder, name, size, fill=b" "):
    """Let a file of a bundle have a size, and the description say so: nothing but its size is wrong with it."""
    content = (folder / name).read_bytes().ljust(size, fill)
    (folder / name).write_bytes(content)
    files = json.loads((folder / "classifier.json").read_text())["files"]
    rewritten(folder, files={**files, name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}})


@pytest.mark.parametrize("kind", ["folder", "zip"])
@pytest.mark.parametrize(("name", "most"), [("model.xml", 2**26), ("probes.npz", 2**26), ("README.md", 2**24)])
def test_files_that_are_longer_than_they_can_be_are_refused_unread(birds, name, most, kind, monkeypatch):
    grown(birds, name, most + 1)
    path = write_zip(birds.with_suffix(".zip"), birds) if kind == "zip" else birds
    monkeypatch.setattr(archive._Streams, "check", None)
    refused(path, f"says that {name} has {most + 1:,} bytes; at most {most:,} are read")


def test_files_of_a_zip_file_that_shrink_as_no_weights_do_are_refused(birds, monkeypatch):
    monkeypatch.setattr(archive, "SMALL", 100_000)
    grown(birds, "model.bin", 90_000, b"\0")
    path = birds.with_suffix(".zip")
    predict.load(write_zip(path, birds, method=zipfile.ZIP_DEFLATED))
    grown(birds, "model.bin", 200_000, b"\0")
    refused(
        write_zip(path, birds, method=zipfile.ZIP_DEFLATED), r"model\.bin would unpack from [\d,]+ to 200,000 bytes"
    )
    predict.load(write_zip(path, birds))


@pytest.mark.parametrize("name", ["unknown.npz", "weights.npz"])
def test_arrays_that_are_larger_than_their_file_are_refused(birds, name):
    with np.load(birds / name) as arrays:
        arrays = {key: np.zeros((1000, *array.shape), array.dtype) for key, array in arrays.items()}
    np.savez_compressed(birds / name, **arrays)
    grown(birds, name, 0)
    with pytest.raises(ClassifierError, match=f"{name} in .* cannot be read: its arrays are larger than"):
        predict.load(birds).bundle.weights()


def test_more_entries_than_a_bundle_has_are_refused_before_they_are_listed(zipped, monkeypatch):
    monkeypatch.setattr(zipfile, "ZipFile", None)
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 9, 9, 500, 0, 0)
    zipped.write_bytes(end)
    refused(zipped, "holds 9 files; a classifier has at most 8")
    zipped.write_bytes(end.replace(b"\x09\x00", b"\x08\x00").replace(struct.pack("<I", 500), struct.pack("<I", 10**9)))
    refused(zipped, "holds 8 files")


def test_large_archives_are_counted_by_their_own_record(zipped, monkeypatch):
    monkeypatch.setattr(zipfile, "ZipFile", None)
    zipped.write_bytes(large_record(10**6) + locator(0) + END)
    refused(zipped, "holds 1,000,000 files")
    for comment in (1, 2**16 - 1, 2**16):
        zipped.write_bytes(bytes(100) + large_record(10**6) + locator(100) + END + bytes(comment))
        refused(zipped, "holds 1,000,000 files")


END = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, 50, 0, 0)


def large_record(entries):
    return struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, entries, entries, 46 * entries, 0)


def locator(place):
    return struct.pack("<4sIQI", b"PK\6\7", 0, place, 1)


def test_a_second_record_that_says_less_is_not_believed(zipped, monkeypatch):
    monkeypatch.setattr(zipfile, "ZipFile", None)
    zipped.write_bytes(large_record(3) + large_record(200_000) + locator(0) + END)
    refused(zipped, "its list of files is in two places")
    zipped.write_bytes(large_record(3) + large_record(200_000) + locator(56) + END)
    refused(zipped, "holds 200,000 files")


def bomb_of_arrays(path, shape, size=1000):
    """Write an npz file whose array says that it has another shape than its bytes."""
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + bytes(size)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("image_0.npy", content)


@pytest.mark.parametrize("shape", [(10**15,), (10**6, 10**6, 3), (999,), (-1000,), (0, 10**9)])
def test_arrays_that_are_not_as_large_as_they_say_are_refused(tmp_path, shape):
    bomb_of_arrays(tmp_path / "elsewhere", shape)
    with pytest.raises(ClassifierError, match="cannot be read"):
        archive.read_arrays((tmp_path / "elsewhere").read_bytes(), "it", most_bytes=10**6)


def test_arrays_beyond_the_bound_are_refused(tmp_path):
    bomb_of_arrays(tmp_path / "elsewhere", (2_000_000,), 2_000_000)
    content = (tmp_path / "elsewhere").read_bytes()
    assert archive.read_arrays(content, "it", most_bytes=3_000_000)["image_0"].shape == (2_000_000,)
    with pytest.raises(ClassifierError, match="larger than 1,000,000 bytes"):
        archive.read_arrays(content, "it", most_bytes=1_000_000)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"PK\x03\x04 not a zip file"])
def test_bytes_that_are_no_arrays_are_refused(content):
    with pytest.raises(ClassifierError, match="it cannot be read"):
        archive.read_arrays(content, "it", most_bytes=100)


def test_arrays_of_every_kind_come_back(tmp_path):
    given = {
        "a/b": np.arange(6.0).reshape(2, 3),
        "f": np.asfortranarray(np.ones((3, 2), np.float16)),
        "none": np.zeros((0, 4)),
    }
    np.savez(tmp_path / "elsewhere.npz", **given)
    (tmp_path / "elsewhere.npz").rename(tmp_path / "elsewhere")
    found = archive.read_arrays((tmp_path / "elsewhere").read_bytes(), "it", most_bytes=10_000)
    assert list(found) == list(given)
    for name, array in given.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def rewritten(birds, **changes):
    info = json.loads((birds / "classifier.json").read_text())
    (birds / "classifier.json").write_text(json.dumps({**info, "checksum": "", **changes}))


def test_a_list_that_names_other_files_is_refused(birds):
    files = json.loads((birds / "classifier.json").read_text())["files"]
    for name in ("../x", "/etc/passwd", "sub/model.xml", "notes.txt", "classifier.json", ""):
        rewritten(birds, files={**files, name: files["model.xml"]})
        refused(birds, "must list exactly")
    del files["weights.npz"]
    rewritten(birds, files=files)
    refused(birds, "must list exactly")


def test_a_size_that_is_not_the_files_is_refused(birds):
    files = json.loads((birds / "classifier.json").read_text())["files"]
    for size in (0, -1, 2**31, files["model.bin"]["bytes"] + 1):
        rewritten(birds, files={**files, "model.bin": {**files["model.bin"], "bytes": size}})
        refused(birds, "damaged: model.bin is not the file that was saved")


def test_a_file_that_changes_after_it_was_checked_is_not_used(birds):
    opened = bundle.open_bundle(birds)
    (birds / "model.bin").write_bytes((birds / "model.bin").read_bytes()[::-1])
    with pytest.raises(ClassifierError, match="damaged"):
        predict.Classifier(opened)
    with pytest.raises(ClassifierError, match=r"has no \.\./secret"):
        opened.read("../secret")


def test_a_zip_file_that_changes_after_it_was_checked_is_not_used(zipped):
    opened = bundle.open_bundle(zipped)
    zipped.write_bytes(bytes(zipped.stat().st_size))
    with pytest.raises(ClassifierError, match=r"cannot be read|damaged"):
        predict.Classifier(opened)


def test_an_enormous_description_is_not_read(birds, monkeypatch):
    monkeypatch.setitem(info.LARGEST, "classifier.json", 1000)
    refused(birds, "at most 1,000 are read")
