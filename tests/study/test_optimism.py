"""What the choice flatters, gathered from a case, and what is said of it."""

import dataclasses

import numpy as np
import pytest

from headstart.data.split import Round
from headstart.evaluation.ranking import best_first
from headstart.recipe import Candidate, Head, Optimizer, Training
from headstart.study.nested import NestedResult, nested
from headstart.study.optimism import correction, optimism, overfitting, selection_of, with_nested

SOLVED = Candidate("made", "solved", head=Head(output="logistic"))


def trained(name, rate, epochs=10, patience=0):
    return Candidate("made", name, train=Training(epochs, optimizer=Optimizer("sgd", rate), patience=patience))


def noise(images=120, inputs=6, seed=0):
    random = np.random.default_rng(seed)
    return random.standard_normal((images, inputs)), np.arange(images) % 3


def separable(images=90, seed=0):
    features, labels = noise(images, seed=seed)
    return features + 6 * np.eye(3, 6)[labels], labels


@pytest.fixture
def sweep(made_case):
    return made_case(
        *noise(), [trained(f"rate {rate}", rate) for rate in (1.0, 0.3, 0.1, 0.03, 0.01)], folds=3, score_epoch="best"
    )


def test_the_best_of_noise_is_brought_down_towards_chance(sweep):
    found = optimism(sweep)
    shown = sweep.ranked[0].cv.accuracy.mean
    assert found.candidates == 5
    assert found.corrected == pytest.approx(shown - found.selection - found.best_epoch)
    assert shown > found.corrected > 0.2
    assert found.corrected_ci95[0] < found.corrected < found.corrected_ci95[1]
    assert found.best_epoch > 0
    assert found.nested is None and found.chosen == ()
    assert found.sentence == (
        f"Chosen as the best of 5 candidates on the same folds: that flatters its {100 * shown:.1f} % by about "
        f"{100 * found.selection:.1f} points. Scoring every fold at its own best epoch flatters it "
        f"by about {100 * found.best_epoch:.1f} points. Less both, {100 * found.corrected:.1f} % remain."
    )


@pytest.mark.parametrize("choose_by", ["accuracy", "loss"])
def test_noise_less_both_choices_is_chance(made_case, choose_by):
    """Three classes that nothing tells apart: only a third can be true, whatever is shown."""
    rates, found = (1.0, 0.3, 0.1, 0.03), []
    for seed in range(12):
        candidates = [trained(f"rate {rate}", rate) for rate in rates]
        case = made_case(*noise(seed=seed), candidates, folds=3, choose_by=choose_by, score_epoch="best")
        one = optimism(case)
        found.append((case.ranked[0].cv.accuracy.mean, one.corrected, *one.corrected_ci95))
    shown, corrected, low, high = np.array(found).T
    assert shown.mean() > 1 / 3 + 0.01
    assert corrected.mean() == pytest.approx(1 / 3, abs=0.045)
    assert corrected.mean() < 1 / 3 + 0.01
    assert np.mean((low <= 1 / 3) & (high >= 1 / 3)) >= 0.75


@pytest.mark.parametrize("choose_by", ["accuracy", "loss"])
def test_the_value_that_is_corrected_is_the_one_that_is_shown(made_case, choose_by):
    """Folds of equal size: their mean is the mean over images; the column that is chosen is the best candidate's."""
    rates = (1.0, 0.3, 0.1, 0.01)
    case = made_case(
        *noise(),
        [trained(f"rate {rate}", rate) for rate in rates],
        folds=3,
        repeats=2,
        choose_by=choose_by,
        score_epoch="best",
    )
    found = correction([case.judged_of(one.id) for one in best_first(case.results, choose_by)], case)
    assert found.chosen == 0
    assert found.value == pytest.approx(case.ranked[0].cv.accuracy.mean, abs=1e-12)
    again = optimism(case)
    shifted = np.clip(np.array(found.ci95) - max(0, again.best_epoch), 0, 1)
    assert again.corrected_ci95 == pytest.approx(tuple(shifted), abs=1e-12)
    assert again.selection == found.optimism


def test_one_candidate_is_no_choice(made_case):
    found = optimism(made_case(*separable(), [trained("only", 0.1)], folds=3, score_epoch="best"))
    assert found.candidates == 1
    assert found.selection is found.corrected is found.corrected_ci95 is None and found.best_epoch is not None
    assert found.sentence.startswith("Only one candidate was judged: no choice among several flatters its")
    assert "flatters it by" in found.sentence and "remain" not in found.sentence


def test_one_candidate_of_a_hold_out_still_chose_its_epoch(made_case):
    features, labels = noise()
    rounds = [Round(0, 0, np.arange(111), np.arange(111, 120))]
    case = made_case(features, labels, [trained("only", 1.0)], rounds=rounds, kind="holdout", score_epoch="best")
    accuracy = case.ranked[0].cv.accuracy
    assert accuracy.mean > accuracy.last_epoch_mean
    assert optimism(case).sentence == (
        f"Only one candidate was judged: no choice among several flatters its {100 * accuracy.mean:.1f} %. Its best "
        f"epoch was chosen on the same images, though: at the last epoch it was {100 * accuracy.last_epoch_mean:.1f} %."
    )


