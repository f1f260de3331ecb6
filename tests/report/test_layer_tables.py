"""The tables of layers are those of layers.csv, once for candidates that share them."""

import csv
import re

import pytest

from headstart.report import content, layer_tables
from headstart.report.page import render


def gathered(folder):
    return layer_tables.gather(folder, content.gather(folder))


def test_candidates_that_share_their_layers_have_one_table(build_run):
    folder = build_run(failed=("mobilenet-lr0.01",))
    found = gathered(folder)
    names = [[row.result.id for row in one.candidates] for one in found.structures]
    assert sorted(map(sorted, names)) == [["mobilenet-lr0.001"], ["mobilenet_v2-lr0.001", "mobilenet_v2-lr0.01"]]
    assert found.structures[0].first.result.id == folder.summary().best
    assert found.left_out == 0


def test_every_row_is_that_of_the_file(build_run):
    folder = build_run()
    with (folder.path / "layers.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    text = render(folder)
    found = re.findall(r'<data value="(\d+)" data-from="layers.csv/(\d+)/(\w+)">', text)
    assert len(found) == 2 * 4 * 2
    for value, row, column in found:
        assert value == rows[int(row)][column]
    for row in rows[:4]:
        assert row["output_shape"].replace(" x ", " \u00d7 ") in text


def test_phases_have_their_parameters(build_run):
    folder = build_run(phases=(6,))
    [first, *_] = gathered(folder).structures
    counts = first.first.result.parameters
    assert [(one.number, one.trainable) for one in first.phases] == list(enumerate(counts.per_phase, 1))
    assert all(one.trainable + one.fixed == counts.total for one in first.phases)
    assert sum(layer.row.trainable for layer in first.layers) == counts.per_phase[-1]
    text = render(folder)
    assert "Phase 2" in text and "in its last phase" in text
    assert "All of training" in render(build_run("plain"))


def test_heads_that_differ_are_told_apart(build_run):
    folder = build_run(named=("other",), backbones=("mobilenet",), rates=(1e-3,))
    rows = [row for row in folder.layers() if row.candidate != "other"]
    more = [row for row in folder.layers() if row.candidate == "other"]
    folder.write_layers([*rows, *more[:-1]])
    assert [len(one.layers) for one in gathered(folder).structures] in ([4, 3], [3, 4])


@pytest.mark.parametrize(("limit", "value"), [("ROWS", 4), ("STRUCTURES", 1)])
def test_what_has_no_room_is_counted(build_run, monkeypatch, limit, value):
    monkeypatch.setattr(layer_tables, limit, value)
    folder = build_run()
    found = gathered(folder)
    assert (len(found.structures), found.left_out) == (1, 1)
    assert "1 more is in <code>layers.csv</code>" in render(folder)


def test_runs_of_earlier_versions_show_nothing(build_run):
    folder = build_run()
    (folder.path / "layers.csv").unlink()
    assert gathered(folder) is None
    assert "What the networks are made of" not in render(folder)
