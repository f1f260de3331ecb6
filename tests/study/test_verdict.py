"""The words of a study: verdict, recommendation, and what each interval is about."""

import dataclasses
import re

import numpy as np
import pytest

from headstart import storage
from headstart.evaluation.comparison import compare_on_folds, compare_on_test, images_to_decide
from headstart.evaluation.metrics import evaluate, fold_values
from headstart.evaluation.results import CandidateResult, CrossValidation, FinalResult, ParameterCounts
from headstart.recipe import Candidate, Head, Optimizer, Training
from headstart.study.verdict import Sizes, Standing, commonest, estimands, listed, recommend, verdict

IMAGES = 734
PARAMETERS = {"mobilenet": 3_228_864, "resnet50": 23_587_712, "vgg16": 14_714_688, "small_cnn": 300_000}


def candidate(backbone, *, rate=1e-3, folds=(0.95,) * 5, **settings):
    """Return a candidate that finished its rounds."""
    plain = Candidate(backbone, train=Training(optimizer=Optimizer(learning_rate=rate)), **settings)
    accuracy, loss = fold_values(folds, folds), fold_values([0.2] * len(folds), [0.2] * len(folds))
    total = PARAMETERS[backbone]
    return CandidateResult(
        plain.id, backbone, "softmax", "backbone frozen", storage.to_plain(plain), "done", None,
        ParameterCounts(5, total, total + 5, (5,)), 4 * total,
        CrossValidation(accuracy, loss, accuracy, loss, (3,) * len(folds)),
    )  # fmt: skip


def labels_of(images, classes=2):
    return np.arange(images) % classes


def said(wrong, *, images=IMAGES, shift=0):
    """Return probabilities for two classes, wrong on so many images from ``shift`` on."""
    named = labels_of(images)
    named[shift : shift + wrong] = 1 - named[shift : shift + wrong]
    return np.where(np.eye(2)[named] == 1, 0.9, 0.1)


def standing(*finalists, images=IMAGES, monitor="accuracy", equivalence=0.01, test_folds=True):
    """Return the standing of finalists ``(result, probabilities)``, best first."""
    labels, ranked = labels_of(images), [result for result, _ in finalists]
    scores = {result.id: probabilities for result, probabilities in finalists}
    finals = [
        FinalResult(name, 3, evaluate(labels, one, "ab"), None, evaluate(labels, one, "ab"))
        for name, one in scores.items()
    ]
    comparison = compare_on_test(ranked[0].id, labels, scores, seed=0)
    if test_folds:
        folds = {result.id: result.cv.accuracy.folds for result in ranked}
        comparison += compare_on_folds(ranked[0].id, folds, 0.25, equivalence)
    needed = images_to_decide(ranked[0].id, labels, scores)
    return Standing(ranked, finals, comparison, needed, "5-fold cross-validation", monitor)


MOBILENET = candidate("mobilenet")
RESNET = candidate("resnet50", folds=(0.96, 0.95, 0.97, 0.95, 0.96))
VGG = candidate("vgg16", folds=(0.94, 0.95, 0.93, 0.95, 0.94))

BEST = (RESNET, said(19))
NEAR = (MOBILENET, said(24, shift=14))
FAR = (VGG, said(120))
AHEAD = (MOBILENET, said(3))


def test_one_finalist():
    found = verdict(standing(BEST))
    assert found == (
        "ResNet50 (learning rate 0.001) did best in 5-fold cross-validation and then classified 715 of 734 sealed test "
        "images right: 97.4 % (95 % interval 96.0 to 98.3)."
    )


def test_two_that_cannot_be_told_apart():
    found = verdict(standing(BEST, NEAR))
    assert found.count(". ") == 1
    second = found.split("). ")[1]
    pattern = (
        r"ResNet50 and MobileNet cannot be told apart on 734 test images \(difference 0\.7 points, 95 % interval "
        r"-(\d\.\d) to (\d\.\d)\); about ([\d,]+) more test images would be needed\."
    )
    match = re.fullmatch(pattern, second)
    assert match, second
    case = standing(BEST, NEAR)
    [row] = case.tested("undecided")
    assert [-float(match[1]), float(match[2])] == pytest.approx(100 * np.array(row.ci95), abs=0.05)
    more = case.needed[MOBILENET.id] - IMAGES
    assert int(match[3].replace(",", "")) == pytest.approx(more, rel=0.1)
    assert int(match[3].replace(",", "")) >= more


