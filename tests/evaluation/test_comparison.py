"""The best against every other candidate: the rows of ``comparison`` and what they decide."""

import time

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, log_loss, roc_auc_score
from statsmodels.stats.multitest import multipletests

from headstart.evaluation.comparison import compare_on_folds, compare_on_test, friedman, images_to_decide
from headstart.evaluation.intervals import corrected_interval
from headstart.evaluation.significance import images_needed, mcnemar_exact, mcnemar_mid_p, paired_interval


def spoken(labels, strength, *, classes=3, seed=0):
    """Return made-up probabilities that lean to the label."""
    logits = np.random.default_rng(seed).normal(size=(len(labels), classes)) + strength * np.eye(classes)[labels]
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def said():
    labels = np.random.default_rng(1).integers(0, 3, 400)
    strengths = {"near": 2.7, "best": 3.0, "far": 1.0}
    return labels, {
        name: spoken(labels, strength, seed=seed) for seed, (name, strength) in enumerate(strengths.items())
    }


@pytest.fixture(scope="module")
def rows(said):
    return compare_on_test("best", *said, seed=0)


def row(rows, method, measure, other):
    [found] = [one for one in rows if one.method.startswith(method) and (one.measure, one.b) == (measure, other)]
    return found


def test_every_other_finalist_has_every_test(rows):
    assert [(one.measure, one.b) for one in rows] == [
        (measure, other)
        for measure in ("accuracy", "accuracy", "balanced_accuracy", "loss", "auc")
        for other in ("near", "far")
    ]
    assert {one.method for one in rows} == {"McNemar mid-p", "McNemar exact", "paired bootstrap", "DeLong"}
    assert {(one.a, one.on, one.posterior) for one in rows} == {("best", "test", None)}


def test_differences_are_those_of_scikit_learn(rows, said):
    labels, scores = said
    measures = {
        "accuracy": lambda one: np.mean(one.argmax(axis=1) == labels),
        "balanced_accuracy": lambda one: balanced_accuracy_score(labels, one.argmax(axis=1)),
        "loss": lambda one: log_loss(labels, one),
        "auc": lambda one: roc_auc_score(labels, one, multi_class="ovr"),
    }
    for one in rows:
        measure = measures[one.measure]
        assert one.difference == pytest.approx(measure(scores["best"]) - measure(scores[one.b]), abs=1e-9)
        assert one.ci95[0] < one.difference < one.ci95[1]


def test_verdicts_name_the_better_one_also_where_less_is_better(rows):
    assert {one.verdict for one in rows if one.b == "far"} == {"a"}
    assert row(rows, "paired bootstrap", "loss", "far").difference < 0
    assert {one.verdict for one in rows if one.b == "near" and one.measure == "accuracy"} == {"undecided"}


def test_b_is_named_where_it_is_better(said):
    labels, scores = said
    for one in compare_on_test("far", labels, {name: scores[name] for name in ("far", "best")}, seed=0):
        assert one.verdict == "b"


@pytest.mark.parametrize(("discordant", "method"), [(99, "McNemar mid-p"), (100, "McNemar exact")])
def test_few_discordant_images_are_judged_by_mid_p(discordant, method):
    labels, only_b = np.zeros(300, int), discordant // 3
    best, other = (np.tile([0.9, 0.1], (300, 1)) for _ in range(2))
    best[:only_b], other[only_b:discordant] = best[0, ::-1].copy(), other[0, ::-1].copy()
    found = compare_on_test("best", labels, {"best": best, "other": other}, seed=0)[0]
    test = mcnemar_mid_p if "mid-p" in method else mcnemar_exact
    assert (found.method, found.p_value) == (method, test(discordant - only_b, only_b))
    assert found.ci95 == paired_interval(discordant - only_b, only_b, 300)


