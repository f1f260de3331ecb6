"""What people decide, written into the list of doubted labels."""

import threading

import pytest

from headstart import storage
from headstart.errors import RunError
from headstart.recipe.lists import Corrections, read_corrections
from headstart.runs import decisions
from headstart.runs.decisions import Decision, write_decisions
from headstart.runs.folder import DoubtRow, RunFolder

ROWS = (DoubtRow("a/1, x.jpg", "a", "b", 0.9876), DoubtRow("a/2.jpg", "a", "c", 0.75))


@pytest.fixture
def run(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.write_doubts(ROWS)
    return folder


def test_a_decision_stands_in_its_row(run):
    write_decisions(run, [Decision("a/2.jpg", "a", "drop")])
    assert run.doubts() == (ROWS[0], DoubtRow("a/2.jpg", "a", "c", 0.75, "drop"))


def test_a_new_label_takes_the_place_of_the_suggestion_and_can_be_taken_back(run):
    before = run.doubts_file.read_bytes()
    write_decisions(run, [Decision("a/2.jpg", "a", "relabel", "d")])
    assert run.doubts()[1] == DoubtRow("a/2.jpg", "a", "d", 0.75, "relabel")
    assert read_corrections(run.doubts_file).relabel == {"a/2.jpg": "d"}
    write_decisions(run, [Decision("a/2.jpg", "a", "relabel", "e")])
    assert run.doubts_and_suggestions()[1] == {"a/1, x.jpg": "b", "a/2.jpg": "c"}
    write_decisions(run, [Decision("a/2.jpg", "a", "")])
    assert run.doubts_file.read_bytes() == before


def test_what_is_relabelled_and_then_kept_has_its_suggestion_again(run):
    write_decisions(run, [Decision("a/1, x.jpg", "a", "relabel", "b"), Decision("a/2.jpg", "a", "relabel", "d")])
    write_decisions(run, [Decision("a/2.jpg", "a", "keep")])
    assert run.doubts() == (
        DoubtRow("a/1, x.jpg", "a", "b", 0.9876, "relabel"),
        DoubtRow("a/2.jpg", "a", "c", 0.75, "keep"),
    )
    assert run.doubts_and_suggestions()[1] == {"a/1, x.jpg": "b", "a/2.jpg": "c"}


def test_a_relabelled_image_without_doubt_leaves_no_suggestion_behind(run):
    before = run.doubts_file.read_bytes()
    write_decisions(run, [Decision("b/3.jpg", "b", "relabel", "c")])
    assert "b/3.jpg" not in run.doubts_and_suggestions()[1]
    write_decisions(run, [Decision("b/3.jpg", "b", "keep")])
    assert run.doubts()[2] == DoubtRow("b/3.jpg", "b", "", None, "keep")
    write_decisions(run, [Decision("b/3.jpg", "b", "relabel", "c"), Decision("b/3.jpg", "b", "")])
    assert run.doubts_file.read_bytes() == before


def test_a_label_that_was_written_by_hand_is_no_suggestion_of_the_study(run):
    text = run.doubts_file.read_text(encoding="utf-8").replace("c,0.75,", "e,0.75,Relabel")
    run.doubts_file.write_text(text, encoding="utf-8")
    assert run.doubts_and_suggestions()[1] == {"a/1, x.jpg": "b"}
    write_decisions(run, [Decision("a/2.jpg", "a", "keep")])
    assert run.doubts()[1] == DoubtRow("a/2.jpg", "a", "", 0.75, "keep")
    assert run.doubts_and_suggestions()[1] == {"a/1, x.jpg": "b"}


def test_an_image_without_doubt_gets_a_row_that_goes_with_its_decision(run):
    before = run.doubts_file.read_bytes()
    write_decisions(run, [Decision("b/3.jpg", "b", "drop"), Decision("b/4.jpg", "b", "keep")])
    assert run.doubts()[2:] == (
        DoubtRow("b/3.jpg", "b", "", None, "drop"),
        DoubtRow("b/4.jpg", "b", "", None, "keep"),
    )
    assert read_corrections(run.doubts_file) == Corrections(("b/3.jpg",), {}, ("b/4.jpg",))
    write_decisions(run, [Decision("b/3.jpg", "b", ""), Decision("b/4.jpg", "b", "")])
    assert run.doubts_file.read_bytes() == before


def test_without_a_list_one_is_begun(tmp_path):
    run = RunFolder(tmp_path)
    write_decisions(run, [Decision("ä b.jpg", "ö", "drop")])
    assert run.doubts() == (DoubtRow("ä b.jpg", "ö", "", None, "drop"),)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_what_a_spreadsheet_left_stays(run, delimiter):
    rows = [["Note", "path", "label", "suggested", "confidence", "action"], ["mine", "a/2.jpg", "a", "c", "0.75", ""]]
    text = "\n".join(delimiter.join(row) for row in rows)
    run.doubts_file.write_text(f"\ufeff{text}\n", encoding="utf-8")
    write_decisions(run, [Decision("a/2.jpg", "a", "keep")])
    kept = delimiter.join(["mine", "a/2.jpg", "a", "c", "0.75", "keep"])
    assert run.doubts_file.read_text(encoding="utf-8").splitlines()[1] == kept
    assert run.doubts() == (DoubtRow("a/2.jpg", "a", "c", 0.75, "keep"),)


def test_an_image_that_is_there_twice_has_one_decision(run):
    run.doubts_file.write_text("path,label,suggested,confidence,action\nx,a,b,,drop\nx,a,b,,keep\n", encoding="utf-8")
    write_decisions(run, [Decision("x", "a", "keep")])
    assert read_corrections(run.doubts_file).keep == ("x",)


@pytest.mark.parametrize("content", [b"nothing\n", b"path,label\n\xff\xfe\n", b'path,label\n"open'])
def test_a_list_that_is_none_any_more_is_left_alone(run, content):
    run.doubts_file.write_bytes(content)
    with pytest.raises(RunError, match="no longer a CSV table"):
        write_decisions(run, [Decision("a/2.jpg", "a", "drop")])
    assert run.doubts_file.read_bytes() == content


def test_many_writers_lose_nothing(run):
    paths = [f"c/{number}.jpg" for number in range(24)]

    def write(mine):
        for path in mine:
            write_decisions(run, [Decision(path, "c", "drop")])

    threads = [threading.Thread(target=write, args=(paths[start::4],)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(read_corrections(run.doubts_file).remove) == sorted(paths)
    assert run.doubts()[:2] == ROWS


def test_a_study_at_work_is_not_disturbed(run, monkeypatch):
    monkeypatch.setattr(decisions, "PATIENCE_SECONDS", 0.05)
    with storage.exclusive_lock(run.path / ".lock") as free:
        assert free
        with pytest.raises(RunError, match="A study is at work"):
            write_decisions(run, [Decision("a/2.jpg", "a", "drop")])
    assert run.doubts() == ROWS


@pytest.mark.parametrize(("action", "new_label"), [("delete", ""), ("relabel", ""), ("keep", "b")])
def test_there_are_no_other_decisions(action, new_label):
    with pytest.raises(ValueError, match="no such decision"):
        Decision("a/2.jpg", "a", action, new_label)
