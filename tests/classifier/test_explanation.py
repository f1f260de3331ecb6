"""One image explained: the PNG, the words, and the command line with everything that can be wrong."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from headstart.backbones.catalog import ZERO_TO_ONE
from headstart.classifier import bundle, explanation
from headstart.classifier.answering import Answering
from headstart.classifier.bundle import Provenance
from headstart.data.decode import Resize
from headstart.evaluation.unknown import Detector
from headstart.features import graph
from headstart.recipe import Head

CLASSES = ("reddish", "greenish", "bluish")
PROVENANCE = Provenance("study", "print", "tiny-lr0.1", "tiny", "random:0", "Apache-2.0", 80, 20, 0.9)


def colour_bundle(folder, *, rule="stretch", answering=None, side=32):
    """Save a classifier without Keras: a class is as probable as the image has places of its colour."""
    import openvino as ov

    ops = ov.opset13
    image = ops.parameter([-1, side, side, 3], np.float32)
    turned = ops.transpose(image, np.array([0, 3, 1, 2]))
    kernel = np.full((3, 3, 3, 3), -1 / 9, np.float32)
    kernel[range(3), range(3)] = 1 / 9
    values = ops.convolution(turned, kernel, [2, 2], [1, 1], [1, 1], [1, 1])
    maps = ops.transpose(ops.relu(values), np.array([0, 2, 3, 1]))
    size = Resize(side, side, rule)
    backbone = graph.backbone_graph(ov.Model([ops.result(maps)], [image], "colours"), ZERO_TO_ONE, size, any_size=True)
    model = graph.add_head(backbone, Head(), [np.eye(3, dtype=np.float32) * 40, np.zeros(3, np.float32)])
    bundle.save(
        folder, model, {}, classes=CLASSES, size=size, precision="f32", provenance=PROVENANCE, answering=answering
    )
    return folder


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return colour_bundle(tmp_path_factory.mktemp("run") / "classifier")


def picture(height=60, width=90, colour=2, spot=(slice(6, 22), slice(64, 84))) -> np.ndarray:
    """Return grey noise with one coloured square: blue in the upper right, unless told."""
    pixels = np.random.default_rng(1).integers(90, 150, (height, width, 1), np.uint8).repeat(3, axis=2)
    pixels[spot] = 0
    pixels[(*spot, colour)] = 255
    return pixels


@pytest.fixture
def photo(tmp_path):
    Image.fromarray(picture()).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def pixels_of(path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def panels(pixels: np.ndarray, count: int = 3, gap: int = 12) -> list[np.ndarray]:
    """Return how coloured each pixel is, for each of the pictures that stand side by side."""
    width = (pixels.shape[1] - gap * (count - 1)) // count
    return [np.ptp(pixels[:, at : at + width], axis=2) for at in range(0, pixels.shape[1], width + gap)]


def test_the_command_writes_the_picture_and_says_where_it_looked(headstart, classifier, photo, tmp_path):
    before = photo.read_bytes()
    status, out, error = headstart("explain", classifier, photo, "--out", "heat.png", "--quiet")
    assert (status, out.strip(), error) == (0, "heat.png", "")
    status, out, _ = headstart("explain", classifier, photo, "--out", "heat.png")
    assert status == 0
    assert re.search(r"^Answer: +bluish \(\d\d\.\d%\)$", out, re.MULTILINE)
    assert len(re.findall(r"^(?:Grad-CAM|Occlusion): +Most of the evidence .* lies in the upper right", out, re.M)) == 2
    assert re.search(r"Covering the hottest place lowers the probability by \d+ points", out)
    assert re.search(r"^Check: +The two maps agree: 0\.\d\d ", out, re.MULTILINE)
    assert out.splitlines()[-1] == "Written:    heat.png"
    assert photo.read_bytes() == before
    assert sorted(one.name for one in tmp_path.iterdir()) == ["heat.png", "photo.png"]


def test_the_picture_is_the_photograph_and_the_heat_on_it(headstart, classifier, photo, tmp_path):
    assert headstart("explain", classifier, photo, "--out", "heat.png", "--quiet")[0] == 0
    pixels = pixels_of(tmp_path / "heat.png")
    # 90 x 60 is enlarged three times; three pictures and two gaps of 12
    assert pixels.shape == (180, 3 * 270 + 24, 3)
    np.testing.assert_array_equal(pixels[::3, :270:3], picture())
    for heat in panels(pixels.astype(float))[1:]:
        middle = [np.average(np.arange(n), weights=heat.sum(axis=1 - axis)) for axis, n in enumerate(heat.shape)]
        assert middle == pytest.approx([14 * 3, 74 * 3], abs=20)


@pytest.mark.parametrize(("method", "count"), [("grad-cam", 2), ("occlusion", 2), ("both", 3)])
def test_json_is_one_document(headstart, classifier, photo, tmp_path, method, count):
    status, out, error = headstart(
        "explain", classifier, photo, "--out", "heat.png", "--method", method, "--class", "greenish", "--json"
    )
    assert (status, error) == (0, "")
    document = json.loads(out)
    assert list(document) == [
        "image", "answer", "probability", "class", "class_probability", "method", "looks", "agreement", "out",
    ]  # fmt: skip
    assert (document["answer"], document["class"], document["method"]) == ("bluish", "greenish", method)
    assert 0 < document["class_probability"] < document["probability"] < 1
    looks = {one["method"]: one for one in document["looks"]}
    assert list(looks) == {"both": ["grad-cam", "occlusion"]}.get(method, [method])
    if "grad-cam" in looks:
        assert (looks["grad-cam"]["rows"], looks["grad-cam"]["columns"]) == (16, 16)
        assert looks["grad-cam"]["largest_drop"] is None
    if "occlusion" in looks:
        assert (looks["occlusion"]["rows"], looks["occlusion"]["columns"]) == (14, 14)
        assert 0 <= looks["occlusion"]["largest_drop"] < 1
    assert pixels_of(tmp_path / "heat.png").shape == (180, count * 270 + 12 * (count - 1), 3)


def test_the_photograph_is_upright(headstart, classifier, tmp_path):
    turned = Image.fromarray(np.rot90(picture()).copy())
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    assert headstart("explain", classifier, "turned.png", "--out", "heat.png", "--method", "grad-cam")[0] == 0
    np.testing.assert_array_equal(pixels_of(tmp_path / "heat.png")[::3, :270:3], picture())


@pytest.mark.parametrize("rule", ["crop", "pad"])
def test_heat_lies_on_the_square_under_every_rule(headstart, tmp_path, rule):
    colour_bundle(tmp_path / "it", rule=rule)
    spot = slice(40, 56), slice(62, 74)
    Image.fromarray(picture(60, 120, 0, spot)).save(tmp_path / "wide.png")
    status, out, _ = headstart("explain", "it", "wide.png", "--out", "heat.png")
    assert (status, "reddish" in out) == (0, True)
    for heat in panels(pixels_of(tmp_path / "heat.png").astype(float))[1:]:
        middle = [np.average(np.arange(n), weights=heat.sum(axis=1 - axis)) for axis, n in enumerate(heat.shape)]
        assert middle == pytest.approx([48 * 2, 68 * 2], abs=14)


@pytest.mark.parametrize(("side", "shown"), [(16, 240), (120, 240), (240, 240), (1000, 1000), (1400, 1000)])
def test_large_photographs_are_shown_smaller_and_small_ones_larger(classifier, tmp_path, side, shown):
    Image.fromarray(np.zeros((side // 2, side, 3), np.uint8)).save(tmp_path / "black.png")
    found = explanation.explain(classifier, tmp_path / "black.png", tmp_path / "heat.png", method="grad-cam")
    assert pixels_of(tmp_path / "heat.png").shape == (shown // 2, 2 * shown + 12, 3)
    # nothing has a colour: the map is empty, and that is said
    assert "empty" in found.looks[0].where
    assert found.agreement is None


def test_an_unknown_answer_explains_the_most_probable_class(classifier, photo, tmp_path):
    colour_bundle(tmp_path / "it", answering=Answering(detector=Detector("energy", -1e9, {})))
    found = explanation.explain(tmp_path / "it", photo, tmp_path / "heat.png", method="grad-cam")
    assert (found.answer, found.probability, found.class_) == ("unknown", None, "bluish")
    words = explanation.in_words(found)
    assert "Answer:     unknown\n" in words
    assert re.search(r"Explained: +bluish \(\d", words)


WRONG = [
    (["--class", "gren"], 2, r"no class 'gren'\. Did you mean 'greenish'\? Its classes are: reddish, greenish, bluish"),
    (["--method", "gradcam"], 2, r"must be one of grad-cam, occlusion, both\. .*Did you mean 'grad-cam'\?"),
    (["--out", "heat.jpg"], 2, r"name of a PNG file, such as heat\.png"),
    (["--out", "heat"], 2, "name of a PNG file"),
    (["--out", "nowhere/heat.png"], 2, r"no folder nowhere for --out heat\.png"),
    (["--out", "folder.png"], 2, "is a folder"),
    (["--out", "photo.png"], 2, "is the image itself"),
    (["--out", "linked.png"], 2, "is the image itself"),
    (["--out", "other.png"], 2, r"other\.png is there already and is no picture of headstart explain\. Choose another"),
    (["--no-such-option"], 2, "No such option"),
]


@pytest.mark.parametrize(("extra", "status", "message"), WRONG, ids=lambda value: str(value)[:30])
def test_what_is_wrong_is_said_in_one_line_and_nothing_is_written(headstart, classifier, photo, extra, status, message):
    tmp_path = photo.parent
    (tmp_path / "folder.png").mkdir()
    os.link(photo, tmp_path / "linked.png")
    Image.fromarray(picture(colour=0)).save(tmp_path / "other.png")
    before = sorted((one.name, one.stat().st_mtime_ns) for one in tmp_path.iterdir())
    out_option = [] if "--out" in extra else ["--out", "heat.png"]
    found, out, error = headstart("explain", classifier, photo, *out_option, *extra)
    assert (found, out) == (status, "")
    assert re.search(message, error), error
    assert len([line for line in error.splitlines() if line.startswith("Error")]) == 1
    assert "Traceback" not in error
    assert sorted((one.name, one.stat().st_mtime_ns) for one in tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        ("nothing.png", 2, r"There is no image nothing\.png"),
        ("folder", 2, "folder is no file"),
        ("text.jpg", 1, r"text\.jpg: text, not an image"),
        ("half.png", 1, r"half\.png: (truncated|damaged) PNG"),
    ],
)
def test_images_that_cannot_be_read_are_said(headstart, classifier, photo, name, status, message):
    tmp_path = photo.parent
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "half.png").write_bytes(photo.read_bytes()[:3000])
    found, out, error = headstart("explain", classifier, name, "--out", "heat.png")
    assert (found, out) == (status, "")
    assert re.search(message, error), error
    assert not (tmp_path / "heat.png").exists()


def test_folders_that_are_no_classifier_are_said(headstart, photo, tmp_path):
    status, _, error = headstart("explain", tmp_path, photo, "--out", "heat.png")
    assert status == 1
    assert "is no classifier" in error
    assert "Traceback" not in error


def test_a_map_of_one_place_is_said(photo, tmp_path):
    colour_bundle(tmp_path / "it", side=2)
    found = explanation.explain(tmp_path / "it", photo, tmp_path / "heat.png")
    assert (found.looks[0].rows, found.looks[0].columns, found.agreement) == (1, 1, None)
    assert "one place only" in explanation.in_words(found)
    assert "cannot be compared" in explanation.in_words(found)


def test_small_drops_and_disagreement_are_said():
    looks = (explanation.Look("grad-cam", 7, 7, "Here.", None), explanation.Look("occlusion", 14, 14, "There.", 0.004))
    words = {}
    for agreed in (0.7, 0.3, -0.1):
        found = explanation.Explanation("photo.jpg", "cat", 0.999, "cat", 0.999, "both", looks, agreed, "heat.png")
        words[agreed] = explanation.in_words(found)
        assert "There. But covering any one part lowers the probability by less than 1 point." in words[agreed]
    assert "The two maps agree: 0.70" in words[0.7]
    assert "The two maps agree in part: 0.30" in words[0.3]
    assert "The two maps do not agree, so lean on neither: -0.10" in words[-0.1]


def test_explaining_needs_the_base_install_only(classifier, photo, tmp_path):
    code = f"""
import sys
for name in ("keras", "tensorflow", "jax", "torch", "sklearn", "scipy", "matplotlib", "h5py", "jinja2"):
    sys.modules[name] = None
sys.argv = ["headstart", "explain", {str(classifier)!r}, {str(photo)!r}, "--out", {str(tmp_path / "heat.png")!r}]
from headstart.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "The two maps agree" in done.stdout
    assert (tmp_path / "heat.png").exists()
