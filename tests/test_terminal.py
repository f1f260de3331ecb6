"""What stands on the terminal when a study has ended."""

import dataclasses
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from headstart.api import Result
from headstart.classifier.prediction import ClassProbability, Prediction
from headstart.evaluation.evidence import (
    Changes,
    CleanTest,
    Combination,
    LabelDoubts,
    LearningCurve,
    Operating,
    Optimism,
)
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
from headstart.runs.folder import CandidateTiming, Timings
from headstart.runs.history import Headline, RunRow
from headstart.terminal import (
    Column,
    answers_in_short,
    prediction_lines,
    print_columns,
    print_places,
    print_result,
    print_runs,
    print_table,
    visible,
    widths,
)

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
    assert out.startswith("\nm is best.\nTake m.\n\n") and out.endswith("\n- About 1 label ...\n\n")


def test_the_story_is_told(lines):
    told = lines()
    assert ["m", "is", "best."] in told
    assert ["m", "75.0%", "±", "35.4", "0.750", "66.7%", "20.8", "to", "93.9", "3,210"] in told
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


@pytest.fixture
def terminal(monkeypatch, capsys):
    """Return a function that prints on a terminal of some width and returns the lines."""

    def printed(width, write):
        monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
        monkeypatch.setattr(shutil, "get_terminal_size", lambda *_, **__: os.terminal_size((width, 24)))
        monkeypatch.setenv("COLUMNS", str(width))
        write()
        # bold headings take no room on a terminal
        return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()

    return printed


def many(number, *, finalists=2, failed=0, classes=("a", "b")):
    """Return a summary with many candidates, the first ones best."""
    base = summary(())
    first = base.candidates[0]
    done = []
    for place in range(number):
        accuracy = fold_values([0.9 - 0.01 * place, 0.92 - 0.01 * place], [0.5, 0.5])
        cv = dataclasses.replace(first.cv, accuracy=accuracy)
        done.append(dataclasses.replace(first, id=f"mobilenet_v2-random-lr{place:05}", cv=cv))
    lost = [dataclasses.replace(base.candidates[1], id=f"lost-{place}") for place in range(failed)]
    # the last finalists are far down the ranking
    chosen = [done[0].id, *(one.id for one in done[number - finalists + 1 :])][:finalists]
    support = np.arange(len(classes)).repeat(3)
    test = evaluate(support, np.eye(len(classes))[support] * 0.9 + 0.1 / len(classes), list(classes))
    return dataclasses.replace(
        base,
        candidates=(*done, *lost),
        best=done[0].id,
        recommended=chosen[-1],
        finals=tuple(dataclasses.replace(base.finals[0], candidate=name) for name in chosen),
        test=test,
        dataset=dataclasses.replace(base.dataset, classes=classes),
    )


def test_a_study_of_a_few_candidates_is_told_in_about_twenty_lines(terminal):
    classes = ("daisy", "dandelion", "roses", "sunflowers", "tulips")
    timings = Timings(1.0, None, 2.0, candidates={"mobilenet_v2-random-lr00000": CandidateTiming(1.0, 18.14)})
    found = dataclasses.replace(
        many(4, classes=classes),
        verdict="The words of a verdict go on and on, and on the way they name some numbers. " * 3,
        recommendation="Take the other one.",
        label_doubts=LabelDoubts("m", 30, 3, 2, 0.1, "About 2 labels may be wrong. 3 are listed. Look first."),
    )
    lines = terminal(80, lambda: print_result(found, timings))
    assert len(lines) <= 22 and max(map(len, lines)) <= 80
    [row] = [line.split() for line in lines if line.startswith("mobilenet_v2-random-lr00000")]
    assert row[1:4] == ["91.0%", "±", "1.4"] and "18.1" not in row
    wider = terminal(100, lambda: print_result(found, timings))
    assert any(line.startswith("mobilenet_v2-random-lr00000") and "18.1" in line.split() for line in wider)
    assert "- About 2 labels may be wrong. 3 are listed." in lines


def test_many_candidates_are_counted_and_finalists_always_shown(capsys):
    found = many(25, finalists=3, failed=5)
    print_result(found)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    lines = out.splitlines()
    shown = [line.split()[0] for line in lines if line.startswith("mobilenet_v2")]
    assert len(shown) == 8 and {final.candidate for final in found.finals} <= set(shown)
    assert shown[:6] == [f"mobilenet_v2-random-lr{place:05}" for place in range(6)]
    assert "and 17 more, in the report" in lines
    assert "lost-0 failed: no memory" in lines and "and 3 more failed or were left out, see the report" in lines


