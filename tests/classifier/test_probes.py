"""The self-test: pictures that never change, and what it notices."""

import hashlib
import io
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from headstart.classifier import bundle, predict, probe_file, probes
from headstart.classifier.probe_file import Probes
from headstart.data import decode
from headstart.data.decode import Resize
from headstart.errors import ClassifierError
from headstart.evaluation.calibration import calibrated

# SHA-256 over shapes and pixels: pictures that change would make every older bundle's file the only one of its kind.
MADE = {16: "e8e51f90b3c0f231", 224: "efca113200302e71", 600: "98d127e151bf7234"}


def fingerprint(images):
    digest = hashlib.sha256()
    for image in images:
        digest.update(repr(image.shape).encode() + image.tobytes())
    return digest.hexdigest()[:16]


@pytest.mark.parametrize("side", MADE)
def test_the_pictures_are_always_the_same(side):
    images = probes.make(Resize(side, side))
    assert fingerprint(images) == MADE[side]
    assert fingerprint(probes.make(Resize(side, side, "crop"))) == MADE[side]


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 5), (32, 32), (224, 224), (600, 480), (1000, 2000)])
def test_the_pictures_have_many_sizes_and_little_weight(height, width):
    images = probes.make(Resize(height, width))
    assert all(image.dtype == np.uint8 and image.shape[2:] == (3,) for image in images)
    assert {(1, 1), (400, 600), (200, 50), (48, 320), (min(height, 320), min(width, 320))} <= {
        i.shape[:2] for i in images
    }
    answers = np.random.default_rng(1).normal(size=(len(images), 100))
    content = probe_file.to_bytes(Probes(images, answers.astype(np.float32), answers))
    assert len(content) < 250_000
    assert content == probe_file.to_bytes(Probes(images, answers.astype(np.float32), answers))


def test_probes_come_back():
    images, answers = probes.make(Resize(20, 30)), np.random.default_rng(1).normal(size=(9, 4))
    found = probe_file.from_bytes(probe_file.to_bytes(Probes(images, answers.astype(np.float32), answers)), 4, "it")
    assert len(found.images) == 9
    for one, other in zip(found.images, images, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(found.logits, answers.astype(np.float32))
    np.testing.assert_array_equal(found.probabilities, answers)


def as_npz(**arrays):
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


PICTURE, ANSWERS = np.zeros((2, 3, 3), np.uint8), np.zeros((1, 4), np.float32)


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"logits": ANSWERS, "probabilities": ANSWERS},
        {"image_0": PICTURE, "logits": ANSWERS},
        {"image_1": PICTURE, "logits": ANSWERS, "probabilities": ANSWERS},
        {"image_0": PICTURE[0], "logits": ANSWERS, "probabilities": ANSWERS},
        {"image_0": PICTURE.astype(np.float32), "logits": ANSWERS, "probabilities": ANSWERS},
        {"image_0": PICTURE[:0], "logits": ANSWERS, "probabilities": ANSWERS},
        {"image_0": PICTURE, "logits": ANSWERS[:, :3], "probabilities": ANSWERS},
        {"image_0": PICTURE, "logits": ANSWERS, "probabilities": ANSWERS.astype(np.int64)},
    ],
)
def test_other_arrays_are_no_probes(arrays):
    with pytest.raises(ClassifierError, match="it holds no"):
        probe_file.from_bytes(as_npz(**arrays), 4, "it")


@pytest.mark.parametrize("length", [0, 10, 500, -30, -1])
def test_a_truncated_file_is_refused(length):
    images, answers = probes.make(Resize(20, 30)), np.ones((9, 4))
    content = probe_file.to_bytes(Probes(images, answers, answers))
    with pytest.raises(ClassifierError, match="it cannot be read"):
        probe_file.from_bytes(content[:length], 4, "it")


def test_a_saved_classifier_says_the_same_again(bird_bundle):
    classifier = predict.load(bird_bundle)
    found, saved = probes.check(classifier), classifier.bundle.probes()
    assert found.good
    assert (found.images, found.tolerance) == (9, 1e-3)
    assert found.largest_difference < 1e-6
    logits = classifier.outputs(saved.images).logits
    np.testing.assert_allclose(saved.logits, logits, atol=1e-5)
    np.testing.assert_allclose(saved.probabilities, calibrated(logits, 1.5), atol=1e-6)
    assert saved.probabilities.std(axis=0).min() > 1e-3


def resealed(folder, *files, **changes):
    """Give a bundle other contents and the right checksums, as a fault in a new version would."""
    info = json.loads((folder / "classifier.json").read_text())
    for name in files:
        content = (folder / name).read_bytes()
        info["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    (folder / "classifier.json").write_text(json.dumps({**info, "checksum": "", **changes}))
    return predict.load(folder)


def test_other_weights_or_another_temperature_are_noticed(birds):
    assert not probes.check(resealed(birds, temperature=3.0)).good
    weights = np.fromfile(birds / "model.bin", np.float32)
    # what is no number of the network (shapes, indices) is tiny as float32
    weights[np.abs(weights) > 0.1] *= 1.05
    weights.tofile(birds / "model.bin")
    assert not probes.check(resealed(birds, "model.bin", temperature=1.5)).good


def test_another_resize_rule_is_noticed(birds, monkeypatch):
    classifier, load = predict.load(birds), decode.load
    monkeypatch.setattr(decode, "load", lambda image, size, **_: load(image, Resize(size.height, size.width, "crop")))
    assert not probes.check(classifier).good


def test_nan_is_not_good(birds, monkeypatch):
    classifier = predict.load(birds)
    said = classifier.outputs(classifier.bundle.probes().images)
    said.logits[2] = np.nan
    monkeypatch.setattr(type(classifier), "outputs", lambda *_: said)
    assert not probes.check(classifier).good


def test_an_older_bundle_has_no_self_test(birds):
    info = json.loads((birds / "classifier.json").read_text())
    del info["files"]["probes.npz"]
    classifier = resealed(birds, files=info["files"])
    assert classifier.bundle.probes() is None
    with pytest.raises(ClassifierError, match="has no probe pictures"):
        probes.check(classifier)


STUDY_ONLY = ("keras", "tensorflow", "jax", "torch", "scipy", "sklearn", "matplotlib", "h5py", "jinja2", "pandas")


def test_the_base_install_gives_the_same_probabilities(bird_bundle, tmp_path):
    """A process that cannot import what only studies need, from a folder and from a zip file."""
    packed = bundle.pack(bird_bundle, tmp_path / "birds.zip")
    images = [np.random.default_rng(seed).integers(0, 256, (40, 30, 3), np.uint8) for seed in range(6)]
    np.savez(tmp_path / "images.npz", *images)
    code = f"""
import sys
for name in {STUDY_ONLY!r}: sys.modules[name] = None
import numpy as np
from headstart.classifier import predict, probes
images = list(np.load("images.npz").values())
for place in sys.argv[1:]:
    classifier = predict.load(place)
    assert probes.check(classifier).good
    np.save(place + ".npy", classifier.probabilities(images))
"""
    shutil.copytree(bird_bundle, tmp_path / "folder")
    subprocess.run([sys.executable, "-c", code, "folder", "birds.zip"], cwd=tmp_path, check=True)
    expected = predict.load(bird_bundle).probabilities(images)
    for place in ("folder", packed.name):
        np.testing.assert_allclose(np.load(tmp_path / f"{place}.npy"), expected, atol=1e-5)
