"""The identity of a study: what decides its numbers, and nothing else."""

from pathlib import Path

import pytest

from headstart.data.images import read_table
from headstart.recipe import Candidate, DataRules, Head, Recipe
from headstart.study.plan import make_plan

REMOVE = ("digits#0003", "digits#0009", "digits#0005")
RELABEL = {"digits#0020": "3", "digits#0010": "4"}


def identity(rules):
    candidate = Candidate("mobilenet", weights="random", image_size=32, head=Head())
    return make_plan(
        read_table("digits", rules=rules), Recipe((candidate,), rules), weights_dir=None, folds_asked=False
    ).study_id


@pytest.fixture(scope="module")
def known():
    return identity(DataRules(remove=REMOVE, relabel=RELABEL, corrected_from="runs/before"))


@pytest.mark.parametrize("source", ["runs/before", str(Path("elsewhere", "before").absolute())])
def test_the_order_of_a_list_and_where_it_lies_make_no_other_study(known, source):
    relabel = dict(reversed(RELABEL.items()))
    assert identity(DataRules(remove=REMOVE[::-1], relabel=relabel, corrected_from=source)) == known


def test_what_is_kept_is_doubted_no_more_and_makes_another_study(known):
    rules = DataRules(remove=REMOVE, relabel=RELABEL, corrected_from="runs/before", keep=("digits#0001",))
    assert identity(rules) != known


def test_the_run_that_is_compared_with_makes_another_study(known):
    assert identity(DataRules(remove=REMOVE, relabel=RELABEL, corrected_from="runs/other")) != known
