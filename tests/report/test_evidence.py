"""Every kind of evidence is seen on the page where it was measured, and leaves no trace where it was not."""

import dataclasses
import html
import json
import re

import pytest

from headstart.evaluation.summary import Summary
from headstart.report.page import render

PIECES = {
    "friedman": ("All candidates together",),
    "calibration": ("Is it as sure as it is right?", "Reliability diagram"),
    "unknown": ("Does it know what it does not know?", "Accuracy against coverage"),
    "operating": ("Where some errors matter more",),
    "leak_effect": ("also learned from",),
    "optimism": ("How much does choosing flatter?",),
    "learning_curve": ("Would more images help?", "Accuracy against training images"),
    "overfitting": ("validation loss turned", "gap of training and validation"),
    "combinations": ("Would several together do better?",),
    "label_doubts": ("Labels that may be wrong", "labels in doubt"),
    "changes": ("Against the run that the corrected list came from",),
    "estimands": ("What each interval is about",),
    "recommendation": ('class="recommendation"',),
}
"""What is on the page where a key of the summary holds something."""


def shown(text):
    """Return the pointers of all numbers on a page."""
    return set(re.findall(r'data-from="([^"]+)"', text))


def leaves(value, pointer):
    """Yield the pointers of all numbers below a JSON value; what is only drawn is left out."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, f"{pointer}/{name}")
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from leaves(inner, f"{pointer}/{place}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield pointer


@pytest.fixture(scope="module")
def plain():
    """Return what a key of a summary holds where nothing was measured."""
    return {
        field.name: field.default if field.default is not dataclasses.MISSING else field.default_factory()
        for field in dataclasses.fields(Summary)
        if field.name in PIECES
    }


def test_every_kind_of_evidence_is_seen(evidence_run):
    _, text = evidence_run
    for words in (word for piece in PIECES.values() for word in piece):
        assert words in text


@pytest.mark.parametrize("names", [list(PIECES)[::2], list(PIECES)[1::2], list(PIECES)])
def test_what_was_not_measured_leaves_no_trace(build_run, plain, names):
    folder = build_run(evidence=True)
    folder.write_summary(dataclasses.replace(folder.summary(), **{one: plain[one] for one in names}))
    text = render(folder)
    for one, piece in PIECES.items():
        assert [words in text for words in piece] == [one not in names] * len(piece), one
    answers = not {"calibration", "unknown", "operating"} <= set(names)
    assert ("How far can an answer be trusted?" in text) == ('href="#answers"' in text) == answers


DRAWN = ("/bins/", "/coverage/", "/accuracy/folds/", "/accuracy/std", "/accuracy/last_epoch_mean", "/last_epoch_mean")
"""Numbers that are drawn, or stand elsewhere on the page."""


LEFT_OUT = {
    "summary/unknown/threshold",
    "summary/operating/points/1/threshold",
    "summary/optimism/candidates",
    "summary/overfitting/1/epochs",
    # where folds are scored at their end, this is that of the end
    *(f"summary/overfitting/{place}/gap" for place in (0, 1)),
    # these stand in the sentence of the study
    *(f"summary/label_doubts/{name}" for name in ("images", "estimated", "estimated_share")),
}
EVIDENCE = (
    *("comparison", "calibration", "unknown", "operating", "optimism", "learning_curve", "overfitting"),
    *("label_doubts", "leak_effect", "changes"),
)


def test_every_number_of_the_evidence_is_on_the_page(evidence_run):
    folder, text = evidence_run
    summary = json.loads((folder.path / "summary.json").read_text())
    for name in EVIDENCE:
        pointers = {one for one in leaves(summary[name], f"summary/{name}") if not any(part in one for part in DRAWN)}
        assert pointers and pointers - shown(text) <= LEFT_OUT


def test_what_choosing_adds_is_told_as_far_as_it_is_known(build_run, evidence_run):
    _, text = evidence_run
    assert "Less what choosing adds<small>the candidate<" in text and "own best epoch<" not in text
    text = render(build_run("before", evidence=True, before=True))
    rows = ("Choosing the candidate<", "own best epoch<", "Less what choosing adds<small>candidate and epoch<")
    assert all(row in text for row in rows) and "The same at the last epoch<" not in text
    holdout = build_run(evidence=True, before=True)
    summary = holdout.summary()
    nothing = {"corrected": None, "corrected_ci95": None, "best_epoch": None, "nested": None, "chosen": ()}
    found = dataclasses.replace(summary.optimism, **nothing)
    holdout.write_summary(dataclasses.replace(summary, optimism=found))
    assert [row in render(holdout) for row in (*rows, "The same at the last epoch<")] == [True, False, False, True]
    found = dataclasses.replace(found, candidates=1, selection=None)
    holdout.write_summary(dataclasses.replace(summary, optimism=found))
    assert "The best, as measured" not in render(holdout) and found.sentence in render(holdout)


def test_all_intervals_of_the_test_are_on_the_page(evidence_run):
    folder, text = evidence_run
    summary = json.loads((folder.path / "summary.json").read_text())
    assert {"accuracy", "balanced_accuracy", "f1", "auc", "loss"} <= set(summary["test"]["intervals"])
    pointers = set(leaves(summary["test"]["intervals"], "summary/test/intervals"))
    for place, row in enumerate(summary["test"]["per_class"]):
        pointers |= set(leaves(row["intervals"], f"summary/test/per_class/{place}/intervals"))
    assert len(pointers) > 50
    assert not pointers - shown(text)


def test_folds_have_their_intervals_in_the_ranking(build_run, evidence_run):
    folder, text = evidence_run
    pointers = shown(text)
    for place, _ in enumerate(folder.summary().candidates):
        assert {f"summary/candidates/{place}/cv/accuracy/ci95/{end}" for end in (0, 1)} <= pointers
    assert not [one for one in shown(render(build_run("plain"))) if "ci95" in one and "candidates" in one]


def test_three_part_bars_are_as_long_as_the_probabilities(evidence_run):
    folder, text = evidence_run
    bars = re.findall(r'<span class="parts".*?</span>', text, re.DOTALL)
    rows = [one for one in folder.summary().comparison if one.posterior]
    assert len(bars) == len(rows) > 1
    for bar, row in zip(bars, rows, strict=True):
        widths = [float(width) for width in re.findall(r"width:([\d.]+)%", bar)]
        assert widths == pytest.approx([100 * row.posterior[name] for name in ("a", "equal", "b")], abs=0.006)
        assert sum(widths) == pytest.approx(100, abs=0.02)


def test_openings_of_the_test_set_are_told(build_run, evidence_run):
    _, once = evidence_run
    assert "shown the test images\nonce" in once and "Whoever changes" not in once
    assert len(re.findall(r"opened once: \d{4}-\d\d-\d\d \d\d:\d\d UTC for MobileNet", once)) == 1
    twice = render(build_run("twice", openings=2))
    assert "shown the test images\n2 times" in twice and "these numbers then flatter" in twice
    assert re.search(r"opened 2 times: [-\d]+ [:\d]+ UTC for MobileNet.*\. [-\d]+ [:\d]+ UTC for MobileNet", twice)


def test_a_log_that_does_not_fit_is_not_believed(build_run):
    folder = build_run(openings=2)
    (folder.path / "log.jsonl").unlink()
    assert "opened 2 times</dd>" in render(folder)


def test_doubtful_labels_are_listed_with_the_way_to_correct_them(evidence_run):
    folder, text = evidence_run
    rows = folder.doubts()
    assert all(f"<code>{row.path}</code></span></th>" in text for row in rows[:12])
    assert not any(f"<code>{row.path}</code></span></th>" in text for row in rows[12:])
    assert "1e-4 --drop run/doubts.csv --out run-corrected</pre>" in text


@pytest.mark.parametrize(
    ("command", "folder"),
    [("headstart compare x --drop y", "runs/odd name"), ("headstart compare x --out 'my/odd name'", "my/odd name")],
)
def test_commands_name_the_run_folder_as_it_would_be_typed(build_run, command, folder):
    run = build_run("odd name", evidence=True)
    run.write_environment(dataclasses.replace(run.environment(), command=command))
    text = html.unescape(render(run))
    assert f"headstart compare x --drop '{folder}/doubts.csv' --out '{folder}-corrected'</pre>" in text
    assert f"headstart predict '{folder}/classifier' new-photograph.jpg" in text
    assert "In the folder in which the study was started" in text


def test_what_the_audit_saw_is_told(build_run, evidence_run):
    _, text = evidence_run
    for words in (
        "48</data> to",
        "grey, 16 bits",
        "a side below 64 pixels",
        "1 very dark image<",
        "1 image of one colour<",
        "14 blurred images<",
        "and 2 more in <code>audit.json</code>",
        "2 images that EXIF data turn upright<",
        "1 name that ends as another format does<",
        "<code>daisy/00006.jpg</code>: PNG",
        "labelled daisy, most like tulips",
        "train and test, nearly equal:",
        "1 group of images that look alike to the network",
    ):
        assert words in text, words
    before = render(build_run("before"))
    for words in ("Images worth a look", "What the files are", "look alike to the network", "unlike their class"):
        assert words not in before


def test_a_target_that_is_not_reached_is_said(evidence_run):
    _, text = evidence_run
    assert "no threshold reaches it with ten answers or more: the class is never named" in text
    assert text.count("never named") == 1


def test_without_other_finalists_nothing_is_compared(build_run):
    text = render(build_run(evidence=True, backbones=("mobilenet",), rates=(1e-3,)))
    assert "Can chance explain the difference?" not in text and "All candidates together" not in text


def test_families_of_comparisons_are_told(build_run, evidence_run):
    words = "the finalists are one family and all others a second one"
    assert words in " ".join(evidence_run[1].split())
    alone = " ".join(render(build_run("plain", evidence=True, rates=(1e-3,))).split())
    assert words not in alone and "The same question on the images held back." in alone


def test_labels_that_could_not_be_judged_are_not_said_to_be(build_run):
    folder = build_run(evidence=True)
    summary = folder.summary()
    doubts = dataclasses.replace(
        summary.label_doubts, doubted=0, estimated=None, estimated_share=None, sentence="Labels cannot be judged."
    )
    folder.write_summary(dataclasses.replace(summary, label_doubts=doubts))
    folder.write_doubts([])
    text = render(folder)
    assert "Labels cannot be judged.</p>" in text and "Each was judged" not in text
    assert "Estimated to be wrong" not in text


def test_whose_classifier_was_kept_is_told(build_run, evidence_run):
    folder, text = evidence_run
    summary = folder.summary()
    assert summary.recommended != summary.best
    assert "This classifier is MobileNetV2, rate 0.001, the recommended one.</p>" in text
    assert text.count(">recommended, kept</span>") == 1
    folder = build_run(evidence=True)
    folder.write_summary(dataclasses.replace(summary, recommended="average"))
    text = render(folder)
    assert (
        "This classifier is MobileNet, rate 0.001 and MobileNetV2, rate 0.001, answers averaged, the recommended"
        in text
    )
    assert re.search(r'Mean of several networks <span class="badge full">recommended</span>', text)
    assert "alone. The classifier is a combination: it has a temperature and thresholds of its own" in text
    assert ">recommended, kept</span>" not in text and text.count(">recommended</span>") == 1
    folder.write_summary(dataclasses.replace(summary, recommended=summary.best))
    assert "This classifier is MobileNet, rate 0.001, the best.</p>" in render(folder)


def test_whose_classifiers_studies_of_earlier_versions_kept_is_told(build_run):
    text = render(build_run(evidence=True, before=True))
    assert "This classifier is MobileNet, rate 0.001, the best. MobileNetV2, rate 0.001, which is recommended" in text
    assert "run/combination" not in text
    folder = build_run("two", backbones=("mobilenet",), rates=(1e-3,), before=True)
    folder.combination.mkdir()
    told = render(folder)
    assert "This classifier is MobileNet, rate 0.001, the best.</p>" in told
    assert "headstart predict two/combination new-photograph.jpg" in told