def test_the_one_ahead_is_named_first_so_that_the_difference_is_positive():
    found = verdict(standing(NEAR, BEST))
    assert "ResNet50 and MobileNet cannot be told apart on 734 test images (difference 0.7 points" in found
    assert found.startswith("MobileNet (learning rate 0.001) did best")


def one_pair(only_best, only_other, *, images=734):
    """Return the standing of two finalists of which each alone is right on so many images."""
    both = images - only_best - only_other
    best = said(only_other, images=images, shift=both)
    other = said(only_best, images=images, shift=both + only_other)
    return standing((RESNET, best), (MOBILENET, other), images=images, test_folds=False)


def test_an_interval_that_leaves_zero_out_beside_no_verdict_is_explained():
    case = one_pair(8, 2, images=20)
    [row] = case.tested("undecided")
    assert (row.ci95[0] > 0, row.p_adjusted) == (True, pytest.approx(0.0654, abs=1e-4))
    assert "95 % interval 0.0 to 54.5, which just leaves 0 out, but the test decides: p is 0.065)" in verdict(case)


def test_an_interval_that_holds_zero_beside_a_verdict_is_explained():
    case = one_pair(12, 4)
    [row] = case.tested("a")
    assert row.ci95[0] < 0 < row.ci95[1] and row.p_adjusted < 0.05
    assert (
        "MobileNet was right less often there, by more than chance explains (difference 1.1 points, 95 % interval 0.0 "
        "to 2.2, which just holds 0, but the test decides: p is 0.049)."
    ) in verdict(case)


def test_equal_ones_need_no_number_of_images():
    found = verdict(standing(BEST, (MOBILENET, said(19, shift=100))))
    assert "cannot be told apart on 734 test images (difference 0.0 points, 95 % interval" in found
    assert "more images" not in found


def test_others_that_did_worse():
    found = verdict(standing(BEST, FAR))
    assert "VGG16 was right less often there, by more than chance explains (difference 13.8 points" in found
    assert "told apart" not in found
    both = verdict(standing(BEST, FAR, (MOBILENET, said(90))))
    assert both.endswith(
        "VGG16 and MobileNet were right less often there, by more than chance explains (differences of 9.7 to 13.8 "
        "points)."
    )


def test_one_that_did_better_on_the_test_is_said_and_the_choice_kept():
    case = standing(BEST, AHEAD)
    found = verdict(case)
    assert "On the test images MobileNet was right more often than ResNet50, by more than chance explains" in found
    assert "(difference 2.2 points, 95 % interval 1.1 to 3.3)" in found
    assert "the choice was made before they were opened, and stays" in found
    assert recommend(case).candidate == RESNET.id
    assert "MobileNet" in recommend(case).sentence


def many(count, wrong):
    finalists = [candidate("mobilenet", rate=rate) for rate in 10.0 ** -np.arange(1, count + 1)]
    return [(one, said(wrong, shift=7 * place)) for place, one in enumerate(finalists)]


@pytest.mark.parametrize("others", [[NEAR, FAR], [NEAR, FAR, *many(12, 22)], many(12, 200), [AHEAD, FAR, *many(9, 20)]])
def test_many_finalists_fit_into_three_sentences(others):
    others = [(one, scores) for one, scores in others if one.id != RESNET.id]
    found = verdict(standing(BEST, *others))
    assert found.count(". ") <= 2
    assert len(found) < 750
    assert len(recommend(standing(BEST, *others)).sentence) < 350


def test_many_that_cannot_be_told_apart_are_counted():
    found = verdict(standing(BEST, *many(6, 22)))
    assert "ResNet50 cannot be told apart from MobileNet (learning rate 0.1), MobileNet (learning rate 0.01), " in found
    assert "and 3 others on 734 test images (differences of 0.4 points); about" in found
    assert "All 6 other finalists were right less often there" in verdict(standing(BEST, *many(6, 200)))


def test_a_network_is_named_without_its_rate_where_that_is_clear():
    assert "ResNet50 and MobileNet cannot" in verdict(standing(BEST, NEAR))
    other = candidate("resnet50", rate=1e-4)
    found = verdict(standing(BEST, (other, said(21, shift=9))))
    assert "ResNet50 (learning rate 0.001) and ResNet50 (learning rate 0.0001) cannot be told apart" in found


