"""A saved classifier against Keras and NumPy, and every way in which a folder can be none."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from headstart.backbones.catalog import ZERO_TO_ONE
from headstart.classifier import bundle, predict
from headstart.classifier.bundle import Provenance
from headstart.data import decode
from headstart.data.decode import Resize
from headstart.errors import ClassifierError, ImageError, UsageError
from headstart.features import graph
from headstart.recipe import Head
from headstart.training.heads import forward, softmax

CLASSES = ("red", "green", "2", "10")
SIZE = Resize(16, 16, "crop")
HEAD = Head(layers=("dense 6", "dropout 0.2"))
PROVENANCE = Provenance("study", "print", "tiny-lr0.1", "tiny", "random:0", "Apache-2.0", 80, 20, 0.9)


def tiny_network() -> keras.Model:
    keras.utils.set_random_seed(3)
    image = keras.Input((16, 16, 3))
    values = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(image)
    values = keras.layers.BatchNormalization()(values)
    return keras.Model(image, values)


def head_weights() -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(4)
    shapes = [(8, 6), (6,), (6, 4), (4,)]
    return tuple(random.standard_normal(shape).astype(np.float32) for shape in shapes)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return tiny_network()


@pytest.fixture(scope="module")
def saved(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "classifier"
    model = graph.add_head(
        graph.backbone_graph(graph.from_keras(network), ZERO_TO_ONE, SIZE, any_size=True), HEAD, head_weights()
    )
    arrays = {variable.path: np.asarray(variable.value) for variable in network.variables}
    bundle.save(folder, model, arrays, classes=CLASSES, size=SIZE, precision="f32", provenance=PROVENANCE)
    return folder


@pytest.fixture
def copied(saved, tmp_path):
    for path in saved.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def photographs(count: int = 9) -> list[np.ndarray]:
    random = np.random.default_rng(5)
    return [random.integers(0, 256, (20 + 3 * number, 40 - number, 3), np.uint8) for number in range(count)]


def test_probabilities_equal_keras(saved, network):
    images = photographs()
    pixels = np.stack([decode.load(image, SIZE) for image in images]).astype(np.float32) / 255
    pooled = network.predict(pixels, verbose=0).mean(axis=(1, 2))
    expected = softmax(forward(HEAD, head_weights(), pooled))
    np.testing.assert_allclose(predict.load(saved).probabilities(images), expected, atol=1e-5)


def test_the_graph_takes_images_of_any_size_and_gives_all_four_outputs(saved):
    import openvino as ov

    compiled = ov.Core().compile_model(saved / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    image = photographs(1)[0]
    outputs = {name: compiled(image[None])[name] for name in ("probabilities", "logits", "features", "feature_map")}
    assert [outputs[name].shape for name in outputs] == [(1, 4), (1, 4), (1, 8), (1, 7, 7, 8)]
    np.testing.assert_allclose(outputs["features"], outputs["feature_map"].mean(axis=(1, 2)), rtol=1e-4)
    np.testing.assert_allclose(outputs["probabilities"], softmax(outputs["logits"]), rtol=1e-4)
    inside = predict.load(saved).probabilities([image])
    np.testing.assert_allclose(outputs["probabilities"], inside, atol=2e-3)


@pytest.mark.parametrize(
    ("rule", "interpolation", "antialias"),
    [
        ("stretch", "bicubic", True),
        ("pad", "nearest", True),
        ("crop", "bilinear", False),
        ("stretch", "bilinear", True),
    ],
)
def test_sizes_and_filters_are_kept_for_prediction(network, tmp_path, rule, interpolation, antialias):
    size, head = Resize(16, 16, rule, interpolation, antialias), Head("max", ("dense 6 tanh",), "sigmoid")
    backbone = graph.backbone_graph(graph.from_keras(network), ZERO_TO_ONE, size, any_size=True, pooling="max")
    model = graph.add_head(backbone, head, head_weights())
    bundle.save(tmp_path / "it", model, {}, classes=CLASSES, size=size, precision="f32", provenance=PROVENANCE)
    classifier, images = predict.load(tmp_path / "it"), photographs(3)
    assert classifier.info.size == size
    pixels = np.stack([decode.load(image, size) for image in images])
    pooled = network.predict(ZERO_TO_ONE.apply(pixels), verbose=0).max(axis=(1, 2))
    expected = softmax(forward(head, head_weights(), pooled))
    np.testing.assert_allclose(classifier.probabilities(images), expected, atol=1e-5)


def test_older_bundles_have_the_only_filter_there_was(copied):
    info = json.loads((copied / "classifier.json").read_text())
    assert (info["input"].pop("interpolation"), info["input"].pop("antialias")) == ("bilinear", True)
    (copied / "classifier.json").write_text(json.dumps(info))
    assert bundle.read_info(copied).size == SIZE


def test_the_weights_are_plain_named_arrays(saved, network):
    with np.load(saved / "weights.npz", allow_pickle=False) as arrays:
        assert sorted(arrays) == sorted(variable.path for variable in network.variables)
        for variable in network.variables:
            np.testing.assert_array_equal(arrays[variable.path], np.asarray(variable.value))


def test_files_are_read_and_a_bad_one_gets_its_reason(saved, tmp_path):
    Image.fromarray(photographs(1)[0]).save(tmp_path / "good.png")
    (tmp_path / "bad.jpg").write_text("no picture")
    (tmp_path / ".hidden").write_text("")
    classifier = predict.load(saved)
    files = predict.find_images([tmp_path])
    bad, good = classifier.predict(files)
    assert (bad.error is not None, bad.ranked, good.error) == (True, (), None)
    assert [one.class_ for one in good.ranked] != list(CLASSES)
    assert sum(one.probability for one in good.ranked) == pytest.approx(1, abs=1e-5)
    assert good.ranked[0].probability == max(one.probability for one in good.ranked)
    with pytest.raises(ImageError, match=r"bad\.jpg"):
        classifier.probabilities(files)


def test_csv_and_json_say_the_same(saved):
    classifier = predict.load(saved)
    predictions = classifier.predict(photographs(2))
    header, first, _ = predict.as_csv(predictions, classifier.classes).splitlines()
    assert header == "path,predicted,probability,error,p:red,p:green,p:2,p:10"
    document = json.loads(predict.as_json(predictions))
    best = json.loads(predict.as_json(predictions, top=2))
    assert [one["ranked"] for one in best] == [one["ranked"][:2] for one in document]
    by_class = {one["class"]: one["probability"] for one in document[0]["ranked"]}
    assert [float(cell) for cell in first.split(",")[4:]] == pytest.approx([by_class[name] for name in CLASSES])


def test_a_classifier_is_loaded_without_keras(saved):
    code = f"""
