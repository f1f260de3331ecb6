"""What stands on the terminal when a study has ended."""

import dataclasses

import numpy as np
import pytest

from headstart.evaluation.evidence import LabelDoubts
from headstart.evaluation.metrics import evaluate, fold_values
from headstart.evaluation.results import (
    CandidateResult,
    CrossValidation,
    DatasetSummary,
    FinalResult,
    ParameterCounts,
    ProtocolSummary,
    Published,
)
from headstart.evaluation.summary import Summary
from headstart.terminal import print_result

VALUES = fold_values([0.5, 1.0], [0.5, 0.5])
TEST = evaluate(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), ["a", "b"])
PUBLISHED = (
    Published("m", "accuracy", "test", 0.9635, 0.97, 0.0065),
    Published("m", "loss", "validation", 0.1173, 0.1, -0.0173),
    Published("m", "parameters", "test", 3_000.0, 3_210.0, 210.0),
    Published("m", "precision:a", "test", 0.9, 0.95, 0.05),
    Published("r", "accuracy", "test", 0.8, None, None),
)


def summary(published):
    cv = CrossValidation(VALUES, VALUES, VALUES, VALUES, (1, 2))
    counts = ParameterCounts(1, 3_209, 3_210, (1,))
    return Summary(
        dataset=DatasetSummary("data", "f" * 64, ("a", "b"), 3, 0, {"test": {"a": 1, "b": 2}}),
        protocol=ProtocolSummary("folds", 2, 1, "accuracy", "per_backbone", 0, 1),
        candidates=(
            CandidateResult("m", "mobilenet", "h", "c", {}, "done", None, counts, 12, cv),
            CandidateResult("r", "resnet50", "h", "c", {}, "failed", "no memory", None, None, None),
        ),
        best="m",
        recommended="m",
        finals=(FinalResult("m", 2, TEST, None, TEST),),
        test=TEST,
        verdict="m is best.",
        published=published,
    )


@pytest.fixture
def lines(capsys):
    """Return a function that prints a result and returns its lines, each as words."""

    def printed(published=()):
        print_result(summary(published))
        return [line.split() for line in capsys.readouterr().out.splitlines()]

    return printed


def test_what_to_take_and_what_to_doubt_is_said(capsys):
    doubts = LabelDoubts("m", images=3, doubted=1, estimated=1, estimated_share=0.3, sentence="About 1 label ...")
    print_result(dataclasses.replace(summary(()), recommendation="Take m.", label_doubts=doubts))
    out = capsys.readouterr().out
    assert out.startswith("\nm is best.\nTake m.\n\n") and out.endswith("About 1 label ...\n\n")


def test_the_story_is_told(lines):
    told = lines()
    assert ["m", "is", "best."] in told
    assert ["m", "75.0%", "35.4%", "0.750", "66.7%", "3,210"] in told
    assert ["r", "failed:", "no", "memory"] in told
    assert ["b", "1", "1"] in told
    assert not [line for line in told if "Published" in line]


def test_published_values_of_all_images_stand_beside_those_found_here(lines):
    told = lines(PUBLISHED)
    start = next(place for place, line in enumerate(told) if line[:1] == ["Published"])
    assert told[start + 1 : start + 5] == [
        ["candidate", "images", "metric", "published", "here", "difference"],
        ["m", "test", "accuracy", "96.35%", "97.00%", "+0.65"],
        ["m", "validation", "loss", "0.1173", "0.1000", "-0.0173"],
        ["m", "test", "parameters", "3,000", "3,210", "+210"],
    ]
    assert " ".join(told[start + 5]) == "5 published numbers stand in the report; 1 of them were not measured here."


def test_where_nothing_was_measured_there_is_no_table(lines):
    told = lines(PUBLISHED[-1:])
    assert not [line for line in told if line[-1:] == ["difference"]]
