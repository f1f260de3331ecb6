import csv
import io

from headstart.report import frequencies
from headstart.report.page import render


def test_images_are_those_of_the_summary(build_run):
    summary = build_run(holdout=True, folds=1).summary()
    found = frequencies.gather(summary)
    for row in found.rows:
        assert row.counts == {split: counts[row.name] for split, counts in summary.dataset.counts.items()}
        assert row.total == 60
    assert (found.largest, found.totals) == (60, {"train": 180, "validation": 60, "test": 60})
    rows = list(csv.DictReader(io.StringIO(found.download.text)))
    assert [row["class"] for row in rows] == list(summary.dataset.classes)
    assert rows[0] == {"class": "daisy", "train": "36", "validation": "12", "test": "12", "all": "60"}


def test_every_split_has_its_colour_and_bar(build_run):
    text = render(build_run(holdout=True, folds=1))
    assert len(set(frequencies.COLOURS.values())) == 3
    for words in ("learned from", "held back to choose", "kept for the test"):
        assert f"■</span>{words}</li>" in text
    assert text.count('<span class="stack"') == 5
    assert "width:60.00%;background:var(--series-1)" in text
