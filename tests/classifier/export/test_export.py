"""The whole of an export: where it is written, what stops it, and what is left then."""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from headstart import storage
from headstart.classifier import export as exporting
from headstart.classifier.export import FORMATS, export, openvino
from headstart.cli import app
from headstart.errors import ClassifierError, DataError, ExportError, MissingExtraError, UsageError


@pytest.fixture
def copy(classifier, tmp_path):
    """A classifier in a folder of its own."""
    folder = tmp_path / "run" / "classifier"
    folder.mkdir(parents=True)
    for path in classifier().iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_an_export_lies_beside_the_classifier_with_its_certificate(copy):
    certificate = export(copy, "openvino")
    run = copy.parent
    assert names(run) == ["classifier", "classifier.bin", "classifier.xml", "classifier.xml.certificate.json"]
    said = json.loads((run / "classifier.xml.certificate.json").read_text())
    assert said == json.loads(storage.json_text(certificate))
    assert said["sha256"] == storage.sha256_of(run / "classifier.xml")
    assert said["weights_sha256"] == storage.sha256_of(run / "classifier.bin")
    assert said["bytes"] == sum((run / name).stat().st_size for name in ("classifier.xml", "classifier.bin"))
    assert (said["format"], said["classifier"], said["data"], said["int8"]) == ("openvino", "tiny-lr0.1", None, None)
    assert said["probes"]["images"] == said["probes"]["same_answer"] == 9
    assert said["tolerance"] == 1e-3 and "within 0.001" in said["rule"]
    assert str(run) not in storage.json_text(said)


def test_the_same_export_replaces_its_earlier_one(copy):
    assert export(copy, "zip") == export(copy, "zip")


@pytest.mark.parametrize("changed", [False, True])
def test_other_files_are_not_replaced_without_force(copy, changed):
    file = copy.parent / "classifier.zip"
    if changed:
        export(copy, "zip")
    file.write_bytes(b"mine")
    with pytest.raises(UsageError, match="exists, and is no unchanged export to zip with its certificate"):
        export(copy, "zip")
    assert file.read_bytes() == b"mine"
    export(copy, "zip", force=True)
    assert file.read_bytes().startswith(b"PK")


def test_a_second_file_is_not_replaced_either(copy):
    (copy.parent / "classifier.bin").write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"classifier\.bin exists"):
        export(copy, "openvino")
    export(copy, "openvino", force=True)
    export(copy, "openvino")
    (copy.parent / "classifier.bin").write_bytes(b"mine again")
    with pytest.raises(UsageError, match="exists, and is no unchanged export"):
        export(copy, "openvino")
    assert (copy.parent / "classifier.bin").read_bytes() == b"mine again"
    (copy.parent / "classifier.bin").unlink()
    export(copy, "openvino")


def test_a_certificate_is_not_replaced_either(copy):
    file = copy.parent / "classifier.zip.certificate.json"
    file.write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"classifier\.zip\.certificate\.json exists"):
        export(copy, "zip")
    assert file.read_bytes() == b"mine"


@pytest.mark.parametrize("out", ["model.xml", "", "new/model.xml", "../classifier/model.xml", "../link/model.xml"])
def test_nothing_is_written_into_the_classifier(copy, out):
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    (copy.parent / "link").symlink_to(copy)
    with pytest.raises(UsageError, match="would lie in the classifier itself"):
        export(copy, "openvino", out=copy / out, force=True)
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before


def test_a_classifier_named_by_where_one_stands(copy, monkeypatch):
    monkeypatch.chdir(copy)
    assert exporting.place(".", "zip") == copy.parent / "classifier.zip"
    (copy.parent / "other").mkdir()
    monkeypatch.chdir(copy.parent / "other")
    assert exporting.place("../classifier", "zip") == Path("../classifier.zip")


def test_a_folder_is_never_replaced(copy):
    (copy.parent / "classifier.zip").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        export(copy, "zip", force=True)


def test_out_is_a_file_or_a_folder(copy, tmp_path):
    (tmp_path / "there").mkdir()
    export(copy, "zip", out=tmp_path / "there")
    export(copy, "zip", out=tmp_path / "new" / "birds.zip")
    assert (tmp_path / "there" / "classifier.zip").is_file() and (tmp_path / "new" / "birds.zip").is_file()
    assert exporting.place(tmp_path / "new" / "birds.zip", "onnx", int8=True) == tmp_path / "new" / "birds.int8.onnx"
    with pytest.raises(UsageError, match=r"--out must be a folder, or a file whose name ends in \.zip"):
        export(copy, "zip", out=tmp_path / "birds.onnx")


def test_a_file_that_says_something_else_is_not_handed_over(copy, monkeypatch):
    """The temperature of the export is another one: answers agree, probabilities do not."""
    export(copy, "openvino")
    before = {path.name: path.read_bytes() for path in copy.parent.iterdir() if path.is_file()}
    with_two_outputs = openvino._with_two_outputs
    monkeypatch.setattr(openvino, "_with_two_outputs", lambda model, temperature: with_two_outputs(model, 1.0))
    with pytest.raises(ExportError, match=r"of probe \d \(\d+ x \d+ pixels\): '.*' has probability .* Nothing was wri"):
        export(copy, "openvino")
    assert {path.name: path.read_bytes() for path in copy.parent.iterdir() if path.is_file()} == before
    assert names(copy.parent) == ["classifier", *sorted(before)]


