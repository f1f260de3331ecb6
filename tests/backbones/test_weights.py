"""Weights: found, checked, refused, downloaded (never in these tests) and loaded."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from headstart.backbones import weights
from headstart.backbones.architectures import build
from headstart.backbones.catalog import CATALOG
from headstart.errors import UsageError, WeightsError
from headstart.storage import sha256_of

SHARED = Path(__file__).parents[2].parent / "shared" / "weights"
MOBILENET = CATALOG["mobilenet"]
SMALL = CATALOG["small_cnn"]
ALEXNET = CATALOG["alexnet"]


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
    with pytest.raises(WeightsError, match=f"{path.name} is damaged: its MD5 is .*Delete it"):
        weights.locate(CATALOG["resnet50"])


def test_a_checksum_of_64_digits_is_a_sha256(tmp_path, monkeypatch):
    row = CATALOG["convnext_tiny"]
    path = put_into_keras_cache(tmp_path, row)
    with pytest.raises(WeightsError, match=f"{path.name} is damaged: its SHA256 is {sha256_of(path)}"):
        weights.locate(row)
    assert weights.locate(dataclasses.replace(row, cached_md5=sha256_of(path))).checked


def test_the_cache_of_keras_is_where_keras_looks(monkeypatch):
    from keras.src.backend import config

    monkeypatch.delenv("KERAS_HOME")
    assert weights._keras_cache() == Path(config.keras_home()) / "models"


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


def test_alexnet_is_looked_for_in_three_formats(tmp_path):
    assert weights.locate(ALEXNET, weights_dir=tmp_path) is None
    for suffix in (".safetensors", ".npz", ".weights.h5"):
        path = tmp_path / f"alexnet{suffix}"
        path.write_bytes(suffix.encode())
        assert weights.locate(ALEXNET, weights_dir=tmp_path).path == path
        assert weights.fetch(ALEXNET, weights_dir=tmp_path).sha256 == sha256_of(path)
    (tmp_path / "mobilenet.npz").write_bytes(b"")
    assert weights.locate(MOBILENET, weights_dir=tmp_path) is None


@pytest.mark.parametrize("ask", [weights.require, weights.fetch])
def test_weights_that_keras_does_not_offer_are_to_be_converted(ask, tmp_path):
    for place in (None, tmp_path):
        with pytest.raises(
            WeightsError, match=r"Keras does not offer them: convert those of torchvision.*alexnet\.npz"
        ):
            ask(ALEXNET, weights_dir=place)


def write_safetensors(path, arrays):
    header, start = {}, 0
    for name, array in arrays.items():
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [start, start + array.nbytes]}
        start += array.nbytes
    text = json.dumps(header).encode()
    with path.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        stream.writelines(array.tobytes() for array in arrays.values())


def test_alexnet_loads_from_safetensors(tmp_path, torch_arrays):
    path = tmp_path / "alexnet.safetensors"
    write_safetensors(path, torch_arrays)
    model = build(ALEXNET, image_size=63)
    weights.load(model, file_of(path, ALEXNET))
    kernel, bias = model.get_layer("classifier_1").get_weights()
    # output 7, channel 3, row 2, column 5 of the map before it
    assert kernel[(2 * 6 + 5) * 256 + 3, 7] == torch_arrays["classifier.1.weight"][7, 3 * 36 + 2 * 6 + 5]
    np.testing.assert_array_equal(bias, torch_arrays["classifier.1.bias"])
    first = model.get_layer("convolution_1").get_weights()[0]
    np.testing.assert_array_equal(first, torch_arrays["features.0.weight"].transpose(2, 3, 1, 0))


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"something else", b"PK\x03\x04 cut off"])
def test_files_of_arrays_that_are_none_are_refused(tmp_path, suffix, content):
    path = tmp_path / f"alexnet{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=rf"alexnet\{suffix} does not fit alexnet: "):
        weights.load(build(SMALL, image_size=8), file_of(path, ALEXNET))


def test_arrays_of_another_shape_and_of_another_network_are_refused(tmp_path, torch_arrays):
    path = tmp_path / "alexnet.npz"
    wrong = torch_arrays | {"features.0.weight": np.zeros((64, 3, 7, 7), np.float32)}
    np.savez(path, **{name: array[:1] if array.size > 10**6 else array for name, array in wrong.items()})
    with pytest.raises(WeightsError, match=r"alexnet\.npz does not fit alexnet: .*shape"):
        weights.load(build(ALEXNET, image_size=63), file_of(path, ALEXNET))
    with pytest.raises(WeightsError, match=r"does not fit small_cnn: \.npz is read for alexnet only"):
        weights.load(build(SMALL, image_size=8), file_of(path, SMALL))


def test_one_channel_computes_what_three_equal_channels_compute(small_file):
    three, one = build(SMALL, image_size=8, seed=1), build(SMALL, image_size=8, seed=2, channels=1)
    weights.load(three, file_of(small_file))
    weights.load(one, file_of(small_file))
    grey = np.random.default_rng(0).standard_normal((4, 8, 8, 1)).astype(np.float32)
    expected = np.asarray(three(grey.repeat(3, axis=3), training=False))
    np.testing.assert_allclose(np.asarray(one(grey, training=False)), expected, atol=1e-5)
    for layer in ("convolution_2", "normalization_4"):
        pairs = zip(one.get_layer(layer).get_weights(), three.get_layer(layer).get_weights(), strict=True)
        assert all(np.array_equal(received, same) for received, same in pairs)


def test_one_channel_needs_a_network_without_a_normalisation_of_colours(small_file):
    model = build(SMALL, image_size=8, channels=1)
    with pytest.raises(UsageError, match="efficientnet_b0 normalises red, green and blue itself"):
        weights.load(model, file_of(small_file, CATALOG["efficientnet_b0"]))


def test_one_channel_needs_a_convolution_as_first_layer_with_weights(small_file, monkeypatch):
    import keras

    def dense_first(backbone, *, image_size, channels=3):
        image = keras.layers.Input((image_size, image_size, channels))
        return keras.Model(image, keras.layers.Dense(2, name="first")(image))

    monkeypatch.setattr(weights.architectures, "build", dense_first)
    dense_first(SMALL, image_size=8).save_weights(str(small_file.with_name("dense.weights.h5")))
    with pytest.raises(WeightsError, match="first layer with weights, first, is no convolution"):
        weights.load(dense_first(SMALL, image_size=8, channels=1), file_of(small_file.with_name("dense.weights.h5")))


def test_the_normalisation_inside_efficientnet_is_loaded_from_both_layouts(tmp_path):
    import keras

    row = CATALOG["efficientnet_b0"]
    source = build(row, image_size=32, seed=1)
    normalization = next(layer for layer in source.layers if isinstance(layer, keras.layers.Normalization))
    normalization.set_weights([np.array([0.4, 0.5, 0.6]), np.array([0.2, 0.3, 0.1]), np.array(1)])
    normalization.finalize_state()
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    expected = np.asarray(source(images, training=False))
    write_legacy(tmp_path / "old.h5", source)
    source.save_weights(str(tmp_path / "new.weights.h5"))
    for name in ("old.h5", "new.weights.h5"):
        model = build(row, image_size=32, seed=2)
        weights.load(model, file_of(tmp_path / name, row))
        np.testing.assert_array_equal(np.asarray(model(images, training=False)), expected)


def test_status_has_a_row_for_every_pretrained_backbone(weights_dir):
    (weights_dir / "resnet50.weights.h5").write_bytes(b"x")
    index = json.loads((weights_dir / "weights.json").read_text(encoding="utf-8")) | {"resnet50": {"sha256": "0"}}
    (weights_dir / "weights.json").write_text(json.dumps(index), encoding="utf-8")
    rows = {row.backbone: row for row in weights.status(weights_dir=weights_dir)}
    assert list(rows) == [row.name for row in CATALOG.values() if row.pretrained]
    assert rows["mobilenet"].state == "found" and rows["mobilenet"].file.checked
    assert rows["mobilenet_v2"].state == "missing" and "weights fetch mobilenet_v2" in rows["mobilenet_v2"].remedy
    assert rows["resnet50"].state == "damaged" and "is damaged" in rows["resnet50"].remedy
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