def test_long_names_and_many_classes_do_not_wrap(terminal):
    classes = tuple(f"a class with a rather long name {place}" for place in range(8))
    found = many(3, classes=classes)
    long = "mobilenet_v2-" + "x" * 70 + "-lr0.01"
    candidates = (dataclasses.replace(found.candidates[0], id=long), *found.candidates[1:])
    finals = (dataclasses.replace(found.finals[0], candidate=long), *found.finals[1:])
    lines = terminal(
        80, lambda: print_result(dataclasses.replace(found, candidates=candidates, finals=finals, best=long))
    )
    assert max(map(len, lines)) <= 80
    [row] = [line for line in lines if line.startswith("mobilenet_v2-x")]
    assert "\u2026" in row and "lr0.01" in row and "91.0%" in row
    assert sum(line.startswith("a class") for line in lines) == 8


def test_many_classes_have_their_matrix_in_the_report(capsys):
    said = "The confusion matrix of 10 classes is in the report.\n"
    for candidates, told in ((4, False), (5, True)):
        print_result(many(candidates, classes=tuple("abcdefghij")))
        assert (said in capsys.readouterr().out) == told


def test_a_few_warnings_are_told_and_the_rest_is_counted(capsys):
    base = many(2)
    changed = dataclasses.replace(
        base,
        changes=Changes("runs/x", 1, 1, 10, 0.5, 0.6, (-0.1, 0.3), "Against x. It is better."),
        optimism=Optimism(2, 0.1, 0.8, None, None, None, (), "Chosen as the best. More on it."),
        label_doubts=LabelDoubts("m", 3, 0, None, None, "Labels cannot be judged: too few."),
        learning_curve=LearningCurve("m", (), (), "Measured with m. Twice as many would bring 1 point."),
    )
    print_result(changed)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("- ")] == [
        "- Against x. It is better.",
        "- Labels cannot be judged: too few.",
        "- Measured with m. Twice as many would bring 1 point.",
    ]
    assert "Chosen as the best. More on it." in " ".join(lines)
    measured = Operating("m", (), 0.8, 0.9, None, None, "A rule.")
    print_result(dataclasses.replace(changed, operating=measured))
    assert capsys.readouterr().out.splitlines()[-2] == "- 1 more in the report."


def test_it_is_said_whose_classifier_was_kept(capsys, tmp_path):
    def said(found):
        print_places(Result(found, tmp_path, tmp_path / "r", tmp_path / "c", tmp_path / "d"), ["do this"])
        return capsys.readouterr().out

    before = many(2)
    assert before.recommended != before.best
    assert f"c (of {before.best})\n" in said(before)
    now = dataclasses.replace(before, protocol=dataclasses.replace(before.protocol, choose_by="accuracy"))
    assert f"c (of {now.recommended})\n" in said(now)
    joined = Combination("average", "average", ("m",), 0.9, TEST, None, 7, True, "The mean helps.")
    both = dataclasses.replace(now, combinations=(joined,), recommended="average")
    assert "c (of m, answers averaged)\n" in said(both) and "Combination" not in said(both)
    assert said(both).endswith("Next:        do this\n") and "Doubts" not in said(both)


def test_a_combination_that_is_the_classifier_is_told_apart_from_what_was_measured(terminal):
    base = many(2)
    joined = Combination("joined_flip", "joined_flip", ("m", "n"), 0.9, TEST, None, 7, True, "Both help.")
    now = dataclasses.replace(base.protocol, choose_by="accuracy")
    kept = dataclasses.replace(base, protocol=now, combinations=(joined,), recommended="joined_flip")
    said = 'The classifier is a combination and never answers "unknown"'
    assert said in " ".join(terminal(80, lambda: print_result(kept)))
    assert said not in " ".join(terminal(80, lambda: print_result(dataclasses.replace(kept, recommended=base.best))))


def at_end(base, **changes):
    """Return a summary whose folds are scored at their end, with everything that new studies say."""
    protocol = dataclasses.replace(base.protocol, choose_by="accuracy", score_epoch="last")
    flattery = Optimism(
        8, 0.004, 0.9, (0.8, 0.95), None, None, (), "Chosen as the best of 8. So judged by nested folds."
    )
    return dataclasses.replace(base, **{"protocol": protocol, "optimism": flattery, **changes})


def row_of(lines, name):
    [row] = [line.split() for line in lines if line.startswith(name)]
    return row


