"""Tables as spreadsheets save them."""

import pytest

from headstart.recipe.sheet import SheetRow, delimiter_of, read_sheet


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("path\nx", ","),
        ("label,path\n", ","),
        ('"Path";label\r\n', ";"),
        ("label\tpath \n", "\t"),
        ("paths,label\n", None),
        ("a/path\n", None),
        ("", None),
    ],
)
def test_a_table_is_known_by_a_column_of_its_header(text, delimiter):
    assert delimiter_of(text, "path") == delimiter


def test_cells_bear_no_blanks_and_rows_their_lines():
    sheet = read_sheet('Path, Label\n\na , "x, y"\nb\n', ",")
    assert sheet.header == ("path", "label")
    assert sheet.rows == (SheetRow(3, ("a", '"x', 'y"')), SheetRow(4, ("b",)))
    assert [sheet.cell(row, "label") for row in sheet.rows] == ['"x', ""]
    assert sheet.cell(sheet.rows[0], "none") == ""


def test_a_quote_that_is_not_closed_is_told_with_its_line():
    with pytest.raises(ValueError, match="line 2"):
        read_sheet('path\n"a', ",")