def test_where_there_is_one_epoch_only_the_candidate_was_chosen(made_case):
    features, labels = noise()
    rounds = [Round(0, 0, np.arange(90), np.arange(90, 120))]
    candidates = [trained("a", 0.1, epochs=1), trained("b", 1.0, epochs=1)]
    case = made_case(features, labels, candidates, rounds=rounds, kind="holdout", score_epoch="best")
    found = optimism(case)
    assert found.corrected == pytest.approx(case.ranked[0].cv.accuracy.mean - found.selection)
    assert "epoch" not in found.sentence and "remain" not in found.sentence


def test_where_folds_are_scored_at_their_end_only_the_candidate_was_chosen(made_case):
    case = made_case(*noise(), [trained(f"rate {rate}", rate) for rate in (1.0, 0.3, 0.1, 0.03)], folds=3)
    found, shown = optimism(case), case.ranked[0].cv.accuracy
    assert found.best_epoch is None
    assert shown.mean == shown.last_epoch_mean
    assert found.corrected == pytest.approx(shown.mean - found.selection)
    assert "epoch" not in found.sentence and "remain" not in found.sentence
    assert selection_of(found) == found.selection


def test_noise_scored_at_its_end_and_less_the_choice_is_chance(made_case):
    found = []
    for seed in range(12):
        case = made_case(*noise(seed=seed), [trained(f"rate {rate}", rate) for rate in (1.0, 0.3, 0.1, 0.03)], folds=3)
        one = optimism(case)
        found.append((one.corrected, *one.corrected_ci95))
    corrected, low, high = np.array(found).T
    # 12 sets of 120 images: a standard error of 1.2 points
    assert corrected.mean() == pytest.approx(1 / 3, abs=0.04)
    assert np.mean((low <= 1 / 3) & (high >= 1 / 3)) >= 0.75


@pytest.mark.parametrize("choose_by", ["balanced_accuracy", "macro_f1", "auc"])
def test_other_measures_have_a_rule_that_chooses_much_alike(made_case, choose_by):
    features, labels = noise()
    labels = np.where(labels == 2, 0, labels)
    case = made_case(features, labels, [trained("a", 0.3), trained("b", 0.01)], folds=3, choose_by=choose_by)
    assert case.ranked[0].cv.chosen is not None
    found = optimism(case)
    assert 0 <= found.selection < 0.2
    assert found.sentence.startswith("Chosen as the best of 2 candidates")


def test_the_epoch_counts_too_where_folds_flatter_by_it(sweep):
    found = optimism(sweep)
    assert selection_of(found) == pytest.approx(found.selection + found.best_epoch)
    assert selection_of(dataclasses.replace(found, best_epoch=-0.01)) == found.selection
    assert selection_of(dataclasses.replace(found, best_epoch=None, selection=None)) == 0


def test_solved_heads_have_no_best_epoch(made_case):
    found = optimism(made_case(*separable(), [SOLVED], folds=3, score_epoch="best"))
    assert found.best_epoch is None
    assert "epoch" not in found.sentence


def test_a_hold_out_cannot_say_what_the_epoch_adds(made_case):
    features, labels = noise()
    rounds = [Round(0, 0, np.arange(90), np.arange(90, 120))]
    case = made_case(
        features, labels, [trained("a", 0.1), trained("b", 1.0)], rounds=rounds, kind="holdout", score_epoch="best"
    )
    found = optimism(case)
    assert found.best_epoch is found.corrected is found.corrected_ci95 is None and found.selection >= 0
    assert "on the same validation images" in found.sentence
    assert f"at the last epoch it was {100 * case.ranked[0].cv.accuracy.last_epoch_mean:.1f} %." in found.sentence


def test_folds_may_have_stopped_early(made_case):
    case = made_case(
        *noise(), [trained("a", 0.3, epochs=30, patience=2), trained("b", 1.0)], folds=3, score_epoch="best"
    )
    assert len({len(fit.history) for fit in case.judged_of("a").fits}) > 1
    assert optimism(case).best_epoch is not None


def test_the_nested_result_is_told(made_case):
    case = made_case(*noise(), [trained("a", 0.1), trained("b", 1.0)], folds=3, nested=True)
    result = nested(case)
    found = with_nested(optimism(case), NestedResult(result.accuracy, ("a", "b", "a")))
    assert found.nested == result.accuracy and found.chosen == ("a", "b", "a")
    assert f"reaches {100 * result.accuracy.mean:.1f} % (95 % interval" in found.sentence
    assert found.sentence.endswith("of 3 outer folds it chose a in 2, b in 1.")


def test_overfitting_of_every_finalist(made_case):
    random, labels = np.random.default_rng(0), np.arange(90) % 3
    learned_by_heart = random.standard_normal((90, 200)) + 0.3 * np.eye(3, 200)[labels]
    found = overfitting(made_case(learned_by_heart, labels, [trained("fast", 0.5, 25), SOLVED], folds=3))
    by_id = {one.candidate: one for one in found}
    assert set(by_id) == {"fast", "solved"}
    fast = by_id["fast"]
    assert fast.last_gap > 0.3 and fast.epochs == 25
    assert fast.turned is not None and fast.turned < 20
    assert fast.sentence.startswith("Training ran ahead of validation: 100.0 %")
    assert by_id["solved"].sentence.startswith("The head is solved")
    [only] = overfitting(made_case(*separable(), [trained("calm", 0.1), trained("b", 1e-6)], folds=3, finalists=1))
    assert only.candidate == "calm" and "stayed together" in only.sentence


def test_the_same_case_gives_the_same_answer(sweep):
    assert optimism(sweep) == optimism(dataclasses.replace(sweep))