import sys
from headstart.classifier import predict
import numpy as np
predict.load({str(saved)!r}).predict([np.zeros((30, 30, 3), np.uint8)])
print([name for name in ("keras", "tensorflow", "scipy", "sklearn", "matplotlib") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_saving_again_replaces_the_bundle(saved, copied, network):
    before = bundle.read_info(copied)
    model = graph.add_head(
        graph.backbone_graph(graph.from_keras(network), ZERO_TO_ONE, SIZE, any_size=True), HEAD, head_weights()
    )
    bundle.save(copied, model, {}, classes=CLASSES[::-1], size=SIZE, precision="f32", provenance=PROVENANCE)
    assert bundle.read_info(copied).classes == before.classes[::-1]
    assert not copied.with_name(copied.name + ".part").exists()


@pytest.mark.parametrize("name", ["model.xml", "model.bin", "weights.npz"])
def test_a_changed_or_missing_file_is_refused(copied, name):
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(bytes(content))
    with pytest.raises(ClassifierError, match="damaged"):
        predict.load(copied)
    (copied / name).unlink()
    with pytest.raises(ClassifierError, match="missing"):
        predict.load(copied)


def test_other_folders_are_refused(copied, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(ClassifierError, match="is no classifier"):
        predict.load(empty)
    with pytest.raises(ClassifierError, match="is no classifier"):
        predict.load(empty / "nowhere")
    info = json.loads((copied / "classifier.json").read_text())
    for change, message in [
        ({"schema_version": 2}, "schema 2"),
        ({"files": {"../x": {"sha256": "", "bytes": 1}}}, "must list exactly"),
        ({"classes": 5}, "cannot be read"),
        ({"surprise": 1}, "unknown key"),
        ({"input": {**info["input"], "resize": "squash"}}, "cannot be read"),
        ({"input": {**info["input"], "interpolation": "lanczos"}}, "cannot be read"),
    ]:
        (copied / "classifier.json").write_text(json.dumps({**info, **change}))
        with pytest.raises(ClassifierError, match=message):
            predict.load(copied)
    (copied / "classifier.json").write_text("{")
    with pytest.raises(ClassifierError, match="cannot be read"):
        predict.load(copied)


def test_hidden_files_litter_and_runs_are_no_images(tmp_path):
    names = ["b.png", "a/c.png", "a/Thumbs.db", "desktop.ini", ".x/d.png", "a/.e.png", "run/.study", "run/media/f.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    assert predict.find_images([tmp_path, tmp_path / "desktop.ini"]) == [
        tmp_path / "a" / "c.png", tmp_path / "b.png", tmp_path / "desktop.ini",
    ]  # fmt: skip


def test_paths_that_do_not_exist_are_said(tmp_path):
    with pytest.raises(UsageError, match=r"no file or folder .*nothing\.jpg"):
        predict.find_images([tmp_path / "nothing.jpg"])
    with pytest.raises(UsageError, match="no files"):
        predict.find_images([tmp_path])
