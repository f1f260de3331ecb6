"""A saved classifier against Keras and NumPy, and every way in which a folder can be none."""

import hashlib
import json
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from headstart.backbones.catalog import TORCH, ZERO_TO_ONE
from headstart.classifier import bundle, inputs, predict, tables
from headstart.classifier.answering import Answering
from headstart.classifier.bundle import BackboneInfo, Provenance
from headstart.data import decode
from headstart.data.decode import Resize
from headstart.errors import ClassifierError, ImageError, UsageError
from headstart.evaluation.operating import NEVER, Cost, Threshold
from headstart.evaluation.unknown import Detector
from headstart.features import graph
from headstart.recipe import Head
from headstart.training.heads import forward, softmax

CLASSES = ("red", "green", "2", "10")
SIZE = Resize(16, 16, "crop")
HEAD = Head(layers=("dense 6", "dropout 0.2"))
THRESHOLDS = (Threshold("red", "precision", 0.4), Threshold("10", "recall", 0.3))
STORE = np.float16(np.linalg.qr(np.random.default_rng(6).normal(size=(8, 8)))[0][:3])
DETECTOR = Detector("nearest_neighbours", 1.0, {"store": STORE})
ANSWERING = Answering(2.5, DETECTOR, THRESHOLDS)
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
    return copy(saved, tmp_path)


def copy(folder, target):
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


@pytest.fixture(scope="module")
def answering(network, tmp_path_factory):
    """A bundle with a temperature, thresholds and a detector."""
    folder = tmp_path_factory.mktemp("run") / "classifier"
    return save_answering(network, folder, ANSWERING)


def save_answering(network, folder, answering):
    backbone = graph.backbone_graph(graph.from_keras(network), ZERO_TO_ONE, SIZE, any_size=True)
    model, options = graph.add_head(backbone, HEAD, head_weights()), {"size": SIZE, "precision": "f32"}
    bundle.save(folder, model, {}, classes=CLASSES, provenance=PROVENANCE, answering=answering, **options)
    return folder


def distances(features):
    """Return how far features are from the nearest row of the detector's store, all of them of length 1."""
    rows = features / np.linalg.norm(features, axis=1, keepdims=True)
    return np.linalg.norm(rows[:, None] - STORE.astype(np.float64), axis=2).min(axis=1)


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
    (copied / "classifier.json").write_text(json.dumps({**info, "checksum": ""}))
    assert bundle.read_info(copied).size == SIZE


def test_bundles_from_before_answering_are_read(copied):
    info = json.loads((copied / "classifier.json").read_text())
    assert [info.pop(key) for key in ("temperature", "unknown", "thresholds", "costs")] == [1.0, None, [], []]
    (copied / "classifier.json").write_text(json.dumps({**info, "checksum": ""}))
    found = predict.load(copied).answering
    assert (found.temperature, found.detector, found.thresholds, found.costs) == (1.0, None, (), ())


def test_how_it_answers_comes_back(answering):
    info = bundle.read_info(answering)
    found = bundle.open_bundle(answering).answering()
    assert (found.temperature, found.thresholds, found.costs) == (2.5, THRESHOLDS, ())
    assert (found.detector.method, found.detector.threshold) == ("nearest_neighbours", 1.0)
    assert found.detector.arrays["store"].dtype == np.float16
    np.testing.assert_array_equal(found.detector.arrays["store"], STORE)
    assert "unknown.npz" in info.files


def test_costs_and_an_arrayless_detector_come_back(network, tmp_path):
    given = Answering(0.7, Detector("energy", -3.5, {}), costs=(Cost("2", "10", 4.5),))
    found = predict.load(save_answering(network, tmp_path / "it", given)).answering
    assert (found.temperature, found.thresholds, found.costs) == (0.7, (), given.costs)
    assert (found.detector.method, found.detector.threshold, dict(found.detector.arrays)) == ("energy", -3.5, {})


