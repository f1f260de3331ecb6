"""Weights: found, checked, refused, downloaded (never in these tests) and loaded."""

import contextlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from headstart.backbones import weights
from headstart.backbones.architectures import build
from headstart.backbones.catalog import CATALOG
from headstart.errors import WeightsError
from headstart.storage import sha256_of

SHARED = Path(__file__).parents[2].parent / "shared" / "weights"
MOBILENET = CATALOG["mobilenet"]
SMALL = CATALOG["small_cnn"]


@pytest.fixture(autouse=True)
def no_network_and_an_empty_keras_cache(monkeypatch, tmp_path):
    def refuse(*arguments, **settings):
        raise AssertionError("a download was started")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(weights, "_download", refuse)


@pytest.fixture(scope="module")
def small_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "small_cnn.weights.h5"
    build(SMALL, image_size=8, seed=5).save_weights(str(path))
    return path


@pytest.fixture
def weights_dir(tmp_path, small_file):
    """A weights folder whose mobilenet file is a small stand-in: finding and checking do not open it."""
    place = tmp_path / "weights"
    place.mkdir()
    path = Path(shutil.copy(small_file, place / "mobilenet.weights.h5"))
    entry = {"sha256": sha256_of(path), "origin": "here", "licence": "MIT"}
    (place / "weights.json").write_text(json.dumps({"mobilenet": entry}), encoding="utf-8")
    return place


def file_of(path, backbone=SMALL):
    return weights.WeightsFile(backbone.name, path, "", "", "", checked=False)


def put_into_keras_cache(tmp_path, backbone, content=b"arrays"):
    path = tmp_path / "keras" / "models" / backbone.cached_as
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def test_found_in_the_named_folder(weights_dir):
    found = weights.locate(MOBILENET, weights_dir=weights_dir)
    path = weights_dir / "mobilenet.weights.h5"
    assert found == weights.WeightsFile("mobilenet", path, sha256_of(path), "here", "MIT", checked=True)
    assert weights.require(MOBILENET, weights_dir=weights_dir) == found


def test_found_in_the_folder_of_the_environment(weights_dir, monkeypatch):
    monkeypatch.setenv("HEADSTART_WEIGHTS", str(weights_dir))
    assert weights.locate(MOBILENET).path == weights_dir / "mobilenet.weights.h5"


def test_the_option_goes_before_the_environment(weights_dir, monkeypatch, tmp_path):
    monkeypatch.setenv("HEADSTART_WEIGHTS", str(tmp_path))
    assert weights.folder(weights_dir) == weights_dir


def test_a_folder_that_does_not_exist_is_an_error(tmp_path, monkeypatch):
    with pytest.raises(WeightsError, match=r"no weights folder .*nowhere \(from --weights-dir\)"):
        weights.locate(MOBILENET, weights_dir=tmp_path / "nowhere")
    monkeypatch.setenv("HEADSTART_WEIGHTS", str(tmp_path / "nowhere"))
    with pytest.raises(WeightsError, match=r"\(from HEADSTART_WEIGHTS\)"):
        weights.folder(None)


@pytest.mark.parametrize("index", [None, {}, {"resnet50": {"sha256": "0"}}, {"mobilenet": {"licence": "MIT"}}])
def test_without_a_published_checksum_a_file_is_unchecked(weights_dir, index):
    (weights_dir / "weights.json").unlink()
    if index is not None:
        (weights_dir / "weights.json").write_text(json.dumps(index), encoding="utf-8")
    assert weights.locate(MOBILENET, weights_dir=weights_dir).checked is False


def test_a_tampered_copy_is_refused(weights_dir):
    path = weights_dir / "mobilenet.weights.h5"
    assert weights.locate(MOBILENET, weights_dir=weights_dir)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"mobilenet\.weights\.h5 is damaged or another file: its SHA-256 is "):
        weights.require(MOBILENET, weights_dir=weights_dir)


@pytest.mark.parametrize(("text", "message"), [("{", "is not JSON"), ("[]", "should map"), ('{"a": 1}', "should map")])
def test_an_unreadable_index_is_an_error(weights_dir, text, message):
    (weights_dir / "weights.json").write_text(text, encoding="utf-8")
    with pytest.raises(WeightsError, match=message):
        weights.locate(MOBILENET, weights_dir=weights_dir)


