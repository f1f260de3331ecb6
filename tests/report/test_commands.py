"""Command lines that the page proposes."""

import shlex

import pytest

from headstart.report.commands import correcting_command, quoted, typed_folder


@pytest.mark.parametrize(
    ("command", "folder"),
    [
        ("headstart compare photos", "runs/flowers"),
        ("headstart compare photos --out runs/x/flowers/", "runs/x/flowers"),
        ("headstart compare --out=../flowers photos", "../flowers"),
        ("headstart compare --out old --out 'my runs/flowers' photos", "my runs/flowers"),
        ("headstart compare photos --out elsewhere", ""),
        ("headstart compare -- --out", "runs/flowers"),
        ("", ""),
    ],
)
def test_the_run_folder_is_where_the_command_put_it(command, folder):
    assert typed_folder(command, "flowers") == folder


NEW = "--drop runs/a/doubts.csv --out runs/a-corrected"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("headstart compare photos", f"headstart compare photos {NEW}"),
        ("headstart compare photos --out runs/a --seed 1", f"headstart compare photos --seed 1 {NEW}"),
        ("headstart compare --drop=x.csv --out=runs/a photos", f"headstart compare photos {NEW}"),
        ("headstart compare --drop x.csv 'my photos' --drop --out", f"headstart compare 'my photos' {NEW}"),
        ("headstart compare --seed 1 -- --out", f"headstart compare --seed 1 {NEW} -- --out"),
        ("headstart run flowers --data photos", ""),
        ("headstart demo", ""),
        ("", ""),
    ],
)
def test_the_list_and_the_folder_are_named_once(command, expected):
    assert correcting_command(command, "runs/a", "doubts.csv") == expected


def test_odd_names_are_quoted():
    command = correcting_command("headstart compare photos", "my runs/a's", "doubts.csv")
    assert shlex.split(command)[3:] == ["--drop", "my runs/a's/doubts.csv", "--out", "my runs/a's-corrected"]
    assert shlex.split(quoted("my runs/a", "classifier")) == ["my runs/a/classifier"]
