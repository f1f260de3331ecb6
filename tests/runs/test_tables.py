import math
from dataclasses import dataclass

import numpy as np
import pytest

from headstart.errors import RunError
from headstart.runs.tables import read_table, write_table


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    count: int
    fold: int | None
    share: float | None = None


LINES = (
    Line("plain", 1, 0, 0.1 + 0.2),
    Line('comma, "quote"\nand ümlaut', -2, None, None),
    Line("", 0, 7, 5e-324),
    Line("far", 10**12, 1, -math.inf),
    Line("from NumPy", 3, np.int64(4), np.float64(0.1)),
)


def test_rows_come_back_exactly(tmp_path):
    path = tmp_path / "lines.csv"
    write_table(path, Line, LINES)
    assert read_table(path, Line) == LINES


def test_none_has_its_word(tmp_path):
    path = tmp_path / "lines.csv"
    write_table(path, Line, LINES[:2], {"fold": "final"})
    assert path.read_text().splitlines()[:2] == ["name,count,fold,share", "plain,1,0,0.30000000000000004"]
    assert path.read_text().endswith(",-2,final,\n")
    assert read_table(path, Line, {"fold": "final"}) == LINES[:2]


def test_no_rows_leave_a_header(tmp_path):
    write_table(tmp_path / "lines.csv", Line, [])
    assert read_table(tmp_path / "lines.csv", Line) == ()


def test_a_table_from_before_a_column_with_a_default_is_read(tmp_path):
    path = tmp_path / "lines.csv"
    path.write_text("name,count,fold\na,1,\nb,2,3\n")
    assert read_table(path, Line) == (Line("a", 1, None), Line("b", 2, 3))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,count,share\n", "must have the columns name,count,fold,share. Received: name,count,share"),
        ("", "must have the columns"),
        ("name,count,fold,share\na,one,,\n", "is damaged: invalid literal"),
        ("name,count,fold,share\na,1\n", "is damaged"),
    ],
)
def test_damaged_tables_are_refused_in_one_line(tmp_path, text, words):
    path = tmp_path / "lines.csv"
    path.write_text(text)
    with pytest.raises(RunError, match=words) as caught:
        read_table(path, Line)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
