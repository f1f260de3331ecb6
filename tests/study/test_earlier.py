"""A corrected list must be of the images that are compared."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from headstart.data.images import read_table
from headstart.errors import UsageError
from headstart.recipe import DataRules
from headstart.runs.folder import RunFolder
from headstart.study.earlier import check_same_images

LISTED = ("blue/0.png", "red/1.png", "green/2.png")


@pytest.fixture
def run(tmp_path):
    """Return a run folder that has the images of a folder of photographs in its table."""
    random = np.random.default_rng(0)
    data = tmp_path / "photos"
    for name in ("blue", "green", "red"):
        (data / name).mkdir(parents=True)
        for number in range(4):
            Image.fromarray(random.integers(0, 256, (36, 40, 3), np.uint8)).save(data / name / f"{number}.png")
    folder = RunFolder(tmp_path / "run")
    folder.write_study("x = 1")
    folder.write_summary({})
    folder.write_images(read_table(data).rows)
    return folder


def check(run, *, data=None, **rules):
    found = DataRules(corrected_from=str(run.path), **rules)
    check_same_images(found, read_table(data or run.path.parent / "photos", rules=found))


RULES = [{"remove": LISTED[:1]}, {"relabel": {LISTED[1]: "blue"}}, {"keep": LISTED[2:]}]


@pytest.mark.parametrize("rules", RULES)
def test_a_list_of_other_images_is_refused(run, rules):
    check(run, **rules)
    run.write_images([dataclasses.replace(row, sha256="0" * 64) for row in run.images()])
    with pytest.raises(UsageError) as error:
        check(run, **rules)
    assert "is of other images than" in str(error.value)
    assert "of the 1 that both have, 1 differ in content" in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_arrays_of_one_name_are_not_taken_for_each_other(run):
    rows = read_table("digits").rows
    run.write_images(rows)
    rules = {"remove": ("digits#0003",), "relabel": {"digits#0004": "5"}}
    check(run, data="digits", **rules)
    run.write_images([dataclasses.replace(row, sha256=rows[0].sha256) for row in rows])
    with pytest.raises(UsageError, match=r"of the 2 that both have, 2 differ in content \(digits#0003, digits#0004\)"):
        check(run, data="digits", **rules)


def test_what_the_earlier_run_does_not_know_is_no_fault(run):
    rules = {"remove": LISTED[:1], "relabel": {LISTED[1]: "blue"}}
    left_out = [dataclasses.replace(row, sha256="") for row in run.images() if row.path != LISTED[1]]
    run.write_images(left_out)
    check(run, **rules)
    (run.path / "images.csv").unlink()
    check(run, **rules)
    check_same_images(DataRules(), read_table("digits"))
