"""The model card: its metadata as a parser of YAML reads it, and what it says in words."""

import re
from dataclasses import replace

import numpy as np
import pytest
import yaml

from headstart.classifier import bundle, card
from headstart.classifier.card import NetworkFacts
from headstart.classifier.metadata import block, quoted
from headstart.evaluation.evidence import Calibration, CalibrationScores, CleanTest, LabelDoubts, Unknown
from headstart.evaluation.metrics import evaluate
from headstart.evaluation.operating import Cost

from .conftest import CLASSES, facts, save_birds

ODD = [
    "no", "~", "1e3", "2024-01-01", "a: b", "- a", "# a", "", " a ", 'say "hi"', "back\\slash", "tab\tline\nend\r",
    "--- a", "ä ö 漢字 🌷", "\x00\x07\x85\u2028\ufeff", "{a}", "[a]", "&a *a !a %a @a `a`", "'", "<b>",
]  # fmt: skip


@pytest.fixture
def info(bird_bundle):
    return bundle.read_info(bird_bundle)


def metadata(text):
    _, head, body = text.split("---\n", 2)
    return yaml.safe_load(head), body


@pytest.mark.parametrize("text", ODD)
def test_every_text_comes_back_from_yaml(text):
    assert yaml.safe_load(quoted(text)) == text


def test_lists_and_mappings_come_back_from_yaml():
    given = {
        "a": ODD, "b": [{"c": [{"d-e": 1, "f": 0.25}], "g": True}, {"h": "x"}], "i": [], "j": {"k": 1e-9, "l": 10**12},
    }  # fmt: skip
    text = block(given)
    assert text.startswith("---\n") and text.endswith("---\n")
    assert yaml.safe_load(text.strip("-\n")) == {**given, "j": {"k": 0.0, "l": 10**12}}


def test_model_hubs_read_what_they_look_for(info):
    head, _ = metadata(card.text(info, facts()))
    assert (head["license"], head["library_name"], head["pipeline_tag"]) == (
        "apache-2.0", "headstart", "image-classification",
    )  # fmt: skip
    assert head["base_model"] == ["small_cnn"]
    assert {"image-classification", "openvino", "small_cnn"} <= set(head["tags"])
    [model] = head["model-index"]
    [result] = model["results"]
    assert model["name"] == "tiny-lr0.1"
    assert result["task"]["type"] == "image-classification"
    assert (result["dataset"]["name"], result["dataset"]["split"]) == ("birds", "test")
    values = {one["type"]: one["value"] for one in result["metrics"]}
    test = facts().test
    assert values == pytest.approx(
        {"accuracy": 0.9, "balanced_accuracy": test.balanced_accuracy, "f1": test.averages.macro.f1}, abs=1e-6
    )
    assert set(values) == set(head["metrics"])


def test_other_licences_are_named(info):
    two = (NetworkFacts("a", "A", "w", "MIT"), NetworkFacts("b", "B", "w", "BSD-3-Clause"))
    head, body = metadata(card.text(info, facts(networks=two)))
    assert (head["license"], head["license_name"]) == ("other", "MIT + BSD-3-Clause")
    assert "Licence: MIT." in body and "Licence: BSD-3-Clause." in body
    head, _ = metadata(card.text(info, facts(networks=(replace(two[0], licence="own: terms"),))))
    assert (head["license"], head["license_name"]) == ("other", "own: terms")


def test_the_words_say_the_numbers(info):
    _, body = metadata(card.text(info, facts()))
    assert (
        "On 30 test images that played no part in its making it was right in 90.0 % (95 % interval 74.4 to 96.5)"
        in body
    )
    assert "80 were learned from, 30 kept for the test" in body
    assert "20 x 16 pixels (stretch)" in body
    assert "`print`" in body and "headstart run study.toml --data DATA" in body
    assert "Classes with fewer than 30 test images" in body and "crow, jay \\| magpie, no." in body
    assert "Classes learned from fewer than 50 images: crow, jay \\| magpie." in body
    assert "answers `unknown`" in body
    for command in re.findall(r"^headstart (\w+)", body, re.MULTILINE):
        assert command in ("predict", "doctor", "run")


def test_shared_test_images_do_not_count(info):
    clean = CleanTest("it", 30, 12, 15, 15 / 18, (0.608, 0.942))
    head, body = metadata(card.text(info, facts(clean=clean)))
    words = "On 18 test images that played no part in its making it was right in 83.3 % (95 % interval 60.8 to 94.2). "
    assert f"{words}12 of the 30 test images are also training images and do not count here." in body
    assert "12 of 30 test images (40 %) are also training images; on the other 18: 83.3 %." in body
    assert "30 given for the test, 12 of which were learned from too" in body
    assert "looks better than it is: of 30 it classified 90.0 % right" in body and "sealed" not in body
    [metric] = head["model-index"][0]["results"][0]["metrics"]
    assert (metric["type"], metric["value"]) == ("accuracy", pytest.approx(15 / 18))
    assert head["metrics"] == ["accuracy"]
    assert "without test images that are also training images" in metric["name"]