def test_names_of_recipes_and_solved_heads():
    own = candidate("vgg16", name="my setting")
    solved = candidate("mobilenet", head=Head(output="logistic"))
    assert verdict(standing((own, said(20)))).startswith("my setting did best")
    assert verdict(standing((solved, said(20)))).startswith("MobileNet (logistic regression) did best")


def test_chance_is_called_chance():
    random = np.random.default_rng(0).integers(0, 2, IMAGES)
    case = standing((RESNET, np.where(np.eye(2)[random] == 1, 0.9, 0.1)), FAR)
    case = dataclasses.replace(case, comparison=())
    found = verdict(case)
    assert "ResNet50 (learning rate 0.001) came first in 5-fold cross-validation, but it was not shown to beat" in found
    assert "the commonest class alone would have 367." in found
    assert "best" not in found and "better" not in found
    assert recommend(case) == recommend(dataclasses.replace(case, ranked=case.ranked[:1]))
    assert recommend(case).candidate == RESNET.id
    assert recommend(case).sentence.startswith("None is worth taking yet")


def test_no_finalist_is_behind_one_at_chance():
    """At chance level a finalist that does worse still is no reason to praise the first."""
    wrong = np.arange(IMAGES) % 4 < 2
    coin = np.where(np.eye(2)[np.where(wrong, 1 - labels_of(IMAGES), labels_of(IMAGES))] == 1, 0.9, 0.1)
    found = verdict(standing((RESNET, coin), (MOBILENET, said(IMAGES))))
    assert "was not shown to beat" in found
    assert "more than chance" not in found


def test_commonest_class_is_that_of_training_and_judged_on_the_same_images():
    train, test = np.array([0] * 10 + [1] * 20 + [2] * 5), np.array([0] * 30 + [1] * 10 + [2] * 10)
    always = np.tile([0.2, 0.6, 0.2], (50, 1))
    final = FinalResult("a", 1, evaluate(train, np.eye(3)[train], "abc"), None, evaluate(test, always, "abc"))
    assert commonest(final) == commonest(dataclasses.replace(final, candidate="b"))
    assert (commonest(final).right, commonest(final).images, commonest(final).beaten) == (10, 50, False)
    perfect = dataclasses.replace(final, test=evaluate(test, np.eye(3)[test], "abc"))
    assert commonest(perfect).beaten


def test_a_control_is_never_called_best():
    control = candidate("mobilenet", weights="random")
    found = verdict(standing((control, said(19)), FAR))
    assert found.startswith(
        "MobileNet with random weights (learning rate 0.001), a control, came first in 5-fold cross-validation and"
    )
    assert "best" not in found and "better" not in found


def test_the_smallest_that_cannot_be_told_apart_is_recommended():
    found = recommend(standing(BEST, NEAR, FAR, test_folds=False))
    assert found.candidate == MOBILENET.id
    assert found.sentence == (
        "Take MobileNet: with 3.2 million parameters (against 23.6 million) it is the smaller of two finalists that "
        "cannot be told apart, ResNet50 among them; in 5-fold cross-validation it was right 0.8 points less often."
    )


def test_the_best_is_recommended_where_it_is_the_smallest():
    found = recommend(standing(NEAR, BEST))
    assert found.candidate == MOBILENET.id
    assert found.sentence == "Take MobileNet: the finalist that cannot be told from it has no fewer parameters."


def test_the_best_is_recommended_where_all_others_are_worse():
    found = recommend(standing(BEST, FAR))
    assert (found.candidate, found.sentence) == (
        RESNET.id,
        "Take ResNet50: every other finalist was shown to be worse.",
    )


def test_one_finalist_is_recommended():
    assert recommend(standing(BEST)).sentence == "Take ResNet50: it did best in 5-fold cross-validation."


def test_the_only_candidate_did_not_do_best():
    case = dataclasses.replace(standing(BEST), alone=True)
    assert verdict(case).startswith("ResNet50 (learning rate 0.001), the only candidate, classified ")
    assert recommend(case).sentence == "ResNet50 was not compared with another candidate."


def test_who_is_worse_on_the_folds_is_not_recommended():
    worse = (candidate("mobilenet", folds=(0.86, 0.84, 0.87, 0.86, 0.86)), NEAR[1])
    found = recommend(standing(BEST, worse))
    assert found.candidate == RESNET.id
    assert recommend(standing(BEST, worse, test_folds=False)).candidate == worse[0].id


