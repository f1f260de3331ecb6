"""Folds and learning rates are read from the page and compared with results.csv and summary.json."""

import csv
import dataclasses
import io
import re
import statistics

import pytest

from headstart.errors import RunError
from headstart.report import content, folds
from headstart.report.page import render


@pytest.fixture
def findings(build_run):
    folder = build_run(backbones=("mobilenet", "mobilenet_v2"), rates=(1e-2, 1e-3, 1e-4))
    return folder, content.gather(folder)


def read(text, source):
    """Return the values of all elements of one source by their pointers."""
    found = re.findall(rf'<data value="([^"]*)" data-from="({source}[^"]*)">', text)
    return {pointer: float(value) for value, pointer in found}


def test_the_page_holds_the_rows_of_the_file(findings):
    folder, _ = findings
    with (folder.path / "results.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    shown = read(render(folder), "results.csv")
    columns = ("accuracy", "loss", "train_accuracy", "train_loss", "epochs")
    expected = {f"results.csv/{n}/{name}": float(row[name]) for n, row in enumerate(rows) for name in columns}
    assert shown == expected and len(rows) == 18


def test_best_epochs_stand_where_folds_are_scored_at_them(build_run):
    shown = read(render(build_run(before=True, backbones=("mobilenet",), rates=(1e-3,))), "results.csv")
    assert {"results.csv/0/best_epoch", "results.csv/0/last_accuracy"} <= set(shown)


def test_finalists_come_first_then_the_next_best(findings):
    folder, read_findings = findings
    tables = folds.gather(folder, read_findings).tables
    finalists = {final.candidate for final in read_findings.summary.finals}
    assert [one.finalist for one in tables] == [True, True, False, False, False, False]
    assert {one.ranked.result.id for one in tables[:2]} == finalists
    assert [one.ranked.rank for one in tables[2:]] == sorted(one.ranked.rank for one in tables[2:])
    for one in tables:
        assert [turn.row.candidate for turn in one.turns] == [one.ranked.result.id] * 3
        assert [turn.row.accuracy for turn in one.turns] == list(one.ranked.result.cv.accuracy.folds)
        assert one.mean_epochs == statistics.mean(turn.row.epochs for turn in one.turns)


def test_the_download_is_the_file(findings):
    folder, read_findings = findings
    found = folds.gather(folder, read_findings)
    assert found.download.name == "results.csv"
    assert found.download.text == (folder.path / "results.csv").read_text("utf-8")


def test_of_very_many_results_the_page_carries_those_it_shows(findings, monkeypatch):
    folder, read_findings = findings
    monkeypatch.setattr(folds, "CARRIED", 17)
    monkeypatch.setattr(folds, "TABLES", 3)
    found = folds.gather(folder, read_findings)
    lines = list(csv.DictReader(io.StringIO(found.download.text)))
    assert (len(found.tables), found.left_out, len(lines)) == (3, 3, 9)
    assert "3 more candidates below these: every fold is in <code>results.csv</code>" in render(folder)


def test_the_finalists_always_have_their_tables(findings, monkeypatch):
    folder, read_findings = findings
    monkeypatch.setattr(folds, "TABLES", 1)
    assert len(folds.gather(folder, read_findings).tables) == 2


def test_a_failed_candidate_has_no_folds_but_its_rate(build_run):
    folder = build_run(failed=("mobilenet-lr0.01",))
    found = folds.gather(folder, content.gather(folder))
    assert "mobilenet-lr0.01" not in [one.ranked.result.id for one in found.tables]
    series = next(one for one in found.series if one.name == "MobileNet")
    assert [(one.ranked.rate, one.ranked.rank is None) for one in series.rates] == [(0.001, False), (0.01, True)]
    assert series.note == ""
    assert "failed: MemoryError" in render(folder)


def test_what_was_left_out_did_not_fail(build_run):
    folder = build_run(failed=("mobilenet-lr0.01",))
    summary = folder.summary()
    skipped = [dataclasses.replace(one, status="skipped") if one.cv is None else one for one in summary.candidates]
    folder.write_summary(dataclasses.replace(summary, candidates=tuple(skipped)))
    text = render(folder)
    assert "left out: MemoryError" in text and '<span class="badge">left out</span>' in text
    assert "failed: MemoryError" not in text and '<span class="badge">failed</span>' not in text


def test_rates_rise_and_the_best_is_marked(findings):
    folder, read_findings = findings
    summary = read_findings.summary
    for one in folds.gather(folder, read_findings).series:
        assert [rate.ranked.rate for rate in one.rates] == [1e-4, 1e-3, 1e-2]
        means = [rate.ranked.result.cv.accuracy.mean for rate in one.rates]
        assert [rate.best for rate in one.rates] == [mean == max(means) for mean in means]
        finals = [summary.finals[rate.final].candidate for rate in one.rates if rate.final is not None]
        assert finals == [rate.ranked.result.id for rate in one.rates if rate.best]


def with_means(findings, means, monitor="accuracy"):
    """Return findings whose candidates have these accuracies, and losses to match."""
    candidates = tuple(
        dataclasses.replace(
            one,
            cv=dataclasses.replace(
                one.cv,
                accuracy=dataclasses.replace(one.cv.accuracy, mean=mean),
                loss=dataclasses.replace(one.cv.loss, mean=mean if monitor == "loss" else 1 - mean),
            ),
        )
        for one, mean in zip(findings.summary.candidates, means, strict=True)
    )
    protocol = dataclasses.replace(findings.summary.protocol, monitor=monitor, choose_by=monitor)
    best = candidates[means.index((min if monitor == "loss" else max)(means))].id
    summary = dataclasses.replace(findings.summary, candidates=candidates, protocol=protocol, best=best)
    return dataclasses.replace(findings, summary=summary)


@pytest.mark.parametrize(
    ("means", "monitor", "words"),
    [
        # candidates are at rates 0.01, 0.001, 0.0001
        ((0.9, 0.8, 0.7), "accuracy", "The best rate is the largest tried; a larger one may do better."),
        ((0.7, 0.8, 0.9), "accuracy", "The best rate is the smallest tried; a smaller one may do better."),
        ((0.8, 0.9, 0.7), "accuracy", ""),
        ((0.9, 0.9, 0.9), "accuracy", "All rates tried do equally well."),
        ((0.9, 0.8, 0.7), "loss", "The best rate is the smallest tried; a smaller one may do better."),
    ],
)
def test_a_best_rate_at_the_border_is_said(build_run, means, monitor, words):
    folder = build_run(backbones=("mobilenet",), rates=(1e-2, 1e-3, 1e-4))
    findings = with_means(content.gather(folder), means, monitor)
    [series] = folds.all_series(findings.summary, content.ranking(findings.summary))
    assert series.note == words


@pytest.mark.parametrize(
    ("failed", "means", "words"),
    [
        ("mobilenet-lr0.01", (0.9, 0.8), ""),
        ("mobilenet-lr0.01", (0.8, 0.9), "The best rate is the smallest tried; a smaller one may do better."),
        ("mobilenet-lr0.0001", (0.9, 0.8), "The best rate is the largest tried; a larger one may do better."),
        ("mobilenet-lr0.0001", (0.8, 0.9), ""),
        ("mobilenet-lr0.01", (0.9, 0.9), ""),
    ],
)
def test_a_rate_that_failed_beyond_the_best_is_a_border_no_more(build_run, failed, means, words):
    folder = build_run(backbones=("mobilenet",), rates=(1e-2, 1e-3, 1e-4), failed=(failed,))
    found = content.gather(folder)
    done = tuple(one for one in found.summary.candidates if one.cv)
    others = tuple(one for one in found.summary.candidates if not one.cv)
    some = dataclasses.replace(found, summary=dataclasses.replace(found.summary, candidates=done))
    summary = with_means(some, means).summary
    summary = dataclasses.replace(summary, candidates=(*summary.candidates, *others))
    [series] = folds.all_series(summary, content.ranking(summary))
    assert series.note == words


def test_results_without_rows_are_said_to_be_damaged(build_run):
    folder = build_run(backbones=("mobilenet",), rates=(1e-3,))
    folder.write_results([])
    with pytest.raises(RunError, match=r"results\.csv is damaged: it has no rows"):
        render(folder)


def test_one_rate_makes_no_table_of_rates(build_run):
    folder = build_run(rates=(1e-3,))
    assert folds.gather(folder, content.gather(folder)).series == ()
    assert "<h3>Learning rates</h3>" not in render(folder)


def test_many_networks_are_folded_away(findings, monkeypatch):
    folder, read_findings = findings
    monkeypatch.setattr(folds, "OPEN_SERIES", 1)
    monkeypatch.setattr(folds, "SERIES", 1)
    found = folds.gather(folder, read_findings)
    assert (found.open_series, len(found.series), found.more_series) == (2, 1, 1)
    assert "1 more stand in <code>results.csv</code>" in render(folder)


def test_a_hold_out_has_its_row_without_a_spread(build_run):
    folder = build_run(holdout=True, folds=1, backbones=("mobilenet",), rates=(1e-3,))
    text = render(folder)
    assert "<h3>In numbers</h3>" in text and '<th scope="row">Average</th>' not in text
    assert len(read(text, "results.csv")) == 5


def test_repeats_are_named(build_run, monkeypatch):
    folder = build_run(backbones=("mobilenet",), rates=(1e-3,))
    rows = folder.results()
    folder.write_results([*rows, *(dataclasses.replace(row, repeat=1) for row in rows)])
    text = render(folder)
    assert '<th scope="col">Repeat</th>' in text
    assert len(read(text, "results.csv")) == 5 * 6