def test_accuracies_of_folds_are_shown_less_what_choosing_adds(terminal):
    base = many(3)
    lines = terminal(80, lambda: print_result(at_end(base)))
    for place in range(3):
        row = row_of(lines, f"mobilenet_v2-random-lr{place:05}")
        assert row[1] == f"{100 * (base.candidates[place].cv.accuracy.mean - 0.004):.1f}%"
    told = " ".join(lines)
    assert "Chosen as the best of 8. So judged by nested folds. So all accuracies on images held back are" in told
    assert "shown 0.4 points lower" in told and max(map(len, lines)) <= 80

    def flattered_by(share):
        flattery = dataclasses.replace(at_end(base).optimism, selection=share)
        return " ".join(terminal(80, lambda: print_result(at_end(base, optimism=flattery))))

    assert "lower" in flattered_by(0.004)
    assert "lower" not in flattered_by(0.0) + flattered_by(0.0004)


def test_folds_at_their_best_epochs_are_shown_as_published_and_that_is_said(terminal):
    base = many(2)
    best = at_end(base)
    best = dataclasses.replace(best, protocol=dataclasses.replace(best.protocol, score_epoch="best"))
    own = " ".join(terminal(80, lambda: print_result(best)))
    assert "Folds are scored at their own best epochs; that flatters." in own
    best = dataclasses.replace(best, published=(Published("m", "loss", "validation", 0.1173, 0.1, -0.0173),))
    lines = terminal(80, lambda: print_result(best))
    assert row_of(lines, "mobilenet_v2-random-lr00000")[1] == "91.0%"
    assert "Folds are scored at their own best epochs, as the report did; that flatters." in " ".join(lines)
    old = " ".join(terminal(80, lambda: print_result(base)))
    assert "Folds are scored at their own best epochs; that flatters." in old


def test_the_test_without_shared_images_stands_in_the_ranking(terminal):
    base = many(2)
    first, second = (final.candidate for final in base.finals)
    clean = (CleanTest(first, 600, 283, 294, 294 / 317, (0.893, 0.951)), CleanTest(second, 600, 283, 0, 0.0, (0, 0.01)))
    lines = terminal(80, lambda: print_result(at_end(base, clean=clean)))
    assert "92.7% 89.3 to 95.1" in " ".join(row_of(lines, first))
    assert "Test: without the 283 test images that are also training images." in lines
    assert "All 600 test images, with the 283 that are also training images:" in lines
    assert "100.0%" not in " ".join(lines) and max(map(len, lines)) <= 80
    none = tuple(dataclasses.replace(one, contaminated=600, accuracy=None, ci95=None) for one in clean)
    assert "92.7%" not in " ".join(terminal(80, lambda: print_result(at_end(base, clean=none))))


def test_a_final_training_that_was_repeated_is_said(terminal):
    base = at_end(many(2))
    astray = dataclasses.replace(base.finals[0], attempts=2, loss_ratio=1.26)
    told = " ".join(terminal(100, lambda: print_result(dataclasses.replace(base, finals=(astray, *base.finals[1:])))))
    assert f"The final training of {astray.candidate} went astray at first and was repeated: of 2 trainings" in told
    assert "1.3 times that of the worst fold" in told and told.count("went astray") == 1


def test_a_best_rate_at_the_border_is_said(terminal):
    rates = [{"train": {"optimizer": {"learning_rate": rate}}} for rate in (1e-2, 1e-3)]
    base = at_end(many(2))
    candidates = [dataclasses.replace(one, settings=it) for one, it in zip(base.candidates, rates, strict=True)]
    told = " ".join(terminal(80, lambda: print_result(dataclasses.replace(base, candidates=tuple(candidates)))))
    assert "MobileNet: The best rate is the largest tried; a larger one may do better." in told


def test_the_measure_that_chose_has_its_column(terminal):
    base = at_end(many(2))
    protocol = dataclasses.replace(base.protocol, choose_by="macro_f1")
    f1 = [fold_values([value, value], [value, value]) for value in (0.8125, 0.7)]
    done = [
        dataclasses.replace(one, cv=dataclasses.replace(one.cv, chosen=values))
        for one, values in zip(base.candidates, f1, strict=True)
    ]
    found = dataclasses.replace(base, protocol=protocol, candidates=tuple(done))
    lines = terminal(100, lambda: print_result(found))
    assert any("macro f1" in line for line in lines) and "0.812" in row_of(lines, found.best)
    assert max(map(len, terminal(80, lambda: print_result(found)))) <= 80


