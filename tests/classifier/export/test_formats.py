"""OpenVINO, Keras, LiteRT and zip: each file opened by its own program, as a user would."""

import json
import zipfile

import numpy as np
import pytest

from headstart.backbones.engine import keras_module
from headstart.classifier.export import export
from headstart.classifier.predict import load
from headstart.data import decode
from headstart.features import graph
from headstart.recipe import Head

SIGMOID = {"backbone": "mobilenet", "head": Head("max", ("dense 6 tanh",), output="sigmoid"), "colour": "grey"}
CLASSES = ["amber", 'jay | "magpie" <é>', "no"]


def pictures_and_answers(folder):
    """Return the probes at the network's size, their logits and calibrated probabilities."""
    bundle = load(folder).bundle
    probes = bundle.probes()
    pixels = np.stack([decode.load(image, bundle.info.size) for image in probes.images])
    return pixels, probes.logits, probes.probabilities


def check_outputs(said, logits, probabilities):
    np.testing.assert_allclose(said["probabilities"], probabilities, rtol=0, atol=1e-5)
    np.testing.assert_allclose(said["logits"], logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", [{}, SIGMOID], ids=["softmax", "grey sigmoid"])
def test_keras(classifier, tmp_path, kind):
    certificate = export(classifier(**kind), "keras", out=tmp_path / "birds.keras")
    pixels, logits, probabilities = pictures_and_answers(classifier(**kind))
    model = keras_module().saving.load_model(tmp_path / "birds.keras", safe_mode=True)
    check_outputs(model.predict_on_batch(pixels), logits, probabilities)
    with zipfile.ZipFile(tmp_path / "birds.keras") as archive:
        note = json.loads(archive.read("headstart.json"))
        assert archive.read("labels.txt").decode().splitlines() == CLASSES
        assert "Lambda" not in archive.read("config.json").decode()
    assert (note["classes"], note["temperature"], note["any_size"]) == (CLASSES, 1.7, False)
    assert "bring images to 32 x 32 pixels first (stretch, as Pillow does)" in certificate.input
    assert "rounds once where Pillow rounds after the rows" in certificate.fixed_because


@pytest.mark.parametrize("kind", [{}, SIGMOID], ids=["softmax", "grey sigmoid"])
def test_litert(classifier, tmp_path, kind):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    certificate = export(classifier(**kind), "litert", out=tmp_path / "birds.tflite")
    pixels, logits, probabilities = pictures_and_answers(classifier(**kind))
    opened = interpreter.Interpreter(str(tmp_path / "birds.tflite"))
    check_outputs(opened.get_signature_runner()(image=pixels), logits, probabilities)
    assert opened.get_input_details()[0]["dtype"] == np.uint8
    with zipfile.ZipFile(tmp_path / "birds.tflite") as archive:
        assert archive.read("labels.txt").decode().splitlines() == CLASSES
        assert json.loads(archive.read("headstart.json"))["classes"] == CLASSES
    assert certificate.fixed_because == "LiteRT has no antialiased resizing"


def test_openvino(classifier, tmp_path):
    certificate = export(classifier(), "openvino", out=tmp_path / "birds.xml")
    pixels, logits, probabilities = pictures_and_answers(classifier())
    core = graph.openvino_module().Core()
    model = core.read_model(tmp_path / "birds.xml")
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    said = compiled({"image": pixels})
    check_outputs({name: said[name] for name in ("probabilities", "logits")}, logits, probabilities)
    assert {name for output in model.outputs for name in output.get_names()} == {"probabilities", "logits"}
    assert json.loads(model.get_rt_info(["headstart", "classes"]).astype(str)) == CLASSES
    assert float(model.get_rt_info(["headstart", "temperature"]).astype(str)) == 1.7
    assert len(certificate.weights_sha256) == 64


def test_openvino_in_int8(classifier, photographs, tmp_path):
    pytest.importorskip("nncf")
    certificate = export(classifier(), "openvino", out=tmp_path / "small.xml", data=photographs, int8=True)
    model = graph.openvino_module().Core().read_model(tmp_path / "small.xml")
    assert "FakeQuantize" in {node.get_type_name() for node in model.get_ops()}
    assert (certificate.int8.calibration_images, certificate.int8.measured_images) == (25, 25)
    assert certificate.int8.agreement >= 24 / 25
    assert certificate.int8.mean_difference < certificate.tolerance == 0.05
    assert 1e-4 < certificate.data.largest_difference < 0.3
    assert "NNCF" in certificate.int8.method


def test_a_classifier_that_keras_cannot_build_goes_to_openvino(classifier, tmp_path, without_head):
    assert export(without_head, "openvino", out=tmp_path / "birds.xml").probes.same_answer == 9


def test_zip_is_the_bundle_itself(classifier, tmp_path):
    certificate = export(classifier(), "zip", out=tmp_path / "birds.zip")
    pixels, _, probabilities = pictures_and_answers(classifier())
    np.testing.assert_allclose(load(tmp_path / "birds.zip").probabilities(list(pixels)), probabilities, atol=1e-6)
    assert certificate.input == "image files of any size, with headstart"
    assert certificate.probes.largest_difference < 1e-6