def test_predictions_follow_temperature_thresholds_and_detector(network, saved, tmp_path):
    images, plain = photographs(20), predict.load(saved)
    outputs = plain.outputs(images)
    far = distances(outputs.features)
    detector = Detector("nearest_neighbours", float(np.median(far)), DETECTOR.arrays)
    given = Answering(2.5, detector, (Threshold("2", "precision", NEVER),))
    classifier = predict.load(save_answering(network, tmp_path / "it", given))
    expected = softmax(outputs.logits.astype(np.float64) / 2.5)
    np.testing.assert_allclose(classifier.probabilities(images), expected, atol=1e-6)
    np.testing.assert_allclose(plain.probabilities(images), softmax(outputs.logits), atol=1e-6)
    predictions = classifier.predict(images)
    assert [one.unknown_score for one in predictions] == pytest.approx(list(far), abs=2e-3)
    likeliest = [CLASSES[index] for index in np.where(np.arange(4) == 2, -1, expected).argmax(axis=1)]
    refused = np.array([one.unknown_score for one in predictions]) > detector.threshold
    said = [one.answer for one in predictions]
    assert said == ["unknown" if one else word for one, word in zip(refused, likeliest, strict=True)]
    assert 0 < sum(refused) < 20
    assert [one.probability for one in predictions[0].ranked] == pytest.approx(sorted(expected[0])[::-1], abs=1e-6)
    cells = [line.split(",") for line in "".join(tables.csv_lines(predictions, CLASSES)).splitlines()[1:]]
    assert [row[3] for row in cells] == said
    assert [float(row[4]) for row in cells] == pytest.approx([one.unknown_score for one in predictions], rel=1e-6)
    document = json.loads("".join(tables.json_pieces(predictions, top=1)))
    assert [one["answer"] for one in document] == said


def test_answers_follow_thresholds_where_no_detector_speaks(network, tmp_path):
    for kind, value in (("precision", 2.0), ("recall", 0.0)):
        given = Answering(thresholds=(Threshold("green", kind, value),))
        predictions = predict.load(save_answering(network, tmp_path / kind, given)).predict(photographs())
        if kind == "recall":
            assert {one.answer for one in predictions} == {"green"}
        else:
            others = [next(each.class_ for each in one.ranked if each.class_ != "green") for one in predictions]
            assert [one.answer for one in predictions] == others


def test_outputs_are_those_of_the_network_in_order(saved, network, tmp_path):
    images = photographs(20)
    pixels = np.stack([decode.load(image, SIZE) for image in images]).astype(np.float32) / 255
    pooled = network.predict(pixels, verbose=0).mean(axis=(1, 2))
    (tmp_path / "bad.jpg").write_text("no picture")
    outputs = predict.load(saved).outputs([*images, tmp_path / "bad.jpg"])
    np.testing.assert_allclose(outputs.features[:20], pooled, atol=1e-5)
    np.testing.assert_allclose(outputs.logits[:20], forward(HEAD, head_weights(), pooled), atol=1e-4)
    assert (list(outputs.errors), outputs.logits.shape, outputs.features.shape) == ([20], (21, 4), (21, 8))


def test_no_images_have_no_outputs(saved):
    classifier = predict.load(saved)
    assert classifier.predict([]) == []
    assert (len(classifier.outputs([]).logits), len(classifier.outputs([]).features)) == (0, 0)


def test_a_bad_file_has_no_answer(answering, tmp_path):
    (tmp_path / "bad.jpg").write_text("no picture")
    [one] = predict.load(answering).predict([tmp_path / "bad.jpg"])
    assert (one.answer, one.ranked, one.unknown_score, one.error is None) == (None, (), None, False)
    row = "".join(tables.csv_lines([one], CLASSES)).splitlines()[1].split(",")
    assert row[1:5] == ["", "", "", ""] and row[5]


