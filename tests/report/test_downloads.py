import base64
import csv
import io

import pytest

from headstart.report.downloads import rows_of, table
from headstart.runs import folder as files


def test_cells_are_exact_and_quoted():
    made = table("x.csv", ("name", "value"), [("a,b", 0.1), ('"', None), ("ä", 3), ("z", float("inf"))])
    assert made.text == 'name,value\n"a,b",0.1\n"""",\nä,3\nz,inf\n'
    assert made.name == "x.csv"
    rows = list(csv.reader(io.StringIO(made.text)))
    assert rows[1:3] == [["a,b", "0.1"], ['"', ""]]


def test_the_address_holds_the_whole_table():
    made = table("x.csv", ("ä",), [(1 / 3,)])
    start, text = made.address.split(",")
    assert start == "data:text/csv;charset=utf-8;base64"
    assert base64.b64decode(text).decode() == made.text


@pytest.mark.parametrize("name", [files.HISTORY, files.RESULTS, files.IMAGES, files.FOLDS])
def test_rows_are_the_lines_of_the_run_folder(build_run, name):
    folder = build_run(failed=("mobilenet-lr0.01",))
    rows = getattr(folder, name.partition(".")[0])()
    assert rows_of(name, rows).text == (folder.path / name).read_text(encoding="utf-8")
    half = rows_of(name, rows[: len(rows) // 2]).text
    assert (folder.path / name).read_text(encoding="utf-8").startswith(half)


def test_rows_without_any_are_refused():
    with pytest.raises(ValueError, match=r"x\.csv needs one row or more"):
        rows_of("x.csv", ())
