import pytest

from headstart.data.images import read_table
from headstart.errors import DataError, UsageError
from headstart.recipe import DataRules


@pytest.fixture
def sheet(flowers):
    """Write a CSV file beside the flowers and return a function that reads it as a table."""

    def read(text, encoding="utf-8", **options):
        file = flowers / "labels.csv"
        file.write_bytes(text.encode(encoding))
        return read_table(file, **options)

    return read


def test_paths_and_labels(sheet):
    table = sheet("path,label\ndaisy/0.png,2\nrose/0.png,10\nrose/1.png,2\n")
    assert (table.name, table.classes) == ("labels", ("2", "10"))
    assert [(row.path, row.label) for row in table.rows] == [
        ("daisy/0.png", "2"), ("rose/0.png", "10"), ("rose/1.png", "2"),
    ]  # fmt: skip


def test_splits_and_groups(sheet):
    table = sheet(
        "path,label,split,group\ndaisy/0.png,a,train,p1\nrose/0.png,b,VAL,p1\nrose/1.png,b,test,\nrose/2.png,a,train,\n"
    )
    found = {row.path: (row.split, row.group) for row in table.rows}
    assert found["daisy/0.png"] == ("train", "p1")
    assert found["rose/0.png"] == ("validation", "p1")
    assert found["rose/1.png"] == ("test", "")


def test_files_as_spreadsheets_write_them(sheet):
    text = 'Label , PATH\r\n"a, ""b""", daisy\\0.png\r\n\r\nc,"rose/0.png"\r\n'
    table = sheet(text, encoding="utf-8-sig")
    assert {row.path: row.label for row in table.rows} == {"daisy/0.png": 'a, "b"', "rose/0.png": "c"}


def test_absolute_paths(sheet, flowers):
    absolute = (flowers / "daisy" / "0.png").as_posix()
    table = sheet(f"path,label\n{absolute},a\nrose/0.png,b\n")
    assert absolute in {row.path for row in table.ok}


def test_other_columns_are_passed_over_and_noted(sheet):
    table = sheet("path,label,photographer\ndaisy/0.png,a,me\nrose/0.png,b,you\n")
    assert table.notes == ("The columns photographer were passed over.",)


def test_unreadable_images_are_set_aside(sheet, flowers):
    (flowers / "bad.png").write_text("words")
    table = sheet("path,label\ndaisy/0.png,a\nrose/0.png,b\nbad.png,b\n")
    assert [(row.path, row.reason) for row in table.set_aside] == [("bad.png", "text, not an image")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needs the columns path,label .* Received: nothing"),
        ("path,label\n", "lists no images"),
        ("path,lable\nx,y\n", "Received: path,lable. Did you mean 'label'"),
        ("path,label,splt\ndaisy/0.png,a,train\n", "Did you mean 'split'"),
        ("path;label\nx;y\n", "Received: path;label"),
        ("path,label,label\nx,y,z\n", "Received: path,label,label"),
        ("path,label\ndaisy/0.png,\nrose/0.png,b\n", "line 2: label is missing"),
        ("path,label\ndaisy/0.png\nrose/0.png,b\n", "line 2: label is missing"),
        ("path,label\n,a\nrose/0.png,b\n", "line 2: path is missing"),
        ("path,label,split\ndaisy/0.png,a,tets\nrose/0.png,b,train\n", "'tets'. Did you mean 'test'"),
        ("path,label,split\ndaisy/0.png,a,\nrose/0.png,b,train\n", "split is empty in 1 of 2 lines"),
        ("path,label\ndaisy/0.png,a\ndaisy/0.png,b\n", r"1 paths are listed more than once \(daisy/0.png\)"),
        ("path,label\n1.png,a\n2.png,a\n3.png,b\n4.png,b\n",
         "4 of 4 files do not exist .1.png, 2.png, 3.png and 1 more."),
        ('path,label\n"daisy/0.png,a\n', "is not a CSV table"),
    ],
)  # fmt: skip
def test_wrong_tables(sheet, text, message):
    with pytest.raises(DataError, match=message) as error:
        sheet(text)
    assert "labels.csv" in str(error.value)
    assert "\n" not in str(error.value)


def test_files_that_do_not_exist_can_be_listed(sheet):
    text = "path,label\ndaisy/0.png,a\nrose/0.png,b\nrose/gone.png,b\n"
    with pytest.raises(DataError, match=r"1 of 3 files do not exist .rose/gone.png"):
        sheet(text)
    table = sheet(text, strict=False)
    assert [(row.path, row.reason) for row in table.set_aside] == [
        ("rose/gone.png", "cannot be read: No such file or directory")
    ]
    with pytest.raises(DataError, match="listed more than once"):
        sheet("path,label\ndaisy/0.png,a\ndaisy/0.png,b\n", strict=False)


def test_all_problems_are_told_at_once_but_not_endlessly(sheet):
    text = "path,label,split\n,a,train\ndaisy/0.png,,train\nrose/0.png,b,no\n" + "x.png,a,\n" * 5 + ",,train\n" * 3
    with pytest.raises(DataError) as error:
        sheet(text)
    told = ("1 paths are listed more", "1 of 3 files", "split is empty in 6 of 11", "line 2: path", "line 3: label")
    for part in (*told, "; and 7 more. Correct the file"):
        assert part in str(error.value)


def test_a_table_in_another_encoding(sheet):
    with pytest.raises(DataError, match="is not text in UTF-8"):
        sheet("path,label\ndaisy/0.png,Gänseblume\nrose/0.png,b\n", encoding="latin-1")


def test_a_group_column_excludes_a_rule(sheet):
    with pytest.raises(UsageError, match=r"has a group column\. Leave out --group-by"):
        sheet("path,label,group\ndaisy/0.png,a,1\nrose/0.png,b,2\n", rules=DataRules(group_by="folder"))


def test_one_class(sheet):
    with pytest.raises(DataError, match=r"only one class in .*labels.csv: 'a'"):
        sheet("path,label\ndaisy/0.png,a\nrose/0.png,a\n")
