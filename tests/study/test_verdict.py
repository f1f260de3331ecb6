"""The words of a study: verdict, recommendation, and what each interval is about."""

import dataclasses
import re

import numpy as np
import pytest

from headstart import storage
from headstart.evaluation.comparison import compare_on_folds, compare_on_test, images_to_decide
from headstart.evaluation.evidence import Baseline, CleanTest, ExpectedTest
from headstart.evaluation.intervals import wilson_interval
from headstart.evaluation.metrics import evaluate, fold_values
from headstart.evaluation.results import CandidateResult, CrossValidation, FinalResult, ParameterCounts
from headstart.recipe import Candidate, Head, Optimizer, Training
from headstart.study.verdict import Sizes, Standing, estimands, listed, recommend, verdict

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


def standing(*finalists, images=IMAGES, equivalence=0.01, test_folds=True, **more):
    """Return the standing of finalists ``(result, probabilities)``, best first; by default all is well with the best.

    Half of the images are of each class. Any field of ``Standing`` can be set.
    """
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
    fields = {
        "needed": images_to_decide(ranked[0].id, labels, scores),
        "judged_by": "5-fold cross-validation",
        "baseline": dataclasses.replace(SHOWN, images=images, right=images // 2),
        "equivalence": equivalence,
    }
    return Standing(ranked, finals, comparison, **(fields | more))


SHOWN = Baseline(
    right=367, images=734, beaten=True, recall=0.974, chance_on_test=1e-4, chance_out_of_fold=1e-4, informative=True
)
CHANCE = dataclasses.replace(
    SHOWN, beaten=False, recall=0.5, chance_on_test=0.6, chance_out_of_fold=1.0, informative=False
)


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
    coin = (RESNET, np.where(np.eye(2)[random] == 1, 0.9, 0.1))
    case = dataclasses.replace(standing(coin, FAR, baseline=CHANCE), comparison=())
    found = verdict(case)
    assert found.startswith(
        "ResNet50 (learning rate 0.001) came first in 5-fold cross-validation, but it was not shown to tell the "
        "classes apart: it classified "
    )
    assert "always naming the commonest class would have 367." in found
    assert "best" not in found and "better" not in found
    for one in (case, dataclasses.replace(case, ranked=case.ranked[:1]), dataclasses.replace(case, alone=True)):
        assert recommend(one).candidate == RESNET.id
        assert recommend(one).sentence == (
            "None is worth taking yet: ResNet50, first in validation, was not shown to do better than chance. Look at "
            "the labels, or bring more images."
        )


def test_no_finalist_is_behind_one_at_chance():
    """At chance level a finalist that does worse still is no reason to praise the first."""
    wrong = np.arange(IMAGES) % 4 < 2
    coin = np.where(np.eye(2)[np.where(wrong, 1 - labels_of(IMAGES), labels_of(IMAGES))] == 1, 0.9, 0.1)
    found = verdict(standing((RESNET, coin), (MOBILENET, said(IMAGES)), baseline=CHANCE))
    assert "was not shown to tell the classes apart" in found
    assert "more than chance" not in found


def test_images_of_one_class_are_too_few_to_be_sure():
    """51 of 51 right, all of one class: nothing could have been shown, and nobody did badly."""
    of_one = dataclasses.replace(CHANCE, right=51, images=51, recall=1.0, decidable=False)
    found = recommend(standing((RESNET, said(0, images=51)), images=51, baseline=of_one))
    assert found.sentence == (
        "Too few test images to be sure that ResNet50 tells the classes apart: not even 51 right answers would show "
        "it. Bring more images of the rarer classes."
    )


def test_classes_may_be_told_apart_where_right_answers_cannot_show_it():
    uneven = dataclasses.replace(SHOWN, right=150, images=158, beaten=False, recall=0.9125)
    case = standing((RESNET, said(5, images=158)), images=158, baseline=uneven)
    assert verdict(case).endswith(
        "It tells the classes apart (mean recall 91.2 %, where chance gives 50 %), but right answers alone cannot show "
        "that here: always naming the commonest class would have 150 of 158 right."
    )
    assert recommend(case).sentence == "Take ResNet50: it did best in 5-fold cross-validation."


def test_a_control_is_never_called_best():
    control = candidate("mobilenet", weights="random")
    found = verdict(standing((control, said(19)), FAR))
    assert found.startswith(
        "MobileNet with random weights (learning rate 0.001), a control, came first in 5-fold cross-validation and"
    )
    assert "best" not in found and "better" not in found


CHEAP = {"speed": {RESNET.id: 10.0, MOBILENET.id: 4.0, VGG.id: 1.0}}


def test_a_cheaper_one_that_is_shown_to_be_as_good_is_recommended():
    case = standing(BEST, NEAR, FAR, **CHEAP, behind={MOBILENET.id: 0.0062, VGG.id: 0.14})
    found = recommend(case)
    assert found.candidate == MOBILENET.id
    assert found.sentence == (
        "Take MobileNet: it takes clearly less time for an image than ResNet50 and is as good: at most 0.6 points less "
        "often right on images held back (95 % confidence), where up to 1 do not matter."
    )


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"behind": {MOBILENET.id: 0.012}}, "not shown to be equivalent"),
        ({"behind": {}}, "never asked"),
        ({"behind": {MOBILENET.id: 0.003}, "equivalence": 0.0}, "every difference matters"),
        ({"behind": {MOBILENET.id: 0.003}, "speed": {RESNET.id: 10.0, MOBILENET.id: 8.1}}, "hardly cheaper"),
        ({"behind": {MOBILENET.id: 0.003}, "speed": {RESNET.id: 10.0, MOBILENET.id: None}}, "never measured"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_a_test_that_merely_could_not_tell_takes_the_best(more, why):
    case = standing(BEST, NEAR, **(CHEAP | more))
    assert [row.b for row in case.tested("undecided")] == [MOBILENET.id]
    assert recommend(case) == recommend(standing(BEST, NEAR)), why
    assert recommend(case).sentence == "Take ResNet50: it did best in 5-fold cross-validation."


def test_the_largest_speed_and_margin_that_still_count():
    speed = {RESNET.id: 10.0, MOBILENET.id: 8.0}
    assert recommend(standing(BEST, NEAR, speed=speed, behind={MOBILENET.id: 0.01})).candidate == MOBILENET.id


def test_who_is_shown_to_be_worse_on_the_test_images_is_not_taken_for_its_price():
    found = recommend(standing(BEST, FAR, **CHEAP, behind={VGG.id: 0.0}))
    assert (found.candidate, found.sentence) == (
        RESNET.id,
        "Take ResNet50: it did best in 5-fold cross-validation. Every other finalist was shown to be worse.",
    )


def test_of_several_equal_ones_the_cheapest_is_taken():
    near = (VGG, said(22, shift=30))
    found = recommend(standing(BEST, NEAR, near, **CHEAP, behind={MOBILENET.id: 0.002, VGG.id: 0.008}))
    assert found.candidate == VGG.id
    assert "at most 0.8 points less often right" in found.sentence


def test_one_that_is_ahead_out_of_fold_is_at_most_nothing_behind():
    assert (
        "at most 0.0 points less often"
        in recommend(standing(BEST, NEAR, **CHEAP, behind={MOBILENET.id: -0.004})).sentence
    )


def test_one_finalist_is_recommended():
    assert recommend(standing(BEST)).sentence == "Take ResNet50: it did best in 5-fold cross-validation."


def test_the_only_candidate_did_not_do_best():
    case = dataclasses.replace(standing(BEST), alone=True)
    assert verdict(case).startswith("ResNet50 (learning rate 0.001), the only candidate, classified ")
    assert recommend(case).sentence == "ResNet50 was not compared with another candidate."


def test_a_control_is_not_recommended_before_a_pretrained_network():
    control = (candidate("mobilenet", weights="random"), NEAR[1])
    equal = {"speed": {RESNET.id: 10.0, control[0].id: 1.0}, "behind": {control[0].id: 0.0}}
    found = recommend(standing(BEST, control, **equal))
    assert found.candidate == RESNET.id
    assert (
        "with care: MobileNet with random weights cannot be told from it, and was meant as a control" in found.sentence
    )


def clean(contaminated, right):
    left = IMAGES - contaminated
    accuracy, ci95 = (right / left, wilson_interval(right, left)) if left else (None, None)
    return CleanTest(RESNET.id, IMAGES, contaminated, right, accuracy, ci95)


def test_the_figure_without_shared_images_leads():
    case = standing(BEST, clean=clean(334, 380))
    low, high = (100 * end for end in wilson_interval(380, 400))
    assert verdict(case) == (
        "334 of 734 test images (46 %) are also training images; on the other 400: 95.0 % (95 % interval "
        f"{low:.1f} to {high:.1f}), 380 right by ResNet50 (learning rate 0.001), which came first in 5-fold "
        "cross-validation. With the shared images it would be 97.4 %, which says little of new ones. "
        "--pool (of a recipe: --set data.pool=true) puts all images together and cuts a new test set."
    )
    assert case.test_images == 400
    assert "sealed" not in verdict(case)


def test_comparisons_count_the_clean_images():
    case = standing(BEST, NEAR, clean=clean(334, 380), needed={MOBILENET.id: 1400})
    assert "cannot be told apart on 400 test images" in verdict(case)
    assert "; about 1,000 more test images would be needed" in verdict(case)


def test_where_all_images_are_shared_no_figure_is_given():
    found = verdict(standing(BEST, clean=clean(IMAGES, 0)))
    assert found == (
        "All 734 test images are also training images, so they say nothing about new ones; ResNet50 (learning rate "
        "0.001) came first in 5-fold cross-validation. --pool (of a recipe: --set data.pool=true) puts all images "
        "together and cuts a new test set."
    )


FIRST_SENTENCE = verdict(standing(BEST))


@pytest.mark.parametrize(
    ("expected", "sentence"),
    [
        (ExpectedTest(0.95, 0.92, 0.97, 0.99), "That is more than 5-fold cross-validation predicts (92.0 to 97.0 % "
         "with 99 % probability): behind it may be test images that are easier than the training images, or copies of "
         "them that were not found."),
        (ExpectedTest(0.99, 0.98, 1.0, 0.99), "That is less than 5-fold cross-validation predicts (98.0 to 100.0 % "
         "with 99 % probability): behind it may be test images that differ from the training images, labels that "
         "differ, or a training that went astray."),
    ],
    ids=["above", "below"],
)  # fmt: skip
def test_a_test_outside_its_prediction_is_said_at_once(expected, sentence):
    assert verdict(standing(BEST, expected=expected)) == f"{FIRST_SENTENCE} {sentence}"
    assert verdict(standing(BEST, NEAR, expected=expected)).startswith(f"{FIRST_SENTENCE} {sentence} ResNet50 and")


def test_a_test_within_its_prediction_needs_no_word():
    share = 715 / 734
    for expected in (None, ExpectedTest(0.97, share, 0.99, 0.99), ExpectedTest(0.97, 0.95, share, 0.99)):
        assert verdict(standing(BEST, expected=expected)) == FIRST_SENTENCE


def test_of_contaminated_tests_the_clean_figure_is_held_against_the_prediction():
    expected = ExpectedTest(0.96, 0.94, 0.99, 0.99)
    assert "predicts" not in verdict(standing(BEST, expected=expected))
    assert "That is less than 5-fold" in verdict(standing(BEST, expected=expected, clean=clean(334, 360)))
    assert "predicts" not in verdict(standing(BEST, expected=expected, clean=clean(IMAGES, 0)))


def test_the_measure_that_chose_is_named_with_its_value_on_the_test_images():
    test = standing(BEST).final().test
    values = {
        "balanced_accuracy": f"; balanced accuracy {100 * test.balanced_accuracy:.1f} %.",
        "macro_f1": f"; F1, mean of the classes {test.averages.macro.f1:.3f}.",
        "auc": f"; AUC, mean of the classes {test.averages.macro.auc:.3f}.",
        "loss": f"; loss {test.loss:.3f}.",
        "cost": "98.3).",
    }
    words = dict(zip(values, ("balanced accuracy", "F1, mean of the classes", "AUC, mean of the classes", "loss",
                              "cost"), strict=True))  # fmt: skip
    for name, end in values.items():
        found = verdict(standing(BEST, choose_by=name))
        assert found.endswith(end)
        assert f"did best in 5-fold cross-validation by {words[name]} and then classified" in found


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