def test_p_values_are_adjusted_over_the_pairs_of_one_test_and_measure(said):
    labels, scores = said
    many = scores | {f"more{seed}": spoken(labels, 2.5, seed=10 + seed) for seed in range(3)}
    found = compare_on_test("best", labels, many, seed=0)
    assert len(found) == 5 * 5
    for start in range(0, len(found), 5):
        family = found[start : start + 5]
        assert len({one.measure for one in family}) == 1
        expected = multipletests([one.p_value for one in family], method="holm")[1]
        assert [one.p_adjusted for one in family] == pytest.approx(expected)


def test_candidates_that_say_the_same_are_not_told_apart(said):
    labels, scores = said
    for one in compare_on_test("best", labels, {"best": scores["best"], "twin": scores["best"].copy()}, seed=0):
        assert (one.difference, one.p_value, one.p_adjusted, one.verdict) == (0.0, 1.0, 1.0, "undecided")


def test_one_finalist_has_nothing_to_be_compared_with(said):
    labels, scores = said
    assert compare_on_test("best", labels, {"best": scores["best"]}, seed=0) == ()
    assert images_to_decide("best", labels, {"best": scores["best"]}) == {}


def test_a_test_set_of_one_class_has_no_area():
    labels = np.zeros(40, int)
    found = compare_on_test("a", labels, {"a": spoken(labels, 2.0), "b": spoken(labels, 1.0, seed=1)}, seed=0)
    assert [one.measure for one in found] == ["accuracy", "accuracy", "balanced_accuracy", "loss"]


def test_equal_seeds_give_equal_rows(said, rows):
    labels, scores = said
    assert compare_on_test("best", labels, scores, seed=0) == rows
    assert compare_on_test("best", labels, scores, seed=1) != rows


def test_many_pairs_can_still_be_decided_by_the_bootstrap():
    labels = np.arange(200) % 2
    scores = {f"weak{seed}": spoken(labels, 0.2, classes=2, seed=seed) for seed in range(60)}
    found = compare_on_test("best", labels, {"best": spoken(labels, 6.0, classes=2, seed=99)} | scores, seed=0)
    assert {one.verdict for one in found if one.method == "paired bootstrap"} == {"a"}


def test_shuffled_labels_decide_nothing():
    """Eight finalists of equal skill, none: labels that have nothing to do with what they say."""
    labels = np.random.default_rng(2).integers(0, 5, 700)
    scores = {f"c{seed}": spoken(np.zeros(700, int), 0.0, classes=5, seed=50 + seed) for seed in range(8)}
    assert {one.verdict for one in compare_on_test("c0", labels, scores, seed=0)} == {"undecided"}


def test_twenty_finalists_with_102_classes_take_seconds():
    random = np.random.default_rng(3)
    labels = random.integers(0, 102, 2000)
    scores = {f"c{seed}": spoken(labels, 3.0, classes=102, seed=seed) for seed in range(20)}
    start = time.perf_counter()
    found = compare_on_test("c0", labels, scores, seed=0)
    assert time.perf_counter() - start < 8
    assert len(found) == 5 * 19


def named(labels, wrong, *, classes=3, sure=0.9):
    """Return probabilities that name the label, but the next class for the images listed."""
    says = labels.copy()
    says[wrong] = (says[wrong] + 1) % classes
    return np.where(np.eye(classes)[says] == 1, sure, (1 - sure) / (classes - 1))


def test_four_discordant_images_of_thirteen_decide_nothing():
    """All four speak for the first, which the bootstrap alone would take for proof: p 0.003 against McNemar's 0.06."""
    labels = np.repeat([0, 1, 2], [4, 4, 5])
    pair = {"best": named(labels, []), "other": named(labels, [0, 4, 8, 9])}
    found = compare_on_test("best", labels, pair, seed=0)
    assert row(found, "paired bootstrap", "accuracy", "other").p_adjusted < 0.05
    assert {one.verdict for one in found} == {"undecided"}