def test_many_other_candidates_do_not_make_a_worse_finalist_look_alike():
    """20 candidates more on the folds: over all of them Holm would leave the smaller finalist undecided."""
    worse = (candidate("mobilenet", folds=(0.93, 0.93, 0.93, 0.92, 0.935)), NEAR[1])
    case = standing(BEST, worse, test_folds=False)
    folds = {one.id: one.cv.accuracy.folds for one in case.ranked} | {
        f"more {place}": tuple(0.958 + 0.01 * np.sin(place + np.arange(5))) for place in range(20)
    }
    chosen = []
    for finalists in ([one.id for one in case.ranked], None):
        rows = compare_on_folds(RESNET.id, folds, 0.25, 0.01, finalists=finalists)
        chosen.append(recommend(dataclasses.replace(case, comparison=[*case.comparison, *rows])).candidate)
    assert chosen == [RESNET.id, worse[0].id]


def test_who_ranks_the_images_worse_is_not_recommended():
    random = np.random.default_rng(0)
    sure = random.uniform(0.5, 1.0, len(NEAR[1]))[:, None]
    vague = (MOBILENET, np.where(NEAR[1] > 0.5, sure, 1 - sure))
    well = (RESNET, np.clip(np.eye(2)[labels_of(IMAGES)] * 0.2 + BEST[1] * 0.8, 0, 1))
    found = recommend(standing(well, vague, test_folds=False))
    assert found.candidate == RESNET.id
    assert found.sentence == (
        "Take ResNet50: MobileNet cannot be told from it by right answers on the test images, but was shown to be "
        "worse in how its probabilities order the test images (AUC)."
    )


def test_who_has_a_worse_loss_is_not_recommended_where_the_loss_decides():
    unsure = (MOBILENET, np.where(NEAR[1] > 0.5, 0.6, 0.4))
    assert recommend(standing(BEST, unsure, test_folds=False)).candidate == MOBILENET.id
    assert recommend(standing(BEST, unsure, test_folds=False, monitor="loss")).candidate == RESNET.id


def test_a_control_is_not_recommended_before_a_pretrained_network():
    control = (candidate("mobilenet", weights="random"), NEAR[1])
    found = recommend(standing(BEST, control))
    assert found.candidate == RESNET.id
    assert (
        "with care: MobileNet with random weights cannot be told from it, and was meant as a control" in found.sentence
    )


def test_listed():
    assert [listed("abcdefg"[:count]) for count in range(6)] == [
        "", "a", "a and b", "a, b and c", "a, b, c and d", "a, b, c and 2 others",
    ]  # fmt: skip


def test_estimands_say_what_each_interval_is_about():
    found = estimands(Sizes(rounds=5, training=2349, validation=587, test=734))
    assert list(found) == ["cv", "test", "bootstrap", "difference"]
    assert "2,349 images" in found["cv"] and "The 5 rounds share training images" in found["cv"]
    assert "734 test images" in found["test"]
    single = estimands(Sizes(rounds=1, training=2000, validation=936, test=734))
    assert "936 that validated it" in single["cv"]
    assert {kind: text for kind, text in single.items() if kind != "cv"} == {
        kind: text for kind, text in found.items() if kind != "cv"
    }


def test_estimands_say_that_images_of_a_group_count_as_independent():
    alone = Sizes(rounds=1, training=2000, validation=936, test=734)
    grouped = dataclasses.replace(alone, alike_in_validation=80, alike_in_test=1120)
    plain, found = estimands(alone), estimands(grouped)
    assert not any("group" in text for text in plain.values())
    for key in ("test", "bootstrap", "difference"):
        assert found[key].startswith(plain[key])
        assert " 1,120 of the 734 test images share a group with another one" in found[key]
        assert found[key].endswith("so intervals on them are too narrow and p-values too small.")
    assert " 80 of them share a group with another one" in found["cv"]
    # groups never fall on two sides of a fold
    assert "group" not in estimands(dataclasses.replace(grouped, rounds=5))["cv"]


def test_estimands_say_that_intervals_of_differences_are_of_their_pair_alone():
    found = estimands(Sizes(rounds=5, training=2349, validation=587, test=734))["difference"]
    assert "An interval is of its pair alone; the verdict follows the test, which is adjusted" in found
