import dataclasses

import pytest

from headstart.evaluation.evidence import Friedman
from headstart.evaluation.results import Comparison
from headstart.report import sure

BEST, OTHER, THIRD = "mobilenet-lr0.001", "mobilenet-lr0.01", "mobilenet_v2-lr0.001"


def compared(b, method, measure="accuracy", on="test", **values):
    settings = {"difference": 0.012, "unit": "share", "ci95": (-0.004, 0.028), "p_value": 0.2, "p_adjusted": 0.4}
    settings |= {"posterior": None, "verdict": "undecided", **values}
    return Comparison(a=BEST, b=b, on=on, method=method, measure=measure, **settings)


@pytest.fixture
def summary(build_run):
    return dataclasses.replace(build_run().summary(), best=BEST, comparison=())


def test_several_rows_of_a_pair_become_one_rival(summary):
    rows = (
        compared(THIRD, "McNemar mid-p"),
        compared(OTHER, "McNemar exact", verdict="a"),
        compared(THIRD, "paired bootstrap"),
        compared(THIRD, "paired bootstrap", "loss", difference=-0.02),
        compared(OTHER, "DeLong", "auc", difference=0.003),
        compared(OTHER, "corrected resampled t-test", on="folds", posterior={"a": 0.7, "equal": 0.2, "b": 0.1}),
    )
    laid_out = sure.gather(dataclasses.replace(summary, comparison=rows))
    assert [rival.main.index for rival in laid_out.test.rivals] == [0, 1]
    assert laid_out.test.methods == ("McNemar mid-p", "McNemar exact")
    assert laid_out.test.measures == ("AUC, macro", "Loss")
    first, second = laid_out.test.rivals
    assert [one and one.index for one in first.further] == [None, 3]
    assert [one and one.index for one in second.further] == [4, None]
    assert not laid_out.test.posterior and laid_out.folds.posterior
    assert [rival.name for rival in laid_out.folds.rivals] == ["MobileNet, rate 0.01"]
    assert (len(laid_out.all), laid_out.main) == (6, 3)


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("a", "the best is better"),
        ("b", "this one is better"),
        ("equal", "equal in practice"),
        ("undecided", "cannot be told apart"),
    ],
)
def test_verdicts_are_words(summary, verdict, words):
    rows = (compared(OTHER, "McNemar mid-p", verdict=verdict),)
    laid_out = sure.gather(dataclasses.replace(summary, comparison=rows))
    assert laid_out.test.rivals[0].verdict == words
    (one,) = laid_out.all
    assert one.verdict == words.replace("the best", "the first").replace("this one", "the second")
    assert one.pair == "MobileNet, rate 0.001 minus MobileNet, rate 0.01"


@pytest.mark.parametrize("interval", [(-0.004, 0.028), (0.01, 0.31), (-0.9, -0.2), (0.0, 0.0), None])
def test_the_axis_holds_zero_and_every_interval(summary, interval):
    difference = sum(interval) / 2 if interval else 0.05
    rows = (compared(OTHER, "McNemar mid-p", ci95=interval, difference=difference),)
    table = sure.table(dataclasses.replace(summary, comparison=rows), "test")
    assert table.scale.low < 0 < table.scale.high
    assert table.scale.low <= difference <= table.scale.high
    assert round(100 * table.scale.low, 9).is_integer() and round(100 * table.scale.high, 9).is_integer()
    (rival,) = table.rivals
    if interval is None:
        assert rival.bar is None
    else:
        reach = [
            table.scale.low + end / 100 * (table.scale.high - table.scale.low)
            for end in (rival.bar.low, rival.bar.high)
        ]
        assert reach == pytest.approx(interval)
        assert (rival.bar.mean > table.zero) == (difference > 0)


def test_comparisons_of_earlier_versions_are_read(summary):
    rows = (compared(OTHER, "McNemar mid-p, Holm"),)
    laid_out = sure.gather(dataclasses.replace(summary, comparison=rows))
    assert len(laid_out.test.rivals) == 1 and laid_out.folds is None and laid_out.main == len(laid_out.all)


def test_nothing_compared_is_nothing_shown(summary):
    assert sure.gather(summary) == sure.Sure(None, None, (), 0, ())


def test_mean_ranks_are_first_to_last_and_apart_beyond_the_critical_difference(summary):
    found = Friedman((OTHER, THIRD, BEST), (2.9, 1.9, 1.2), 5.2, 0.03, 1.7, 5)
    ranks = sure.mean_ranks(dataclasses.replace(summary, friedman=found))
    assert [row.index for row in ranks] == [2, 1, 0]
    assert [row.apart for row in ranks] == [False, False, True]
    assert [1 + 2 * row.bar.mean / 100 for row in ranks] == pytest.approx([1.2, 1.9, 2.9])
    assert {row.bar.low for row in ranks} == {ranks[0].bar.mean}
    assert 1 + 2 * ranks[0].bar.high / 100 == pytest.approx(2.9)


def test_an_unknown_candidate_keeps_its_id(summary):
    rows = (compared("a/b", "McNemar mid-p"),)
    assert sure.gather(dataclasses.replace(summary, comparison=rows)).test.rivals[0].name == "a/b"