@pytest.mark.parametrize(("discordant", "verdict"), [(4, "undecided"), (5, "a"), (40, "a")])
def test_accuracy_is_decided_by_mcnemar_alone(discordant, verdict):
    labels = np.arange(300) % 3
    pair = {"best": named(labels, []), "other": named(labels, np.arange(discordant))}
    found = compare_on_test("best", labels, pair, seed=0)
    assert row(found, "McNemar", "accuracy", "other").verdict == verdict
    bootstrap = row(found, "paired bootstrap", "accuracy", "other")
    assert (bootstrap.verdict, bootstrap.p_adjusted < 0.05) == (verdict, True)


@pytest.mark.parametrize(("discordant", "verdict"), [(9, "undecided"), (10, "a")])
def test_fewer_than_ten_images_decide_no_mean_over_classes(discordant, verdict):
    labels = np.arange(300) % 3
    pair = {"best": named(labels, []), "other": named(labels, np.arange(discordant))}
    found = row(compare_on_test("best", labels, pair, seed=0), "paired bootstrap", "balanced_accuracy", "other")
    assert found.p_adjusted < 0.05
    assert found.verdict == verdict


def test_a_class_of_four_images_decides_no_mean_over_classes():
    """The same 60 images wrong; only the loss, which is no mean over classes, and accuracy are still decided."""
    for rare, decided in ((4, {"accuracy", "loss"}), (5, {"accuracy", "loss", "balanced_accuracy", "auc"})):
        labels = np.repeat([0, 1, 2], [150, 150, rare])
        pair = {"best": named(labels, []), "other": named(labels, np.arange(120, 180))}
        found = compare_on_test("best", labels, pair, seed=0)
        assert {one.measure for one in found if one.verdict == "a"} == decided
        assert {one.measure for one in found if one.p_adjusted < 0.05} >= {"balanced_accuracy", "auc"}


@pytest.mark.parametrize("sizes", [(5, 5), (4, 4, 4), (60, 1, 1), (60, 2, 2), (60, 5, 5), (3,) * 8, (10, 10, 10)])
def test_false_alarms_on_few_images(sizes, monkeypatch):
    """Two equally good candidates; among 500 simulations the share strays by one point (one standard error)."""
    monkeypatch.setattr("headstart.evaluation.significance.DRAWS", 500)
    labels, alarms = np.repeat(np.arange(len(sizes)), sizes), {}
    for seed in range(500):
        pair = {name: spoken(labels, 2.0, classes=len(sizes), seed=2 * seed + place) for place, name in enumerate("ab")}
        for one in compare_on_test("a", labels, pair, seed=seed):
            alarms.setdefault((one.method, one.measure), []).append(one.verdict != "undecided")
    assert max(np.mean(ones) for ones in alarms.values()) <= 0.09


def test_images_to_decide_is_stricter_for_many_pairs(said):
    labels, scores = said
    right = {name: one.argmax(axis=1) == labels for name, one in scores.items()}
    only = [int(np.sum(right["best"] & ~right["near"])), int(np.sum(right["near"] & ~right["best"]))]
    two = images_to_decide("best", labels, {name: scores[name] for name in ("best", "near")})
    assert two == {"near": images_needed(*only, 400)}
    three = images_to_decide("best", labels, scores)
    assert three["near"] == images_needed(*only, 400, level=0.025) > two["near"]
    assert three["far"] < 400


FOLDS = {
    "best": (0.95, 0.96, 0.94, 0.97, 0.95),
    "near": (0.951, 0.959, 0.941, 0.969, 0.949),
    "unsure": (0.95, 0.90, 0.99, 0.93, 0.94),
    "far": (0.85, 0.84, 0.86, 0.86, 0.84),
}