def test_a_difference_on_the_data_alone_stops_it_too(copy, photographs, monkeypatch):
    """A file that resizes by another rule: the probes of the network's own size cannot tell."""
    opened = FORMATS["openvino"].open

    def lying(file):
        runtime = opened(file)
        return dataclasses.replace(
            runtime, run=lambda pixels: np.full((len(pixels), 3), 1 / 3) if len(pixels) > 9 else runtime.run(pixels)
        )

    monkeypatch.setitem(FORMATS, "openvino", dataclasses.replace(FORMATS["openvino"], open=lying))
    assert export(copy, "openvino").probes.images == 9
    with pytest.raises(ExportError, match=r"of (amber|no)/\d+\.png"):
        export(copy, "openvino", data=photographs, out=copy.parent / "other.xml")
    assert "other.xml" not in names(copy.parent)


def test_data_can_be_labelled_or_a_plain_folder(copy, photographs, tmp_path):
    labelled = export(copy, "openvino", data=photographs)
    assert (labelled.data.images, labelled.data.same_answer, labelled.data.unreadable) == (50, 50, 0)
    plain = export(copy, "openvino", data=photographs / "no")
    assert (plain.data.images, plain.data.unreadable) == (25, 1)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.jpg").write_text("no picture")
    with pytest.raises(DataError, match="No image of texts can be read"):
        export(copy, "openvino", data=tmp_path / "texts")
    with pytest.raises(DataError, match="There is no folder or file"):
        export(copy, "openvino", data=tmp_path / "nowhere")


def test_int8_in_words(copy, photographs):
    words = export(copy, "openvino", data=photographs, int8=True).words()
    assert "Int8:    on 25 images, none of the 25 that set its ranges: accuracy 0." in words
    assert "; same answer on " in words and " apart in the mean\n" in words
    plain = export(copy, "openvino", data=photographs / "no").words()
    assert "25 images of the data: same answer on 25" in plain and "1 could not be read" in plain


def test_what_cannot_be_asked_for(copy, photographs, tmp_path):
    with pytest.raises(UsageError, match=r"--to must be onnx, .*Received: 'onx'\. Did you mean 'onnx'\?"):
        export(copy, "onx")
    with pytest.raises(UsageError, match="--int8 works with --to onnx or openvino only"):
        export(copy, "keras", int8=True, data=photographs)
    with pytest.raises(UsageError, match="Name some: --data DATA"):
        export(copy, "openvino", int8=True)
    (tmp_path / "few").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "few" / "a.png")
    with pytest.raises(UsageError, match=r"at least 50 images in --data\. Received: 1"):
        export(copy, "openvino", int8=True, data=tmp_path / "few")
    export(copy, "zip")
    with pytest.raises(UsageError, match="is one zip file already"):
        export(copy.parent / "classifier.zip", "zip", out=tmp_path / "again.zip")
    with pytest.raises(ClassifierError, match="no classifier"):
        export(tmp_path, "zip")


@pytest.mark.parametrize("to", ["onnx", "keras", "litert"])
def test_what_keras_cannot_build_is_refused_and_nothing_is_left(without_head, tmp_path, to):
    (tmp_path / "out").mkdir()
    with pytest.raises(ClassifierError, match="can be exported to openvino and zip"):
        export(without_head, to, out=tmp_path / "out")
    assert names(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("package", "to", "line"),
    [
        ("onnxruntime", "onnx", "onnxruntime is not installed. Install it with: pip install 'headstart[export]'"),
        ("tf2onnx", "onnx", "tf2onnx is not installed"),
        ("ai_edge_litert.interpreter", "litert", "ai-edge-litert is not installed"),
        ("nncf", "openvino", "nncf is not installed"),
    ],
)
def test_a_missing_extra_is_named(copy, photographs, monkeypatch, package, to, line):
    monkeypatch.setitem(sys.modules, package, None)
    int8 = package == "nncf"
    with pytest.raises(MissingExtraError) as error:
        export(copy, to, int8=int8, data=photographs if int8 else None)
    assert str(error.value).startswith(line)
    assert names(copy.parent) == ["classifier"]


def test_another_backend_of_keras_is_refused_for_converters(copy, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(ExportError, match=r"needs Keras on TensorFlow\. Received: KERAS_BACKEND=jax"):
        export(copy, "onnx")


def test_the_command(copy):
    done = CliRunner().invoke(app, ["export", str(copy), "--to", "openvino"], catch_exceptions=False)
    path, size, source, checked, *_ = done.stdout.splitlines()
    assert Path(path) == copy.parent / "classifier.xml"
    assert size.startswith("Size:") and "uint8 RGB (images, 32, 32, 3)" in source
    assert checked.startswith("Checked: openvino")
    done = CliRunner().invoke(app, ["export", str(copy), "--to", "zip", "--json"], catch_exceptions=False)
    assert json.loads(done.stdout)["format"] == "zip"
    done = CliRunner().invoke(app, ["export", str(copy), "--to", "zip", "--quiet"], catch_exceptions=False)
    assert done.stdout == f"{copy.parent / 'classifier.zip'}\n" and done.stderr == ""
