"""The list of doubted labels: written, edited by people, read again."""

import pytest

from headstart.errors import RunError, UsageError
from headstart.recipe.lists import Corrections, read_corrections
from headstart.runs.folder import DoubtRow, RunFolder

ROWS = (
    DoubtRow("a/1, x.jpg", "a", "b", 0.9876),
    DoubtRow("a/2.jpg", "a", "c", 0.75),
    DoubtRow("b/3.jpg", "b", "b", None, "relabel"),
)


@pytest.fixture
def run(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.write_doubts(ROWS)
    (folder.path / ".study").write_text("x")
    return folder


def edit(run, *changes):
    text = run.doubts_file.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    run.doubts_file.write_text(text, encoding="utf-8")


def test_rows_come_back_and_the_columns_are_those_of_the_agreement(run):
    assert run.doubts() == ROWS
    assert run.doubts_file.name == "doubts.csv"
    lines = run.doubts_file.read_text().splitlines()
    assert lines[:2] == ["path,label,suggested,confidence,action", '"a/1, x.jpg",a,b,0.9876,']


def test_without_a_file_there_are_no_rows(tmp_path):
    assert RunFolder(tmp_path).doubts() == ()


def test_an_edited_list_is_a_list_of_corrections(run):
    edit(run, ("0.9876,", "0.9876,relabel"), ("0.75,", "0.75,drop"))
    expected = Corrections(("a/2.jpg",), {"a/1, x.jpg": "b", "b/3.jpg": "b"}, (), str(run.path))
    assert read_corrections(run.doubts_file) == expected


def test_what_people_have_written_stays_when_the_study_runs_anew(run):
    edit(run, ("a,b,0.9876,", "a,d,0.9876,Relabel"), ("0.75,", "0.75,keep"))
    run.write_doubts(ROWS)
    assert run.doubts() == (
        DoubtRow("a/1, x.jpg", "a", "d", 0.9876, "relabel"),
        DoubtRow("a/2.jpg", "a", "c", 0.75, "keep"),
        ROWS[2],
    )


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_spreadsheet_may_save_it_in_its_own_way(run, delimiter):
    lines = ["\ufeffpath,label,suggested,confidence,action", "a/1.jpg,a,b,0;9876,drop", "a/2.jpg,a,c,,"]
    text = "\r\n".join(line.replace(",", delimiter).replace("0;9876", "0,9876") for line in lines)
    run.doubts_file.write_text(text.replace("0" + ";" + "9876", "0,9876"), encoding="utf-8", newline="")
    assert run.doubts() == (DoubtRow("a/1.jpg", "a", "b", 0.9876, "drop"), DoubtRow("a/2.jpg", "a", "c", None))
    assert read_corrections(run.doubts_file).remove == ("a/1.jpg",)


@pytest.mark.parametrize("content", [b"no table", b'path\n"a', b"path\n\xff\xfe"])
def test_what_is_no_table_any_more_is_told(run, content):
    run.doubts_file.write_bytes(content)
    with pytest.raises(RunError, match=r"doubts\.csv is no longer a CSV table"):
        run.doubts()
    run.write_doubts(ROWS)
    assert run.doubts() == ROWS
    assert (run.path / "doubts.csv.old").read_bytes() == content


def test_lists_that_were_put_aside_are_never_overwritten(run):
    for content in ("one", "two", "path,label\na/1.jpg,a\n"):
        run.doubts_file.write_text(content)
        run.write_doubts(ROWS)
    names = ("doubts.csv.old", "doubts.csv.old2", "doubts.csv.old3")
    assert [(run.path / name).read_text() for name in names] == ["one", "two", "path,label\na/1.jpg,a\n"]


def test_an_odd_row_costs_no_action_and_is_still_told(run):
    edit(run, ("0.9876,", "0.9876,dorp"), ("0.75,", "0.75,keep"), ("b,b,,relabel", "b,,,relabel"))
    with run.doubts_file.open("a") as stream:
        stream.write(",c,d,0.5,drop\na/2.jpg,a,c,0.75,drop\na/2.jpg,a,x,0.75,keep\na/9.jpg,a,c,0.5\n")
    run.write_doubts(ROWS)
    assert run.doubts() == (
        DoubtRow("a/1, x.jpg", "a", "b", 0.9876, "dorp"),
        DoubtRow("a/2.jpg", "a", "c", 0.75, "keep"),
        DoubtRow("b/3.jpg", "b", "", None, "relabel"),
        DoubtRow("", "c", "d", None, "drop"),
        DoubtRow("a/2.jpg", "a", "c", None, "drop"),
    )
    with pytest.raises(
        UsageError, match=r"line 2: action must .* 'dorp'.*line 4: .*line 5: .*line 6: 'a/2\.jpg' is th"
    ):
        read_corrections(run.doubts_file)


@pytest.mark.parametrize("rows", [(), ROWS[:1]])
def test_actions_stay_where_their_images_are_no_longer_doubted(run, rows):
    edit(run, ("0.75,", "0.75,drop"))
    run.write_doubts(rows)
    assert run.doubts() == (*rows, DoubtRow("a/2.jpg", "a", "c", None, "drop"), ROWS[2])
    run.write_doubts(rows)
    assert run.doubts() == (*rows, DoubtRow("a/2.jpg", "a", "c", None, "drop"), ROWS[2])
