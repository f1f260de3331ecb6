"""The three forms of predictions hold the same."""

import csv
import io
import json
import sys

import pytest

from headstart import storage
from headstart.classifier import tables
from headstart.classifier.prediction import ClassProbability, Prediction
from headstart.errors import MissingExtraError, UsageError

CLASSES = ("crow", 'jay, "blue"', "no")
PREDICTIONS = [
    Prediction(
        "a,b.jpg",
        "unknown",
        tuple(map(ClassProbability, ('jay, "blue"', "crow", "no"), (2 / 3, 1 / 4, 1 / 12))),
        1.25,
        None,
    ),
    Prediction("line\nbreak.jpg", None, (), None, "empty file"),
    Prediction("\udce9.jpg", "no", tuple(map(ClassProbability, ("no", *CLASSES[:2]), (1.0, 0.0, 0.0))), None, None),
]


@pytest.mark.parametrize("predictions", [[], PREDICTIONS[:2]])
def test_pieces_of_json_are_the_whole(predictions):
    assert "".join(tables.json_pieces(predictions)) == storage.json_text(predictions)


def test_json_lines_and_top():
    lines = list(tables.json_lines(PREDICTIONS, top=1))
    assert [line.count("\n") for line in lines] == [1, 1, 1]
    assert [json.loads(line) for line in lines] == json.loads("".join(tables.json_pieces(PREDICTIONS, top=1)))
    assert json.loads(lines[0])["ranked"] == [{"class": 'jay, "blue"', "probability": 2 / 3}]


def test_csv_reads_back():
    rows = list(csv.DictReader(io.StringIO("".join(tables.csv_lines(PREDICTIONS, CLASSES)))))
    assert list(rows[0]) == tables.column_names(CLASSES)
    assert (rows[0]["path"], rows[0]["predicted"], rows[0]["answer"]) == ("a,b.jpg", 'jay, "blue"', "unknown")
    assert float(rows[0]['p:jay, "blue"']) == float(rows[0]["probability"]) == pytest.approx(2 / 3, rel=1e-6)
    assert (rows[1]["path"], rows[1]["error"], rows[1]["p:no"]) == ("line\nbreak.jpg", "empty file", "")
    assert rows[2]["path"] == "\\udce9.jpg"


def test_parquet_has_the_columns_and_values_of_csv(tmp_path, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(tables, "ROW_GROUP", 2)
    tables.write_parquet(tmp_path / "p.parquet", iter(PREDICTIONS), CLASSES)
    found = parquet.read_table(tmp_path / "p.parquet")
    rows = list(csv.reader(io.StringIO("".join(tables.csv_lines(PREDICTIONS, CLASSES)))))
    assert found.column_names == rows[0]
    kinds = ["string", "string", "double", "string", "double", "string", "double", "double", "double"]
    assert [str(kind) for kind in found.schema.types] == kinds
    for row, cells in zip(found.to_pylist(), rows[1:], strict=True):
        assert [tables._cell(value) for value in row.values()] == cells
    assert parquet.ParquetFile(tmp_path / "p.parquet").num_row_groups == 2
    tables.write_parquet(tmp_path / "none.parquet", iter([]), CLASSES)
    assert parquet.read_table(tmp_path / "none.parquet").num_rows == 0


def test_a_broken_off_parquet_file_is_not_there(tmp_path):
    pytest.importorskip("pyarrow")

    def broken():
        yield PREDICTIONS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tables.write_parquet(tmp_path / "p.parquet", broken(), CLASSES)
    assert list(tmp_path.iterdir()) == []


def test_only_a_parquet_file_is_replaced(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    for _ in range(2):
        tables.write_parquet(tmp_path / "p.parquet", iter(PREDICTIONS), CLASSES)
    assert parquet.read_table(tmp_path / "p.parquet").num_rows == 3
    for content in (b"", b"PA", b"\xff\xd8\xff an image"):
        (tmp_path / "new.jpg").write_bytes(content)
        with pytest.raises(UsageError, match=r"new\.jpg is there already and is no Parquet file"):
            tables.write_parquet(tmp_path / "new.jpg", iter(PREDICTIONS), CLASSES)
        assert (tmp_path / "new.jpg").read_bytes() == content
    with pytest.raises(UsageError, match="is a folder"):
        tables.check_parquet(tmp_path)


def test_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtraError, match=r"headstart\[parquet\]"):
        tables.check_parquet(tmp_path / "p.parquet")