def test_folds_name_the_better_the_equal_and_the_undecided():
    found = {one.b: one for one in compare_on_folds("best", FOLDS, 0.25, 0.01)}
    assert {name: one.verdict for name, one in found.items()} == {"near": "equal", "unsure": "undecided", "far": "a"}
    assert {(one.a, one.on, one.measure, one.method) for one in found.values()} == {
        ("best", "folds", "accuracy", "corrected resampled t-test")
    }
    [reverse] = compare_on_folds("far", {name: FOLDS[name] for name in ("best", "far")}, 0.25, 0.01)
    assert (reverse.verdict, reverse.b) == ("b", "best")


def test_a_difference_too_small_to_matter_is_equal_though_significant():
    pair = {
        "best": FOLDS["best"],
        "less": tuple(value - 0.001 - 0.0002 * place for place, value in enumerate(FOLDS["best"])),
    }
    [found] = compare_on_folds("best", pair, 0.25, 0.01)
    assert found.p_adjusted < 0.01
    assert found.posterior["equal"] > 0.95
    assert found.verdict == "equal"


def test_interval_p_value_and_posterior_of_folds_agree():
    found = {one.b: one for one in compare_on_folds("best", FOLDS, 0.25, 0.01)}
    differences = np.subtract(FOLDS["best"], FOLDS["unsure"])
    error = np.sqrt((1 / 5 + 0.25) * differences.var(ddof=1))
    one = found["unsure"]
    assert one.difference == pytest.approx(differences.mean())
    assert one.ci95 == pytest.approx(corrected_interval(differences, 0.25))
    assert one.p_value == pytest.approx(2 * stats.t.sf(abs(differences.mean()) / error, 4))
    assert one.posterior["equal"] == pytest.approx(np.diff(stats.t.cdf([-0.01, 0.01], 4, one.difference, error))[0])
    raw = [found[name].p_value for name in ("near", "unsure", "far")]
    adjusted = [found[name].p_adjusted for name in ("near", "unsure", "far")]
    assert adjusted == pytest.approx(multipletests(raw, method="holm")[1])


def test_finalists_and_others_are_families_of_their_own():
    random = np.random.default_rng(5)
    folds = {"best": FOLDS["best"]} | {f"c{place}": tuple(0.94 + random.normal(0, 0.01, 5)) for place in range(20)}
    finalists = ("best", "c7", "c3", "c12")
    found = compare_on_folds("best", folds, 0.25, 0.01, finalists=finalists)
    assert [one.b for one in found] == [name for name in folds if name != "best"]
    for inside in (True, False):
        family = [one for one in found if (one.b in finalists) == inside]
        expected = multipletests([one.p_value for one in family], method="holm")[1]
        assert [one.p_adjusted for one in family] == pytest.approx(expected)
    everyone = compare_on_folds("best", folds, 0.25, 0.01, finalists=folds)
    assert everyone == compare_on_folds("best", folds, 0.25, 0.01)


def test_many_candidates_do_not_hide_a_worse_finalist():
    """A finalist 3 points worse over five folds, beside 78 more candidates: shown in most of 100 studies, not in 8."""
    random, shown = np.random.default_rng(0), {"finalists": 0, "all": 0}
    for _ in range(100):
        best = 0.95 + random.normal(0, 0.008, 5)
        folds = {"best": best} | {f"c{place}": best - random.normal(0.03, 0.01, 5) for place in range(79)}
        for name, finalists in (("finalists", ("best", "c0")), ("all", None)):
            shown[name] += compare_on_folds("best", folds, 0.25, 0.01, finalists=finalists)[0].verdict == "a"
    assert shown["finalists"] >= 85
    assert shown["all"] <= 25


def test_what_counts_as_equal_is_the_users_choice():
    pair = {name: FOLDS[name] for name in ("best", "near")}
    [strict], [loose] = (compare_on_folds("best", pair, 0.25, share) for share in (0.0005, 0.01))
    assert (strict.verdict, loose.verdict) == ("undecided", "equal")


def test_folds_without_any_spread_decide_nothing():
    found = compare_on_folds("a", {"a": (0.9, 0.8), "same": (0.9, 0.8), "less": (0.7, 0.6)}, 1.0, 0.01)
    assert [(one.p_value, one.p_adjusted, one.ci95, one.posterior, one.verdict) for one in found] == [
        (1.0, 1.0, None, None, "undecided"),
        (None, None, None, None, "undecided"),
    ]


