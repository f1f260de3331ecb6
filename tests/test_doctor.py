"""``headstart doctor CLASSIFIER``: what it checks, and when it is not content."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from headstart import doctor
from headstart.classifier import bundle
from headstart.cli import app

from .classifier.conftest import save_birds


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save_birds(tmp_path_factory.mktemp("run") / "classifier")


@pytest.fixture
def copied(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "birds")


def states(path):
    return {check.name: check.good for check in doctor.examine_classifier(path)}


GOOD = {"headstart": True, "base install": True, "files": True, "classifier": True, "self-test": True}


def test_a_sound_classifier_is_good_as_folder_and_as_zip_file(saved, tmp_path):
    assert states(saved) == GOOD
    assert states(bundle.pack(saved, tmp_path / "birds.zip")) == GOOD
    found = {check.name: check.finding for check in doctor.examine_classifier(saved)}
    assert found["classifier"] == "tiny-lr0.1: 3 classes, images of 20 x 16 pixels, f32"
    assert found["files"].startswith("5 files, 0.")
    assert "9 generated pictures" in found["self-test"]


def test_damage_is_found(copied):
    (copied / "README.md").write_text("other")
    assert states(copied) == {"headstart": True, "base install": True, "files": False}
    assert states(copied / "nowhere")["files"] is False


def test_a_self_test_that_fails_is_said(saved, monkeypatch):
    from headstart.classifier import probes

    monkeypatch.setattr(probes, "calibrated", lambda logits, temperature: np.full(logits.shape, 0.3))
    assert states(saved) == {**GOOD, "self-test": False}


def test_an_older_bundle_is_good_without_a_self_test(copied):
    info = json.loads((copied / "classifier.json").read_text())
    del info["files"]["probes.npz"], info["checksum"]
    (copied / "classifier.json").write_text(json.dumps(info))
    assert states(copied) == GOOD


def test_a_missing_package_is_said_first(saved, monkeypatch):
    monkeypatch.setattr(doctor, "BASE", ("numpy", "no-such-package"))
    assert states(saved) == {"headstart": True, "base install": False}


def test_the_command_prints_the_checks_and_its_status_is_theirs(saved, copied):
    done = CliRunner().invoke(app, ["doctor", str(saved)])
    assert (done.exit_code, [line[:3] for line in done.stdout.splitlines()]) == (0, ["ok "] * 5)
    (copied / "model.bin").unlink()
    done = CliRunner().invoke(app, ["doctor", str(copied), "--json"])
    assert done.exit_code == 1
    assert [check["good"] for check in json.loads(done.stdout)] == [True, True, False]
    assert "model.bin is missing" in json.loads(done.stdout)[2]["finding"]