def test_missing_with_a_folder_names_every_way_and_does_not_download(tmp_path):
    assert weights.locate(MOBILENET, weights_dir=tmp_path) is None
    with pytest.raises(WeightsError) as caught:
        weights.require(MOBILENET, weights_dir=tmp_path)
    message = str(caught.value)
    for part in (
        str(tmp_path / "mobilenet.weights.h5"),
        str(tmp_path / "keras" / "models" / "mobilenet_1_0_224_tf_no_top.h5"),
        "--weights-dir",
        "HEADSTART_WEIGHTS",
        "headstart weights fetch mobilenet",
        "mobilenet:random",
    ):
        assert part in message
    assert "\n" not in message


def test_missing_without_a_folder_downloads(monkeypatch, weights_dir):
    expected = file_of(weights_dir / "x.h5", MOBILENET)
    monkeypatch.setattr(weights, "_download", {MOBILENET: expected}.get)
    assert weights.require(MOBILENET) is expected


def test_a_failed_download_says_why_and_what_to_do(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(weights, "locate", lambda backbone, weights_dir: None)

    def unreachable(**settings):
        raise Exception("URL fetch failure on somewhere: no route\nmore")

    monkeypatch.setattr(weights.keras_module().applications, "MobileNet", unreachable)
    with pytest.raises(WeightsError, match=r"--weights-dir.*The download failed: URL fetch failure.*no route$"):
        weights.require(MOBILENET)


def test_a_network_without_pretrained_weights_says_so():
    with pytest.raises(WeightsError, match="small_cnn has no pretrained weights"):
        weights.require(SMALL)
    with pytest.raises(WeightsError, match="small_cnn has no pretrained weights"):
        weights.fetch(SMALL)


def test_found_in_the_cache_of_keras(tmp_path):
    path = put_into_keras_cache(tmp_path, MOBILENET)
    found = weights.require(MOBILENET)
    assert (found.path, found.sha256, found.checked) == (path, sha256_of(path), False)
    assert found.licence == "Apache-2.0" and "ImageNet" in found.origin
    empty = tmp_path / "empty"
    empty.mkdir()
    assert weights.require(MOBILENET, weights_dir=empty) == found


def test_the_cache_of_keras_is_checked_where_keras_publishes_a_checksum(tmp_path):
    path = put_into_keras_cache(tmp_path, CATALOG["resnet50"])
    with pytest.raises(WeightsError, match=f"{path.name} is damaged.*Delete it"):
        weights.locate(CATALOG["resnet50"])


def test_the_cache_of_keras_is_where_keras_looks(monkeypatch):
    from keras.src.backend import config

    monkeypatch.delenv("KERAS_HOME")
    assert weights._keras_cache() == Path(config.keras_home()) / "models"


@pytest.mark.parametrize("row", [row for row in CATALOG.values() if row.pretrained], ids=lambda row: row.name)
def test_names_and_checksums_are_those_that_keras_asks_for(row, monkeypatch):
    """Keras is let run until it asks for the file; the name and the MD5 in the catalogue must be Keras' own."""
    from keras.src.utils import file_utils

    class AskedError(Exception):
        pass

    asked = []

    def get_file(name, origin, **settings):
        asked.append((name, settings.get("file_hash") or ""))
        raise AskedError

    monkeypatch.setattr(file_utils, "get_file", get_file)
    builder = getattr(weights.keras_module().applications, row.builder)
    with contextlib.suppress(AskedError):
        builder(include_top=False, weights="imagenet", input_shape=(row.default_size, row.default_size, 3))
    assert asked == [(row.cached_as, row.cached_md5)]


def test_checksums_are_computed_once(weights_dir, monkeypatch):
    weights.locate(MOBILENET, weights_dir=weights_dir)
    hits = weights._digest_once.cache_info().hits
    weights.locate(MOBILENET, weights_dir=weights_dir)
    assert weights._digest_once.cache_info().hits == hits + 1


def test_load_gives_the_arrays_of_the_file(small_file):
    model = build(SMALL, image_size=16, seed=1)
    weights.load(model, file_of(small_file))
    for received, expected in zip(model.get_weights(), build(SMALL, image_size=8, seed=5).get_weights(), strict=True):
        np.testing.assert_array_equal(received, expected)


def write_legacy(path, model):
    """Write a model's arrays as Keras 1 and 2 did: by layer, names in attributes."""
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{number}".encode() for number in range(len(layer.weights))]
            group.attrs["weight_names"] = names
            for name, value in zip(names, layer.get_weights(), strict=True):
                group.create_dataset(name.decode(), data=value)


def test_load_reads_the_legacy_layout_of_the_cache_of_keras(tmp_path):
    source, target = build(SMALL, image_size=8, seed=5), build(SMALL, image_size=8, seed=6)
    write_legacy(tmp_path / "old.h5", source)
    weights.load(target, file_of(tmp_path / "old.h5"))
    for received, expected in zip(target.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(received, expected)


def test_load_refuses_arrays_of_another_network(small_file):
    with pytest.raises(WeightsError, match=r"does not fit mobilenet: it holds 98,160 numbers, .* has 3,228,864"):
        weights.load(build(MOBILENET, image_size=32), file_of(small_file, MOBILENET))


def test_load_refuses_other_shapes(tmp_path):
    import keras

    image = keras.layers.Input((8, 8, 3))
    model = keras.Model(image, keras.layers.Dense(SMALL.parameters // 4, name="dense")(image))
    model.save_weights(str(tmp_path / "x.weights.h5"))
    with pytest.raises(WeightsError, match="does not fit small_cnn: "):
        weights.load(build(SMALL, image_size=8), file_of(tmp_path / "x.weights.h5"))


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all", None])
def test_load_refuses_files_that_are_none(tmp_path, small_file, content):
    path = tmp_path / "x.weights.h5"
    path.write_bytes(small_file.read_bytes()[:200_000] if content is None else content)
    with pytest.raises(WeightsError, match=r"x\.weights\.h5 does not fit small_cnn"):
        weights.load(build(SMALL, image_size=8), file_of(path))


def test_fetch_keeps_the_official_weights_in_the_named_folder(tmp_path, monkeypatch):
    """The small CNN stands in for a pretrained network: its file plays the one in the cache of Keras."""
    import dataclasses

    stand_in = dataclasses.replace(SMALL, weights_source="a test", cached_as="small.h5")
    (tmp_path / "keras" / "models").mkdir(parents=True)
    write_legacy(tmp_path / "keras" / "models" / "small.h5", build(SMALL, image_size=8, seed=5))
    place = tmp_path / "kept"
    place.mkdir()
    (place / "weights.json").write_text('{"other": {"sha256": "1"}}', encoding="utf-8")
    assert weights.fetch(stand_in).path.name == "small.h5"
    kept = weights.fetch(stand_in, weights_dir=place)
    assert kept == weights.locate(stand_in, weights_dir=place)
    assert kept.path == place / "small_cnn.weights.h5" and kept.checked and kept.origin == "a test"
    assert set(json.loads((place / "weights.json").read_text(encoding="utf-8"))) == {"other", "small_cnn"}
    assert sorted(path.name for path in place.iterdir()) == ["small_cnn.weights.h5", "weights.json"]
    model = build(SMALL, image_size=8)
    weights.load(model, kept)
    for received, expected in zip(model.get_weights(), build(SMALL, image_size=8, seed=5).get_weights(), strict=True):
        np.testing.assert_array_equal(received, expected)


def test_status_has_a_row_for_every_pretrained_backbone(weights_dir):
    (weights_dir / "resnet50.weights.h5").write_bytes(b"x")
    index = json.loads((weights_dir / "weights.json").read_text(encoding="utf-8")) | {"resnet50": {"sha256": "0"}}
    (weights_dir / "weights.json").write_text(json.dumps(index), encoding="utf-8")
    rows = {row.backbone: row for row in weights.status(weights_dir=weights_dir)}
    assert list(rows) == [row.name for row in CATALOG.values() if row.pretrained]
    assert rows["mobilenet"].state == "found" and rows["mobilenet"].file.checked
    assert rows["mobilenet_v2"].state == "missing" and "weights fetch mobilenet_v2" in rows["mobilenet_v2"].problem
    assert rows["resnet50"].state == "damaged" and "is damaged" in rows["resnet50"].problem
    assert [row.backbone for row in weights.status([MOBILENET], weights_dir=weights_dir)] == ["mobilenet"]


@pytest.mark.realdata
@pytest.mark.skipif(not SHARED.is_dir(), reason="the folder shared/weights is not beside the repository")
@pytest.mark.parametrize("name", ["mobilenet", "mobilenet_v2", "resnet50"])
def test_real_weights_load(name):
    published = json.loads((SHARED / "weights.json").read_text(encoding="utf-8"))[name]
    found = weights.require(CATALOG[name], weights_dir=SHARED)
    assert found.checked and found.sha256 == published["sha256"] and found.licence == published["licence"]
    model = build(CATALOG[name], image_size=32, seed=0)
    before = model.get_weights()
    weights.load(model, found)
    assert model.count_params() == published["parameters"]
    kernels = [(old, new) for old, new in zip(before, model.get_weights(), strict=True) if old.ndim == 4]
    assert kernels and not any(np.array_equal(old, new) for old, new in kernels)