def test_a_single_round_cannot_be_compared():
    assert compare_on_folds("a", {"a": (0.9,), "b": (0.8,)}, 0.25, 0.01) == ()
    assert compare_on_folds("a", {"a": (0.9, 0.8)}, 0.25, 0.01) == ()


def test_friedman_needs_three_candidates_and_two_rounds():
    found = friedman(FOLDS)
    expected = stats.friedmanchisquare(*FOLDS.values())
    assert found.candidates == tuple(FOLDS)
    assert (found.statistic, found.p_value) == pytest.approx((expected.statistic, expected.pvalue))
    assert found.critical_difference == pytest.approx(2.569 * np.sqrt(4 * 5 / (6 * 5)), abs=1e-3)
    assert found.mean_ranks[3] == 4
    assert found.blocks == 5
    assert friedman({name: FOLDS[name] for name in ("best", "far")}) is None
    assert friedman({name: values[:1] for name, values in FOLDS.items()}) is None
    assert friedman({}) is None


@pytest.mark.parametrize("candidates", [3, 4, 10])
def test_two_rounds_can_never_decide_between_ranks_and_three_can(candidates):
    apart = {f"c{place}": (0.9 - 0.01 * place,) * 3 for place in range(candidates)}
    found = friedman(apart)
    assert max(found.mean_ranks) - min(found.mean_ranks) == candidates - 1 >= found.critical_difference
    assert friedman({name: values[:2] for name, values in apart.items()}) is None


def accuracies(repeats, images=100, simulations=300):
    """Return accuracies ``(candidates, rounds, simulations)`` of three equally good procedures over five folds.

    Points in 15 dimensions, two classes: the nearest class mean on five coordinates each, which all tell as much.
    """
    random, labels = np.random.default_rng(17), np.arange(images) % 2
    points = random.normal(size=(simulations, images, 15)) + 0.35 * (2 * labels - 1)[:, None]
    found = [[], [], []]
    for _ in range(repeats):
        folds = random.permutation(images // 2)[np.arange(images) // 2] % 5
        for held_out in (folds == fold for fold in range(5)):
            means = [points[:, ~held_out & (labels == k)].mean(axis=1, keepdims=True) for k in (0, 1)]
            closer = (points[:, held_out] - means[0]) ** 2 - (points[:, held_out] - means[1]) ** 2
            for place, one in enumerate(found):
                says = closer[:, :, 5 * place : 5 * place + 5].sum(axis=2) > 0
                one.append((says == labels[held_out]).mean(axis=1))
    return np.array(found)


@pytest.mark.parametrize("repeats", [1, 3, 6])
def test_repeats_raise_no_false_alarms_of_friedman(repeats):
    """Repeats show the same images again: as blocks of their own they raise alarms, so only the first one counts."""
    values, repeat_of = accuracies(repeats), np.arange(5 * repeats) // 5

    def alarms(rounds):
        tests = [friedman(dict(zip("abc", values[:, :, one], strict=True)), rounds) for one in range(values.shape[2])]
        assert {one.blocks for one in tests} == {5 if rounds is not None else 5 * repeats}
        return np.mean([one.p_value < 0.05 for one in tests])

    assert alarms(repeat_of) <= 0.09
    if repeats > 1:
        assert alarms(None) > 0.2


def test_friedman_of_the_first_repeat_is_that_of_its_rounds():
    twice = {name: values + values[::-1] for name, values in FOLDS.items()}
    assert friedman(twice, [0] * 5 + [1] * 5) == friedman(FOLDS)
    assert friedman(twice).blocks == 10
    # hold-outs: every repeat is a single round
    assert friedman(FOLDS, range(5)) is None
    assert friedman({}, [0, 1]) is None