RUNS = (
    RunRow("a/flowers-0123456789", Path("a"), "", "done", "", "2026-01-02T03:04:05+00:00", 3670, 5, 4, 0,
           "mobilenet-lr0.001", "mobilenet_v2-lr0.001", Headline(0.918, (0.896, 0.939)), Headline(0.896, None), 60.0),
    RunRow("b", Path("b")),
    RunRow("c", Path("c"), state="damaged", reason="summary.json cannot be read (cut short)"),
)  # fmt: skip


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_runs_stand_on_one_line_each_however_narrow_it_is(terminal, width):
    lines = terminal(width, lambda: print_runs(RUNS))
    assert len(lines) == 5 and max(map(len, lines)) <= width
    assert lines[1].split()[-1] == "done" and "89.6%" in lines[1]
    assert lines[2].split() == ["b", "not", "finished"] and lines[3].split() == ["c", "damaged"]
    assert ("mobilenet_v2-lr0.001" in lines[1]) == (width == 200)
    assert "c is damaged: summary.json cannot be read (cut short)." in " ".join(lines[4:])


def test_shared_test_images_of_a_run_are_said(terminal):
    shared = dataclasses.replace(RUNS[0], test=Headline(0.927, (0.893, 0.951)), test_images=600, contaminated=283)
    said = "a/flowers-0123456789: 283 of its 600 test images are also training images; its test is on the other 317."
    assert said in " ".join(terminal(80, lambda: print_runs([shared])))
    lines = terminal(80, lambda: print_runs([dataclasses.replace(shared, test=None, contaminated=600)]))
    assert "all its test images are also training images, so they say nothing" in " ".join(lines)
    assert max(map(len, lines)) <= 80


def test_columns_that_fit_stay_in_their_order(terminal):
    columns = [Column("a", ["1" * 20]), Column("b", ["2" * 50], worth=2), Column("c", ["3" * 30], worth=1)]
    assert terminal(60, lambda: print_columns(columns))[1].split() == ["1" * 20, "3" * 30]
    assert terminal(120, lambda: print_columns(columns))[1].split() == ["1" * 20, "2" * 50, "3" * 30]


CLEARS, SHOWN = "\x1b[2Jnew\n\udce9 \u202egpj.exe", r"\x1b[2Jnew\n\udce9 \u202egpj.exe"


def test_an_unknown_image_is_said_in_words():
    ranked = (ClassProbability("crow", 0.5), ClassProbability("jay", 0.3), ClassProbability("owl", 0.2))
    rows = [Prediction("a", "unknown", ranked, 3.0, None), Prediction("b", "unknown", ranked, None, None)]
    found = list(prediction_lines([*rows, Prediction("c", "jay", ranked, 0.1, None)], (1, 7), top=2))
    assert found[1:] == [
        "a  unknown  unlike the pictures it learned from; would fit best: crow 50.0%, jay 30.0%\n",
        "b  unknown  not sure enough of any class; would fit best: crow 50.0%, jay 30.0%\n",
        "c  jay      crow 50.0%, jay 30.0%\n",
    ]


def test_answers_are_counted_in_one_line():
    answers = {"unknown": 3, "ant": 1, "bee": 1037}
    found = answers_in_short(answers, ["ant", "bee", "cat"], unread=2)
    assert found == "1,043 images: bee (1,037), ant (1), unknown (3), unreadable (2)."
    many = {str(number): number for number in range(1, 12)}
    assert answers_in_short(many, list(many), unread=0) == (
        "66 images: 11 (11), 10 (10), 9 (9), 8 (8), 7 (7), 6 (6), 5 (5), 4 (4), 3 other classes (6)."
    )
    del many["1"], many["2"]
    assert answers_in_short(many, list(many), unread=0).endswith("4 (4), 3 (3).")


def test_names_neither_command_the_terminal_nor_break_a_line(capsys):
    assert visible(CLEARS) == visible(SHOWN) == SHOWN
    assert visible("Käfer 甲虫 50 %.jpg") == "Käfer 甲虫 50 %.jpg"
    ranked = (ClassProbability("b\x07d", 0.5), ClassProbability("c", 0.5))
    rows = [Prediction(CLEARS, "b\x07d", ranked, None, None), Prediction("x", None, (), None, CLEARS)]
    found = list(prediction_lines(rows, widths([Path(CLEARS), Path("x")], ["b\x07d"]), top=2))
    room = " " * (len(SHOWN) - 1)
    assert found[1:] == [f"{SHOWN}  b\\x07d  b\\x07d 50.0%, c 50.0%\n", f"x{room}          {SHOWN}\n"]
    print_table(["class", "n"], [[CLEARS, "1"]])
    print_columns([Column(CLEARS, ["1"])])
    out = capsys.readouterr().out
    assert out.count(SHOWN) == 2 and out.replace("\n", "").isprintable()
