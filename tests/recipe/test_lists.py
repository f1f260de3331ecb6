"""Files that a recipe names: class names, removed images and corrected lists."""

import pytest

from headstart.errors import UsageError
from headstart.recipe.lists import Corrections, read_class_names, read_corrections


def written(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "list.csv"
    path.write_text(text, encoding=encoding, newline="")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "label,name\nn01,fish\nn02,dog\n",
        "Label, Name\r\nn01,fish\r\n\r\nn02,dog\r\nn02,dog\r\n",
        '"n01", fish \n n02,"dog"\n\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_class_names_are_read_with_and_without_a_header(tmp_path, text, encoding):
    assert read_class_names(written(tmp_path, text, encoding)) == {"n01": "fish", "n02": "dog"}


def test_a_quoted_name_may_hold_a_comma_and_many_labels_one_name(tmp_path):
    text = 'label,name\na,"fish, or so"\nb,"fish, or so"\n'
    assert read_class_names(written(tmp_path, text)) == {"a": "fish, or so", "b": "fish, or so"}


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("", ["no lines"]),
        ("label,name\n", ["no lines"]),
        ("label,name\na,\nb\n,c\n", ["line 2: ", "line 3: ", "line 4: "]),
        ("label,name\na,b\na,c\n", ["line 3: 'a' has the name 'b' already"]),
        ('a,b\n"c', ["line 2: "]),
    ],
)
def test_what_is_wrong_with_class_names_has_its_line_and_is_one_line(tmp_path, text, messages):
    path = written(tmp_path, text)
    with pytest.raises(UsageError) as error:
        read_class_names(path)
    assert str(error.value).startswith(str(path))
    assert [message for message in messages if message not in str(error.value)] == []
    assert len(str(error.value).splitlines()) == 1


def test_removed_images_are_lines_without_comments(tmp_path):
    path = written(tmp_path, "# by hand\nroses/1.jpg\r\n\n  tulips/a b.jpg  \nroses/1.jpg\n#\n", "utf-8-sig")
    assert read_corrections(path) == Corrections(("roses/1.jpg", "tulips/a b.jpg"))


def test_a_list_of_no_images_is_refused(tmp_path):
    with pytest.raises(UsageError, match="names no images"):
        read_corrections(written(tmp_path, "# none\n"))


@pytest.mark.parametrize("read", [read_class_names, read_corrections])
def test_files_that_cannot_be_read_are_named(tmp_path, read):
    with pytest.raises(UsageError, match=r"none\.csv cannot be read"):
        read(tmp_path / "none.csv")
    with pytest.raises(UsageError, match="cannot be read"):
        read(tmp_path)
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="UTF-8"):
        read(tmp_path / "b.csv")


def test_a_removed_image_may_be_one_of_an_array(tmp_path):
    assert read_corrections(written(tmp_path, "train-images-idx3-ubyte#07\n")).remove == ("train-images-idx3-ubyte#07",)


def test_many_problems_are_told_at_once_but_not_endlessly(tmp_path):
    with pytest.raises(UsageError, match=r"line 5: .*; and 3 more\. Give one line label,name per class\."):
        read_class_names(written(tmp_path, "x\n" * 8))


DOUBTS = """path,label,suggested,confidence,action
a/1.jpg,a,b,0.99,drop
a/2.jpg,a,b,0.98, Relabel
"a/3, x.jpg",a,c,0.97,relabel
b/1.jpg,b,a,0.9,keep
b/2.jpg,b,a,0.8,
"""
EDITED = Corrections(("a/1.jpg",), {"a/2.jpg": "b", "a/3, x.jpg": "c"}, ("b/1.jpg",))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_corrected_list_says_what_is_dropped_relabelled_and_kept(tmp_path, encoding):
    assert read_corrections(written(tmp_path, DOUBTS, encoding)) == EDITED
    assert read_corrections(written(tmp_path, DOUBTS.replace("\n", "\r\n"), encoding)) == EDITED


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_spreadsheets_may_put_other_marks_between_the_cells(tmp_path, delimiter):
    text = DOUBTS.replace("a/3, x.jpg", "a/3 x.jpg").replace(",", delimiter)
    found = read_corrections(written(tmp_path, text))
    assert found == Corrections(("a/1.jpg",), {"a/2.jpg": "b", "a/3 x.jpg": "c"}, ("b/1.jpg",))


@pytest.mark.parametrize("text", ["path\na/1.jpg\n\nb/2.jpg\n", "label,Path\nx,a/1.jpg\nx,b/2.jpg\nx,a/1.jpg\n"])
def test_a_table_without_actions_drops_all_its_images(tmp_path, text):
    assert read_corrections(written(tmp_path, text)) == Corrections(("a/1.jpg", "b/2.jpg"))


def test_a_list_that_nobody_has_edited_says_what_to_do(tmp_path):
    text = "path,label,suggested,confidence,action\na/1.jpg,a,b,0.99,\n"
    with pytest.raises(UsageError, match=r"names no images\. Write drop, relabel or keep into the column action"):
        read_corrections(written(tmp_path, text))


def test_a_list_in_a_run_folder_remembers_it(tmp_path):
    path = written(tmp_path, DOUBTS)
    assert read_corrections(path).run == ""
    (tmp_path / ".study").write_text("x")
    assert read_corrections(path).run == str(tmp_path)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            "a,a,b,1,dorp",
            "line 2: action must be drop, relabel or keep, received 'dorp' (did you mean 'drop'?). Correct",
        ),
        ("a,a,,1,relabel", "line 2: 'a' is to be relabelled, but suggested is empty"),
        (",a,b,1,drop", "line 2: path is missing"),
        ("a,a,b,1,drop\na,a,b,1,relabel", "line 3: 'a' is there twice, with different actions"),
        ("a,a,b,1,relabel\na,a,c,1,relabel", "line 3: 'a' is there twice, with different actions"),
        ('a,a,b,1,"drop', "line 2: "),
    ],
)
def test_what_is_wrong_with_a_corrected_list_is_one_line(tmp_path, lines, message):
    path = written(tmp_path, f"path,label,suggested,confidence,action\n{lines}\n")
    with pytest.raises(UsageError) as error:
        read_corrections(path)
    assert str(error.value).startswith(f"{path}: {message}")
    assert len(str(error.value).splitlines()) == 1
