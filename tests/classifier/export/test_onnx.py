"""ONNX files, used by onnxruntime, Pillow and NumPy alone."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart import storage
from headstart.classifier.export import export
from headstart.classifier.predict import load
from headstart.recipe import Head

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("tf2onnx")

DOCS = Path(__file__).parents[3] / "docs" / "export.md"
SHARED = Path(__file__).parents[3].parent / "shared"

# What a user without headstart writes.
USER = """
import json, sys
from pathlib import Path
import numpy as np, onnxruntime
from PIL import Image

model, pictures, expected = map(Path, sys.argv[1:])
session = onnxruntime.InferenceSession(model)
metadata = session.get_modelmeta().custom_metadata_map
classes, difference, answers = json.loads(metadata["classes"]), 0.0, 0
with np.load(expected) as arrays:
    for name in arrays.files:
        pixels = np.asarray(Image.open(pictures / name).convert("RGB"))
        [said] = session.run(["probabilities"], {"image": pixels[None]})[0]
        difference = max(difference, float(np.abs(said - arrays[name]).max()))
        answers += int(said.argmax() == arrays[name].argmax())
        count = len(arrays.files)
loaded = sorted({"headstart", "keras", "tensorflow", "openvino", "onnx"} & set(sys.modules))
print(json.dumps({"difference": difference, "answers": answers, "count": count, "classes": classes, "loaded": loaded}))
"""


def as_a_user(model, pictures, folder):
    """Run an exported file on pictures in a fresh process; expected is what the classifier says of them."""
    probabilities = load(folder).probabilities(pictures)
    expected = model.with_name("expected.npz")
    np.savez(expected, **{path.name: row for path, row in zip(pictures, probabilities, strict=True)})
    command = [sys.executable, "-I", "-c", USER, str(model), str(pictures[0].parent), str(expected)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Pictures of many sizes and modes."""
    folder, random = tmp_path_factory.mktemp("pictures"), np.random.default_rng(9)
    sides = ((1, 1), (32, 32), (33, 31), (200, 20), (20, 200), (64, 48), (480, 640), (333, 500), (5, 400), (90, 90))
    for height, width in sides:
        pixels = random.integers(0, 256, (max(1, height // 4), max(1, width // 4), 3), np.uint8)
        Image.fromarray(pixels).resize((width, height)).save(folder / f"{height}x{width}.png")
    Image.fromarray(random.integers(0, 256, (50, 60), np.uint8)).save(folder / "grey.png")
    Image.fromarray(random.integers(0, 256, (50, 60, 3), np.uint8)).save(folder / "jpeg.jpg")
    return sorted(folder.iterdir())


@pytest.mark.parametrize(
    "kind",
    [
        {},
        {"backbone": "mobilenet", "head": Head("flatten", ("dense 6",)), "resize": ("crop", "bilinear", True)},
        {"resize": ("pad", "bicubic", True), "colour": "grey", "head": Head("max", output="sigmoid")},
    ],
    ids=["stretch", "mobilenet crop", "grey pad bicubic"],
)
def test_onnxruntime_pillow_and_numpy_are_enough(classifier, pictures, tmp_path, kind):
    folder = classifier(**kind)
    certificate = export(folder, "onnx", out=tmp_path / "birds.onnx")
    found = as_a_user(tmp_path / "birds.onnx", pictures, folder)
    assert found["loaded"] == []
    assert found["classes"] == list(load(folder).classes)
    assert found["answers"] == found["count"] == len(pictures)
    assert found["difference"] < 1e-5
    assert certificate.probes.images == 9 and certificate.probes.largest_difference < 1e-5
    assert certificate.fixed_because == "" and "any height and width" in certificate.input


def test_what_the_file_says_of_itself(classifier, tmp_path):
    folder = classifier()
    export(folder, "onnx", out=tmp_path / "birds.onnx")
    model = onnx.load(tmp_path / "birds.onnx")
    onnx.checker.check_model(model, full_check=True)
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(said["classes"]) == ["amber", 'jay | "magpie" <é>', "no"]
    assert (said["temperature"], said["height"], said["resize"], said["any_size"]) == ("1.7", "32", "stretch", "true")
    assert (said["candidate"], said["licence"], said["training"]) == ("tiny-lr0.1", "Apache-2.0", "print")
    assert [one.name for one in model.graph.input] == ["image"]
    assert [one.name for one in model.graph.output] == ["probabilities", "logits"]
    assert {entry.domain: entry.version for entry in model.opset_import}[""] == 18
    assert sorted(path.name for path in tmp_path.iterdir()) == ["birds.onnx", "birds.onnx.certificate.json"]


def turned(image, file):
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(file, "JPEG", exif=exif)


def transparent(image, file):
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    image.save(file, "PNG")


@pytest.mark.parametrize("save", [Image.Image.save, turned, transparent])
def test_the_example_of_the_docs_runs(classifier, pictures, tmp_path, save):
    """On a photograph, on one that EXIF turns, and on one with transparency."""
    export(classifier(), "onnx", out=tmp_path / "classifier.onnx")
    photograph = tmp_path / "new.jpg"
    [jpeg] = [path for path in pictures if path.suffix == ".jpg"]
    with Image.open(jpeg) as image:
        # each half another colour, so that it matters how it lies
        image.paste((250, 190, 10), (0, 0, image.width, image.height // 2))
        save(image, photograph)
    lines = DOCS.read_text(encoding="utf-8").partition("## ONNX without headstart")[2].partition("\n##")[0].splitlines()
    code = "\n".join(line.removeprefix("    ") for line in lines if line.startswith("    "))
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    [expected] = load(classifier()).predict([photograph])
    name, _, probability = done.stdout.strip().rpartition(" ")
    assert name == expected.ranked[0].class_
    assert float(probability) == pytest.approx(expected.ranked[0].probability, abs=1e-5)


def test_logits_are_those_of_the_classifier(classifier, tmp_path):
    export(classifier(), "onnx", out=tmp_path / "birds.onnx")
    probes = load(classifier()).bundle.probes()
    session = onnxruntime.InferenceSession(tmp_path / "birds.onnx")
    for image, logits, probabilities in zip(probes.images, probes.logits, probes.probabilities, strict=True):
        said = session.run(["logits", "probabilities"], {"image": image[np.newaxis]})
        np.testing.assert_allclose(said[0][0], logits, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(said[1][0], probabilities, rtol=0, atol=1e-5)


def test_int8_is_smaller_and_its_cost_is_measured(classifier, photographs, tmp_path):
    export(classifier(), "onnx", out=tmp_path / "birds.onnx")
    certificate = export(classifier(), "onnx", out=tmp_path / "small.onnx", data=photographs, int8=True)
    sizes = {path.name: path.stat().st_size for path in tmp_path.glob("*.onnx")}
    assert sizes["small.onnx"] < sizes["birds.onnx"] * 0.6
    cost = certificate.int8
    assert (cost.calibration_images, cost.measured_images) == (25, 25)
    assert cost.accuracy_before - cost.accuracy_after <= 1 / 25 and cost.agreement >= 24 / 25
    assert cost.mean_difference < certificate.tolerance == 0.05
    assert "5% (one in any case)" in certificate.rule and "at most 0.05 in the mean" in certificate.rule
    assert certificate.data.images == 25 and certificate.data.largest_difference > 1e-3
    kinds = {node.op_type for node in onnx.load(tmp_path / "small.onnx").graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason=f"neither weights nor photographs are there: {SHARED}")
def test_mobilenet_on_photographs(tmp_path, monkeypatch):
    from headstart import api

    monkeypatch.setenv("HEADSTART_WEIGHTS", str(SHARED / "weights"))
    settings = api.Settings(backbones=("mobilenet",), learning_rates=(1e-2,), limit=300, epochs=5, folds=2)
    folder = api.compare(SHARED / "datasets" / "flower_photos", settings, out=tmp_path / "run").classifier
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    for path in sorted((SHARED / "datasets" / "flower_photos").glob("*/*.jpg"))[::80]:
        (photographs / path.name).write_bytes(path.read_bytes())
    certificate = export(folder, "onnx", out=tmp_path / "flowers.onnx", data=photographs)
    found = as_a_user(tmp_path / "flowers.onnx", sorted(photographs.iterdir()), folder)
    assert found["answers"] == found["count"] == certificate.data.images
    assert found["difference"] < 1e-4
    assert storage.sha256_of(tmp_path / "flowers.onnx") == certificate.sha256
