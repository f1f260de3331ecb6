"""The data behind every figure are those of the run folder, to the last digit."""

import base64
import csv
import dataclasses
import io
import json
import re

import pytest

from headstart.evaluation.metrics import precision_recall_curve, roc_curve
from headstart.report import charts, content
from headstart.report.figures import MUTED
from headstart.report.page import render


def gathered(folder):
    findings = content.gather(folder)
    return findings, charts.gather(findings, content.ranking(findings.summary))


def rows_of(chart):
    return list(csv.DictReader(io.StringIO(chart.download.text)))


def number(cell):
    return float(cell) if cell else None


@pytest.fixture(scope="module")
def evidence(evidence_run):
    folder, text = evidence_run
    return folder, text, *gathered(folder)


def test_learning_curves_carry_the_lines_of_the_history(evidence):
    folder, _, findings, found = evidence
    lines = (folder.path / "history.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    assert len(found.curves) == len(findings.summary.candidates) == 4
    for one in found.curves:
        mine = [line for line in lines if line.startswith(f"{one.row.result.id},")]
        assert one.chart.download.text == lines[0] + "".join(mine)
        assert one.chart.download.name == f"learning-curves-{one.row.result.id}.csv"
    (others,) = [one.others for one in found.curves if one.others]
    assert [panel.axis for panel in others.panels] == ["Precision", "Recall"]


def test_results_of_candidates_are_those_of_the_summary(evidence):
    folder, _, _, found = evidence
    summary = json.loads((folder.path / "summary.json").read_text())
    times = json.loads((folder.path / "timings.json").read_text())["candidates"]
    results = {one["id"]: one for one in summary["candidates"]}
    for chart, column in ((found.speed, "milliseconds_per_image"), (found.rates, "learning_rate")):
        rows = rows_of(chart)
        assert {row["candidate"] for row in rows} == set(results)
        for row in rows:
            result = results[row["candidate"]]
            measured = times[result["id"]]["milliseconds_per_image"]
            rate = result["settings"]["train"]["optimizer"]["learning_rate"]
            accuracy, by = result["cv"]["accuracy"], summary["optimism"]["selection"]
            assert number(row[column]) == (measured if chart is found.speed else rate)
            assert number(row["accuracy"]) == accuracy["mean"] - by and number(row["accuracy_std"]) == accuracy["std"]
            ends = [number(row["accuracy_ci95_low"]), number(row["accuracy_ci95_high"])]
            assert ends == [min(1.0, end - by) for end in accuracy["ci95"]]


def test_evidence_is_that_of_the_summary(evidence):
    folder, _, _, found = evidence
    summary = json.loads((folder.path / "summary.json").read_text())
    plain = [{name: number(cell) for name, cell in row.items()} for row in rows_of(found.coverage)]
    assert plain == summary["unknown"]["coverage"]
    for when in ("before", "after"):
        mine = [row for row in rows_of(found.reliability) if row["calibration"] == when]
        values = [{name: number(row[name]) for name in ("images", "confidence", "accuracy")} for row in mine]
        assert values == summary["calibration"][when]["bins"]
    curve = summary["learning_curve"]
    rows = rows_of(found.images)
    assert [row["kind"] for row in rows] == ["measured"] * 4 + ["expected"] * 2
    assert [number(row["accuracy"]) for row in rows[:4]] == [point["accuracy"]["mean"] for point in curve["points"]]
    for row, one in zip(rows[4:], curve["expected"], strict=True):
        assert [number(row["accuracy_ci95_low"]), number(row["accuracy_ci95_high"])] == one["ci95"]
        assert (number(row["images"]), number(row["accuracy"])) == (one["images"], one["accuracy"])
    shares = {(row["candidate"], row["k"]): number(row["share"]) for row in rows_of(found.top_k)}
    for final in summary["finals"]:
        expected = {"1": final["test"]["accuracy"], **final["test"]["top_k"]}
        assert {k: share for (name, k), share in shares.items() if name == final["candidate"]} == expected


def test_curves_of_classes_are_points_of_the_full_curves(evidence):
    _, _, findings, found = evidence
    test = findings.test
    for index, name in enumerate(findings.summary.dataset.classes):
        roc = roc_curve(test.labels, test.probabilities, index)
        places = set(zip(roc.false_positive_rate.tolist(), roc.true_positive_rate.tolist(), strict=True))
        mine = [row for row in rows_of(found.roc) if row["class"] == name]
        drawn = [(float(row["false_positive_rate"]), float(row["true_positive_rate"])) for row in mine]
        assert set(drawn) <= places and drawn[0] == (0.0, 0.0) and drawn[-1] == (1.0, 1.0)
        curve = precision_recall_curve(test.labels, test.probabilities, index)
        places = set(zip(curve.recall.tolist(), curve.precision.tolist(), strict=True))
        mine = [row for row in rows_of(found.precision_recall) if row["class"] == name]
        assert {(float(row["recall"]), float(row["precision"])) for row in mine} <= places
    assert [entry.value for entry in found.roc.legend] == [f"{row.auc:.3f}" for row in findings.summary.test.per_class]


def test_every_figure_is_on_the_page_with_its_data_once(evidence):
    _, text, _, found = evidence
    carried = re.findall(r'<a class="small" download="([^"]+)" href="data:text/csv;charset=utf-8;base64,([^"]+)"', text)
    data = {name: base64.b64decode(address).decode() for name, address in carried}
    assert len(carried) == len(data)
    charts_of_page = list(found.all())
    assert {chart.download.name: chart.download.text for chart in charts_of_page}.items() <= data.items()
    titles = re.findall(r'<title id="[^"]+">([^<]+)</title>', text)
    panels = [panel for chart in charts_of_page for panel in chart.panels]
    assert {panel.title for panel in panels} <= set(titles)
    assert len({panel.name for panel in panels}) == len(panels)
    for panel in panels:
        assert panel.axis in text and re.search(r"\d", panel.words)


def test_what_was_not_measured_has_no_figure(build_run):
    _, found = gathered(build_run(classes=("cat", "dog"), backbones=("mobilenet",), rates=(1e-3,)))
    for chart in (found.speed, found.rates, found.images, found.top_k, found.reliability, found.coverage):
        assert chart is None
    assert [chart.download.name for chart in found.all()] == [
        "roc.csv",
        "precision-recall.csv",
        "learning-curves-mobilenet-lr0.001.csv",
        "learning-curves-mobilenet-lr0.001.csv",
    ]


def test_a_failed_candidate_has_no_point_and_no_curve(build_run):
    _, found = gathered(build_run(failed=("mobilenet-lr0.01",)))
    assert "mobilenet-lr0.01," not in found.rates.download.text + found.speed.download.text
    assert len(found.curves) == 3


@pytest.mark.parametrize(
    ("output", "patience", "planned"), [("softmax", 5, 20), ("softmax", None, None), ("logistic", 5, None)]
)
def test_a_solved_head_has_no_planned_epochs(build_run, output, patience, planned):
    findings = content.gather(build_run(backbones=("mobilenet",), rates=(1e-3,)))
    [row] = content.ranking(findings.summary)
    settings = row.result.settings
    settings = {
        **settings,
        "train": {**settings["train"], "patience": patience},
        "head": {**settings["head"], "output": output},
    }
    row = dataclasses.replace(row, result=dataclasses.replace(row.result, settings=settings))
    assert charts._marks(findings, row).planned == planned


def test_of_many_classes_those_with_small_areas_have_colours(build_run):
    _, found = gathered(build_run(classes=tuple(f"class {n}" for n in range(20)), per_class=15))
    coloured = [entry for entry in found.roc.legend if entry.colour != MUTED]
    assert len(found.roc.legend) == 20 and len(coloured) == 5
    assert max(float(entry.value) for entry in coloured) <= min(
        float(entry.value) for entry in found.roc.legend if entry.colour == MUTED
    )


def test_the_page_has_one_legend_for_all_learning_curves(build_run):
    folder = build_run(phases=(6,), evidence=True, before=True)
    _, found = gathered(folder)
    names = [entry.name for entry in found.learning_legend]
    assert len(names) == len(set(names)) == 7
    _, ended = gathered(build_run("now", phases=(6,), evidence=True))
    assert not [entry.name for entry in ended.learning_legend if "best epoch" in entry.name]
    section = render(folder).partition('id="learning"')[2].partition("</ul>")[0]
    assert [name for name in names if f"{name}</li>" not in section] == []