@pytest.mark.parametrize("name", ["unknown.npz", "classifier.json"])
def test_the_detector_is_bound_to_its_bundle(answering, tmp_path, name):
    copy(answering, tmp_path)
    content = bytearray((tmp_path / "unknown.npz").read_bytes())
    if name == "unknown.npz":
        content[len(content) // 2] ^= 1
        (tmp_path / name).write_bytes(bytes(content))
        with pytest.raises(ClassifierError, match="damaged"):
            predict.load(tmp_path)
        (tmp_path / name).unlink()
        with pytest.raises(ClassifierError, match=r"unknown\.npz is missing"):
            predict.load(tmp_path)
    else:
        info = json.loads((tmp_path / name).read_text())
        (tmp_path / name).write_text(json.dumps({**info, "checksum": "", "unknown": None}))
        with pytest.raises(ClassifierError, match="must list exactly"):
            predict.load(tmp_path)


def test_a_detector_that_is_not_known_here_is_refused(answering, tmp_path):
    info = json.loads((copy(answering, tmp_path) / "classifier.json").read_text())
    info["unknown"]["method"] = "smell"
    (tmp_path / "classifier.json").write_text(json.dumps({**info, "checksum": ""}))
    with pytest.raises(ClassifierError, match=r"cannot be read: the method .* 'smell'"):
        predict.load(tmp_path)


def test_pickled_arrays_are_refused(answering, tmp_path):
    copy(answering, tmp_path)
    np.savez(tmp_path / "unknown.npz", store=np.array([{"code": 1}], dtype=object))
    info = json.loads((tmp_path / "classifier.json").read_text())
    content = (tmp_path / "unknown.npz").read_bytes()
    info["files"]["unknown.npz"] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    (tmp_path / "classifier.json").write_text(json.dumps({**info, "checksum": ""}))
    with pytest.raises(ClassifierError, match=r"unknown\.npz in .* cannot be read"):
        predict.load(tmp_path)


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
    files = inputs.find_images([tmp_path]).files
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
    header, first, _ = "".join(tables.csv_lines(predictions, classifier.classes)).splitlines()
    assert header == "path,predicted,probability,answer,unknown_score,error,p:red,p:green,p:2,p:10"
    document = json.loads("".join(tables.json_pieces(predictions)))
    best = json.loads("".join(tables.json_pieces(predictions, top=2)))
    assert [one["ranked"] for one in best] == [one["ranked"][:2] for one in document]
    by_class = {one["class"]: one["probability"] for one in document[0]["ranked"]}
    assert [float(cell) for cell in first.split(",")[6:]] == pytest.approx([by_class[name] for name in CLASSES])
    assert first.split(",")[1:6] == [*first.split(",")[1:3], document[0]["ranked"][0]["class"], "", ""]
    assert (document[0]["answer"], document[0]["unknown_score"]) == (document[0]["ranked"][0]["class"], None)


def test_a_classifier_answers_without_keras_and_scipy(answering):
    code = f"""
import sys
from headstart.classifier import predict
import numpy as np
predict.load({str(answering)!r}).predict([np.zeros((30, 30, 3), np.uint8)])
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
        ({"schema_version": 2}, r"schema 2; this is headstart .*, which reads schema 1\. Use headstart .* or newer"),
        ({"schema_version": 2, "headstart_version": "9.1"}, r"Use headstart 9\.1 or newer"),
        ({"schema_version": 2, "headstart_version": None, "classes": 1}, "or newer|newer one"),
        ({"schema_version": "1"}, "schema 1"),
        ({"classes": []}, "at least one"),
        ({"classes": ["red", "red"]}, "different names"),
        ({"precision": "f16"}, "precision must be"),
        ({"input": {**info["input"], "height": 10**9}}, "at most 8192"),
        ({"head": {"pooling": "average", "layers": ["lambda x: x"], "output": "softmax"}}, "has no layer"),
        ({"head": {"pooling": "mean", "layers": [], "output": "softmax"}}, "'mean' pooling"),
        ({"files": {"../x": {"sha256": "", "bytes": 1}}}, "must list exactly"),
        ({"classes": 5}, "cannot be read"),
        ({"surprise": 1}, "unknown key"),
        ({"unknown": {"method": "smell", "threshold": 1.0}}, "must list exactly"),
        ({"temperature": 0}, "temperature must be above 0"),
        ({"temperature": None}, "temperature must be above 0"),
        ({"thresholds": [{"class": "blue", "kind": "recall", "value": 0.2}]}, "'blue' is none of the classes"),
        ({"costs": [{"true": "red", "answered": "blue", "cost": 2}]}, "'blue' is none of the classes"),
        ({"input": {**info["input"], "resize": "squash"}}, "cannot be read"),
        ({"input": {**info["input"], "interpolation": "lanczos"}}, "cannot be read"),
    ]:
        (copied / "classifier.json").write_text(json.dumps({**info, "checksum": "", **change}))
        with pytest.raises(ClassifierError, match=message):
            predict.load(copied)
    for text in ("{", "", "[]", "null", "7", '"text"', "[" * 10**5, "\0", '{"schema_version": 1, "classes": NaN}'):
        (copied / "classifier.json").write_text(text)
        with pytest.raises(ClassifierError, match="cannot be read") as caught:
            predict.load(copied)
        assert "\n" not in str(caught.value)
    (copied / "classifier.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ClassifierError, match="cannot be read"):
        predict.load(copied)


def test_a_bundle_without_what_is_new_is_used_as_before(copied):
    images = photographs(3)
    before = predict.load(copied).probabilities(images)
    info = json.loads((copied / "classifier.json").read_text())
    assert [info.pop(key) for key in ("head", "backbone")] == [None, None]
    del info["checksum"], info["files"]["probes.npz"]
    (copied / "probes.npz").unlink()
    (copied / "classifier.json").write_text(json.dumps(info))
    older = predict.load(copied)
    np.testing.assert_array_equal(older.probabilities(images), before)
    assert (older.info.head, older.info.backbone, older.bundle.probes()) == (None, None, None)


def with_graph(folder, content):
    """Put another graph into a bundle, with its right checksum, as only who means harm would."""
    info = json.loads((folder / "classifier.json").read_text())
    (folder / "model.xml").write_bytes(content)
    info["files"]["model.xml"] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    (folder / "classifier.json").write_text(json.dumps({**info, "checksum": ""}))
    return folder


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<?xml version='1.0'?>",
        b"<?xml version='1.0'?><net/>",
        b"<?xml version='1.0'?><!DOCTYPE net [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><net>&e;</net>",
        b"\x08\x07\x12\x04onnx",
        b"<html>",
    ],
)
def test_a_graph_that_openvino_cannot_read_is_said_in_one_line(copied, content):
    with pytest.raises(
        ClassifierError, match=r"model\.xml in .* (is no graph|cannot be read with OpenVINO 20)"
    ) as caught:
        predict.load(with_graph(copied, content))
    assert "\n" not in str(caught.value)


def test_a_graph_of_weights_beyond_the_file_or_of_other_classes_is_refused(copied):
    content = (copied / "model.xml").read_bytes()
    beyond = re.sub(rb'offset="\d+" size="(\d+)"', rb'offset="99999999" size="\1"', content)
    with pytest.raises(ClassifierError, match="cannot be read with OpenVINO"):
        predict.load(with_graph(copied, beyond))
    with_graph(copied, content)
    info = json.loads((copied / "classifier.json").read_text())
    (copied / "classifier.json").write_text(json.dumps({**info, "classes": ["red", "green"]}))
    with pytest.raises(ClassifierError, match="is of 4 classes, not 2"):
        predict.load(copied)


def test_what_keras_needs_comes_back(network, tmp_path):
    backbone, preprocessing = BackboneInfo("mobilenet", 16, TORCH, "the last 4 layers train"), ZERO_TO_ONE
    model = graph.add_head(
        graph.backbone_graph(graph.from_keras(network), preprocessing, SIZE, any_size=True), HEAD, head_weights()
    )
    given = {"classes": CLASSES, "size": SIZE, "precision": "f32", "provenance": PROVENANCE}
    bundle.save(
        tmp_path / "it", model, {"head/dense_0/bias": np.ones(6, np.float32)}, head=HEAD, backbone=backbone, **given
    )
    found = bundle.open_bundle(tmp_path / "it")
    assert found.info.backbone == backbone
    assert found.info.head.as_head() == HEAD
    np.testing.assert_array_equal(found.weights()["head/dense_0/bias"], np.ones(6))
    assert sorted(found.info.files) == ["model.bin", "model.xml", "probes.npz", "weights.npz"]


def test_a_failed_save_leaves_the_older_bundle(copied, network, monkeypatch):
    before = bundle.read_info(copied)
    monkeypatch.setattr(bundle.probe_file, "measure", lambda *_, **__: 1 / 0)
    model = graph.add_head(
        graph.backbone_graph(graph.from_keras(network), ZERO_TO_ONE, SIZE, any_size=True), HEAD, head_weights()
    )
    given = {"classes": CLASSES, "size": SIZE, "precision": "f32", "provenance": PROVENANCE}
    for place in (copied, copied / "new"):
        with pytest.raises(ZeroDivisionError):
            bundle.save(place, model, {}, **given)
    assert bundle.read_info(copied) == before
    assert not (copied / "new").exists()


def test_hidden_files_litter_and_runs_are_no_images(tmp_path):
    names = ["b.png", "a/c.png", "a/Thumbs.db", "desktop.ini", ".x/d.png", "a/.e.png", "run/.study", "run/media/f.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    assert inputs.find_images([tmp_path, tmp_path / "desktop.ini"]).files == (
        tmp_path / "a" / "c.png", tmp_path / "b.png", tmp_path / "desktop.ini",
    )  # fmt: skip


def test_paths_that_do_not_exist_are_said(tmp_path):
    with pytest.raises(UsageError, match=r"no file or folder .*nothing\.jpg"):
        inputs.find_images([tmp_path / "nothing.jpg"])
    with pytest.raises(UsageError, match="no files"):
        inputs.find_images([tmp_path])


def test_what_was_learned_from_is_kept_as_hashes(network, copied, tmp_path):
    assert bundle.open_bundle(copied).learned() is None
    hashes = [hashlib.sha256(bytes([number])).hexdigest() for number in range(5)]
    model = graph.add_head(
        graph.backbone_graph(graph.from_keras(network), ZERO_TO_ONE, SIZE, any_size=True), HEAD, head_weights()
    )
    given = {"classes": CLASSES, "size": SIZE, "precision": "f32", "provenance": PROVENANCE}
    bundle.save(tmp_path / "it", model, {}, learned=[*hashes, hashes[0]], **given)
    found = bundle.open_bundle(bundle.pack(tmp_path / "it", tmp_path / "it.zip"))
    assert found.learned() == {one[:32] for one in hashes}
    assert found.info.files["learned.bin"].bytes == 5 * 16
    bundle.save(tmp_path / "it", model, {}, learned=(), **given)
    assert bundle.open_bundle(tmp_path / "it").learned() == frozenset()