def test_where_all_test_images_are_shared_the_validation_leads(info):
    clean = CleanTest("it", 30, 30, 0, None, None)
    head, body = metadata(card.text(info, facts(clean=clean, validated="5-fold cross-validation says 81.0 %.")))
    said = "so they say nothing about new ones. 5-fold cross-validation says 81.0 %."
    assert f"All 30 test images are also training images, {said}" in body
    assert "played no part" not in body
    assert "model-index" not in head and "metrics" not in head


def test_the_table_has_a_row_per_class_and_as_many_cells(info):
    _, body = metadata(card.text(info, facts()))
    rows = [line for line in body.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(CLASSES)
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {6}
    assert rows[3].startswith("| jay \\| magpie | 20 | 10 | 90.0 % | 90.0 % |")


def test_what_was_measured_beside_is_said(info):
    before, after = CalibrationScores(0.076, 0.2, 0.3, ()), CalibrationScores(0.013, 0.2, 0.3, ())
    given = facts(
        calibration=Calibration("it", 2.5, "out_of_fold", 80, before, after),
        unknown=Unknown("it", "energy", 1.0, 0.937, "", (), (), 0.837, None, ()),
        doubts=LabelDoubts("it", 80, 9, 5, 0.06, ""),
    )
    _, body = metadata(card.text(info, given))
    assert "temperature 2.5" in body and "are 1.3 points apart" in body and "before the correction 7.6" in body
    assert "in 83.7 of 100 pairs (mean AUROC 0.837)" in body and "93.7 % are not refused" in body
    assert "about 5 of 80 by estimate" in body
    assert "Perfect probabilities" not in body
    _, body = metadata(card.text(info, replace(given, unknown=replace(given.unknown, mean_auroc=None))))
    assert "was not measured. Of the test images" in body


def test_the_noise_of_the_calibration_error_is_said_and_a_temperature_that_was_kept(info):
    scores = CalibrationScores(0.031, 0.2, 0.3, (), noise=0.022)
    _, body = metadata(card.text(info, facts(calibration=Calibration("it", 1.0, "out_of_fold", 80, scores, scores))))
    assert "as the network gives them: 80 images say nothing better" in body
    assert "are 3.1 points apart" in body and "Perfect probabilities would show 2.2 on them." in body
    assert "before the correction" not in body


def test_a_classifier_without_unknown_says_so(info):
    _, body = metadata(card.text(replace(info, unknown=None), facts()))
    assert "whatever it is shown, it names one of its classes" in body
    assert "unknown" not in body
    _, body = metadata(card.text(replace(info, costs=(Cost("crow", "no", 3.0),)), facts()))
    assert "Some errors were said to matter more" in body


def test_names_cannot_become_marks_or_metadata(info):
    evil = ("---\nlicense: mit", "<script>alert(1)</script>", "[x](http://y)")
    labels = np.arange(30) % 3
    test = evaluate(labels, np.eye(3)[labels], evil)
    _, body = metadata(card.text(replace(info, classes=evil), facts(data="# a\n---\n<b>", test=test)))
    words = re.sub(r"```.*?```|^\|---.*$", "", body, flags=re.DOTALL | re.MULTILINE)
    assert "script" in words and "mit" in words
    assert not re.search(r"(?<!\\)[<\[]|^---|^# a", words, re.MULTILINE)


def test_many_classes_are_not_all_listed_in_a_sentence(info):
    names, labels = tuple(f"class {number}" for number in range(120)), np.arange(120)
    many = facts(training=(100,) * 120, test=evaluate(labels, np.eye(120)[labels], names))
    _, body = metadata(card.text(replace(info, classes=names), many))
    assert "class 29 and 90 more" in body and "class 30" not in body.partition("## How")[0]
    assert body.count("\n| class ") == 121
    assert "class 9 and 110 more." in body


def test_the_card_lies_in_the_bundle_and_names_no_place(bird_bundle):
    text = (bird_bundle / "README.md").read_text("utf-8")
    assert metadata(text)[0]["library_name"] == "headstart"
    assert str(bird_bundle.parent) not in text


def test_the_card_says_that_hashes_are_kept(info, tmp_path):
    assert "learned.bin" not in card.text(info, facts())
    folder = save_birds(tmp_path / "it", learned=["ab" * 32])
    assert "`learned.bin` holds a hash of every image file" in (folder / "README.md").read_text("utf-8")
