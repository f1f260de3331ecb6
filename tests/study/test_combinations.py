"""Combinations of a small study: their numbers by another way, who is recommended, and the classifier people get."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from headstart import api
from headstart.classifier import predict
from headstart.data.decode import Resize
from headstart.evaluation.calibration import calibrated
from headstart.evaluation.results import Comparison
from headstart.recipe import Candidate
from headstart.runs.folder import RunFolder
from headstart.study import combinations as combinations_module
from headstart.study import learners, study
from headstart.study.combinations import AVERAGE, FLIP, JOINED, JOINED_FLIP, KINDS, Answers, answers_of, combinations
from headstart.study.combined import save_combination, save_recommended
from headstart.study.prepare import Preparation
from headstart.study.workshop import build_network
from headstart.training.heads import softmax

BOTH = ("mobilenet:random", "mobilenet_v2:random")


TINTS = {"blue": (110, 115, 150), "green": (110, 150, 115), "red": (150, 110, 115)}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Return a folder of squares that are hard to tell apart, darker to the left."""
    folder, random = tmp_path_factory.mktemp("hard"), np.random.default_rng(3)
    shade = np.linspace(0.5, 1, 40)[:, None]
    for name, tint in TINTS.items():
        (folder / name).mkdir()
        for number in range(40):
            light = random.normal(tint, 30)
            pixels = np.clip(random.normal(light, 40, (36, 40, 3)) * shade, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def small(finished, photographs, tmp_path_factory):
    """Return the case of a study of two networks at two rates, and its folder.

    Their random weights count as pretrained ones: controls are never combined.
    """
    cases, gather = [], study.gather
    settings = dataclasses.replace(finished.settings, backbones=BOTH, finals="all", combine=True, logistic=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_CACHE", str(finished.cache))
        patch.setattr(Candidate, "is_control", property(lambda self: False))
        patch.setattr(
            study, "gather", lambda case, *more, **others: cases.append(case) or gather(case, *more, **others)
        )
        result = api.compare(photographs, settings, out=tmp_path_factory.mktemp("combinations") / "run")
        folder = RunFolder(result.folder)
        kept = predict.load(folder.classifier).info.provenance.candidate
        yield SimpleNamespace(case=cases[0], folder=folder, summary=result.summary, kept=kept)


@pytest.fixture
def case(small):
    return small.case


def found(small, kind):
    return next(one for one in small.summary.combinations if one.kind == kind)


def blocks_of(small, part, members):
    return {name: list(small.folder.predictions(candidates=[name], parts=[part])) for name in members}


def accuracy(probabilities, labels):
    return np.mean(probabilities.argmax(axis=1) == labels)


def mid_p(right_a, right_b):
    """Return McNemar's mid-p value by adding up binomial probabilities."""
    only_a, only_b = np.sum(right_a & ~right_b), np.sum(right_b & ~right_a)
    law = stats.binom(only_a + only_b, 0.5)
    return min(1.0, 2 * law.cdf(min(only_a, only_b)) - law.pmf(min(only_a, only_b)))


def test_each_kind_is_in_the_summary(small):
    assert tuple(one.kind for one in small.summary.combinations) == KINDS == (AVERAGE, JOINED, FLIP, JOINED_FLIP)
    assert [one.comparison.a for one in small.summary.combinations] == [small.summary.best] * 4


def test_the_average_is_the_mean_of_the_files_numbers(small):
    one = found(small, AVERAGE)
    test, folds = (blocks_of(small, part, one.members) for part in ("test", "out_of_fold"))
    mean = np.mean([blocks[0].probabilities for blocks in test.values()], axis=0)
    labels = test[one.members[0]][0].labels
    assert one.test.accuracy == accuracy(mean, labels)
    assert one.test.loss == pytest.approx(-np.log(mean[np.arange(len(labels)), labels]).mean(), abs=1e-4)
    shares = [
        accuracy(np.mean([block.probabilities for block in together], axis=0), together[0].labels)
        for together in zip(*folds.values(), strict=True)
    ]
    assert len(shares) == 3
    assert one.cross_validated == pytest.approx(np.mean(shares))


def test_the_average_has_as_many_members_as_do_best_out_of_fold(small):
    ranked = [one.id for one in small.case.ranked]
    folds = blocks_of(small, "out_of_fold", ranked)
    scores = []
    for count in (2, 3, 4):
        several = zip(*(folds[name] for name in ranked[:count]), strict=True)
        means = [(np.mean([one.probabilities for one in those], axis=0), those[0].labels) for those in several]
        scores.append(np.mean([accuracy(*one) for one in means]))
    count = 2 + int(np.argmax(np.round(scores, 9)))
    assert found(small, AVERAGE).members == tuple(ranked[:count])
    assert found(small, AVERAGE).cross_validated == pytest.approx(max(scores))


def test_weights_of_a_shared_network_count_once(case):
    said, ranked = answers_of(case, AVERAGE), {one.id: one for one in case.ranked}
    networks = {case.judged_of(name).network.name for name in said.members}
    frozen = {ranked[name].backbone: ranked[name].parameters.non_trainable for name in said.members}
    heads = sum(ranked[name].parameters.trainable for name in said.members)
    assert said.passes == len(networks)
    assert said.parameters == sum(frozen.values()) + heads


def test_joined_features_are_those_of_both_networks(case, small):
    said, one = answers_of(case, JOINED), found(small, JOINED)
    assert {name.split("-")[0] for name in one.members} == {"mobilenet", "mobilenet_v2"}
    features = [case.learner_of(name).features(case.parts.test) for name in one.members]
    kernel, bias = said.fit.weights
    assert kernel.shape == (1024 + 1280, 3)
    logits = np.concatenate(features, axis=1).astype(np.float64) @ kernel + bias
    np.testing.assert_allclose(said.test, softmax(logits), atol=1e-4)
    assert one.test.accuracy == accuracy(said.test, case.parts.labels[case.parts.test])
    assert [len(said) for said in said.rounds] == [len(one.validation) for one in case.parts.rounds]
    assert one.parameters == said.parameters == kernel.size + 3 + 3_228_864 + 2_257_984


def test_a_joined_head_learns_as_the_better_one_did(case, monkeypatch):
    """Beside features that are all zero it becomes the better candidate again: same seeds, order, settings."""
    pair = answers_of(case, JOINED).members
    other = case.learner_of(pair[1])
    monkeypatch.setattr(other, "_features", np.zeros_like(other._features))
    monkeypatch.setattr(case.place.jobs, "_study_id", "zeros")
    said, alone = answers_of(case, JOINED), case.judged_of(pair[0])
    # the first weights are drawn for more inputs, hence the tolerance
    agree = [
        np.mean(one.argmax(1) == fit.validation_logits.argmax(1))
        for one, fit in zip(said.rounds, alone.fits, strict=True)
    ]
    assert np.mean(agree) > 0.8


def test_flip_is_what_keras_says_of_mirrored_files(case, photographs):
    said, judged = answers_of(case, FLIP), case.judged_of(case.best)
    assert said.members == (case.best,)
    network, model = judged.network, build_network(judged.network)
    rows = [case.parts.rows[position] for position in case.parts.test]
    files = [Image.open(photographs / row.path).convert("RGB") for row in rows]
    pixels = np.stack([np.asarray(file.resize((32, 32), Image.Resampling.BILINEAR)) for file in files])
    kernel, bias = case.final_of(case.best).fit.weights

    def answer(seen):
        maps = model.predict(network.preprocessing.apply(seen), verbose=0)
        return softmax(maps.mean((1, 2)).astype(np.float64) @ kernel + bias)

    straight, turned = answer(pixels), answer(pixels[:, :, ::-1])
    assert np.abs(straight - turned).max() > 1e-3
    np.testing.assert_allclose(said.test, (straight + turned) / 2, atol=1e-4)


def test_a_joined_head_with_mirror_images_learns_from_both_and_answers_with_the_mean(case, small, monkeypatch):
    trained, judged = combinations_module._trained, []
    monkeypatch.setattr(combinations_module, "_trained", lambda *given: judged.append(trained(*given)) or judged[-1])
    said, parts = answers_of(case, JOINED_FLIP), case.parts
    everything = np.arange(len(parts.rows))
    straight = np.concatenate([case.learner_of(name).features(everything) for name in said.members], axis=1)
    turned = np.concatenate([case.preparation.mirrored(case.judged_of(name).network) for name in said.members], axis=1)
    assert np.abs(straight - turned).max() > 1e-3
    kernel, _ = said.fit.weights

    def mean(fit, rows):
        kernel, bias = fit.weights
        return np.mean([softmax(one[rows].astype(np.float64) @ kernel + bias) for one in (straight, turned)], axis=0)

    np.testing.assert_allclose(said.test, mean(said.fit, parts.test), atol=1e-4)
    [(rounds, final)] = judged
    np.testing.assert_array_equal(final.weights[0], kernel)
    for one, fit, shown in zip(parts.rounds, rounds.fits, said.rounds, strict=True):
        np.testing.assert_allclose(shown, mean(fit, one.validation), atol=1e-4)
    assert said.parameters == answers_of(case, JOINED).parameters
    # trained in another way than the head that has not seen the mirror images
    assert np.abs(kernel - answers_of(case, JOINED).fit.weights[0]).max() > 1e-3
    assert "and every image goes through 2 networks twice." in found(small, JOINED_FLIP).sentence


def test_tests_are_mcnemar_with_holm_over_all_combinations(case, small):
    labels = case.parts.labels[case.parts.test]
    right = case.test_of(case.best).probabilities.argmax(axis=1) == labels
    kinds = [one.kind for one in small.summary.combinations]
    others = [answers_of(case, kind).test.argmax(axis=1) == labels for kind in kinds]
    expected = [mid_p(right, other) for other in others]
    order, adjusted = np.argsort(expected, kind="stable"), np.zeros(4)
    adjusted[order] = np.minimum(1, np.maximum.accumulate([(4 - rank) * expected[at] for rank, at in enumerate(order)]))
    rows = [one.comparison for one in small.summary.combinations]
    np.testing.assert_allclose([row.p_value for row in rows], expected)
    np.testing.assert_allclose([row.p_adjusted for row in rows], adjusted)
    np.testing.assert_allclose([row.difference for row in rows], [right.mean() - one.mean() for one in others])


def test_all_is_found_again_and_the_same(case, small, monkeypatch):
    def refuse(*given, **more):
        raise AssertionError("nothing is trained twice")

    monkeypatch.setattr(learners, "train_bank", refuse)
    assert combinations(case) == small.summary.combinations


def test_nothing_is_combined_without_being_asked(case, monkeypatch):
    monkeypatch.setattr("headstart.study.combinations.answers_of", lambda *_: pytest.fail("nobody asked"))
    recipe = case.plan.recipe
    protocol = dataclasses.replace(recipe.protocol, combinations=False)
    plan = dataclasses.replace(case.plan, recipe=dataclasses.replace(recipe, protocol=protocol))
    assert combinations(dataclasses.replace(case, plan=plan)) == ()


def test_one_finalist_has_nothing_to_be_combined_with(case):
    alone = dataclasses.replace(case, ranked=case.ranked[:1])
    assert [one.kind for one in combinations(alone)] == [FLIP]


def test_controls_are_not_combined(case, monkeypatch):
    monkeypatch.setattr(Candidate, "is_control", property(lambda self: True))
    assert combinations(case) == ()


def test_a_failure_is_said_and_stays_alone(case, monkeypatch):
    said = []

    def fail(self, network):
        raise RuntimeError("no mirror")

    monkeypatch.setattr(Preparation, "mirrored", fail)
    monkeypatch.setattr(case.place.progress, "say", said.append, raising=False)
    assert [one.kind for one in combinations(case)] == [AVERAGE, JOINED]
    assert said == [
        f"A combination ({kind}) failed and is left out: RuntimeError: no mirror" for kind in (FLIP, JOINED_FLIP)
    ]


def planted(case, *, test_right, folds_right, members):
    """Return answers of which so many on test, and such a share out of fold, are right."""

    def said(labels, right):
        shown = np.where(np.arange(len(labels)) < right, labels, (labels + 1) % 3)
        return np.eye(3)[shown] * 0.7 + 0.1

    labels = case.parts.labels
    rounds = [said(labels[one.validation], folds_right * len(one.validation)) for one in case.parts.rounds]
    return Answers(AVERAGE, members, tuple(rounds), said(labels[case.parts.test], test_right), 7_500_000, 2)


@pytest.fixture
def weak(case):
    """Return the case where the best candidate is right on a third of the test images."""
    block = case.test_of(case.best)
    poor = np.eye(3)[np.zeros(len(block.labels), int)]
    poor = dataclasses.replace(block, probabilities=poor)
    blocks = tuple(poor if one is block else one for one in case.opened.blocks)
    return dataclasses.replace(case, opened=dataclasses.replace(case.opened, blocks=blocks))


@pytest.mark.parametrize(
    ("test_right", "folds_right", "recommended", "words"),
    [
        (1.0, 1.1, True, "It is the one to take: combinations were asked for, and it does best on images held back."),
        (1 / 3, 1.1, True, "It is the one to take: combinations were asked for, and it does best on images held back."),
        (1.0, 0.0, False, "Better on the test images by more than chance explains; they have no say in what is "),
        (0.0, 1.1, False, "Worse on the test images by more than chance explains."),
        (1 / 3, 0.0, False, "Chance alone can explain the difference on the test images."),
    ],
)
def test_what_is_better_out_of_fold_is_recommended(weak, monkeypatch, test_right, folds_right, recommended, words):
    images = len(weak.parts.test)
    answers = planted(
        weak, test_right=round(test_right * images), folds_right=folds_right, members=("mobilenet-lr0.01", weak.best)
    )
    monkeypatch.setattr("headstart.study.combinations.answers_of", lambda case, kind: answers if kind == FLIP else None)
    [one] = combinations(weak)
    assert one.recommended == recommended
    assert words in one.sentence
    assert f"{100 * one.test.accuracy:.1f} % of the test images right" in one.sentence
    assert "7.5 million parameters (against" in one.sentence
    assert one.sentence.endswith("and every image goes through 2 networks.")


def test_only_the_best_out_of_fold_is_recommended(case, monkeypatch):
    """On the test images the second would be better: they have no say."""
    images = len(case.parts.test)
    shares = {AVERAGE: (images // 2, 1.1), JOINED: (images, 0.99), FLIP: (images, 0.5), JOINED_FLIP: (images, 0.5)}

    def plant(case, kind):
        test_right, folds_right = shares[kind]
        one = planted(case, test_right=test_right, folds_right=folds_right, members=(case.best,))
        return dataclasses.replace(one, kind=kind)

    block = case.test_of(case.best)
    half = dataclasses.replace(block, probabilities=plant(case, AVERAGE).test)
    blocks = tuple(half if one is block else one for one in case.opened.blocks)
    other = dataclasses.replace(case, opened=dataclasses.replace(case.opened, blocks=blocks))
    monkeypatch.setattr("headstart.study.combinations.answers_of", plant)
    found = {one.kind: one for one in combinations(other)}
    assert [kind for kind, one in found.items() if one.recommended] == [AVERAGE]
    assert found[JOINED].comparison.verdict == "b" and found[AVERAGE].cross_validated == 1.0


@pytest.mark.parametrize(
    ("ci95", "p_value", "decision", "words"),
    [
        ((-0.0222, 0.0001), 0.049, "b", "-0.0 to +2.2 points, which just holds 0, but the test decides: p is 0.049). "),
        ((-0.5449, -0.0001), 0.0654, "undecided", "which just leaves 0 out, but the test decides: p is 0.065). "),
        ((-0.03, -0.01), 0.001, "b", "+1.0 to +3.0 points). In cross-validation 91.0 % against 90.0 %."),
    ],
)
def test_an_interval_never_contradicts_the_conclusion_without_a_word(ci95, p_value, decision, words):
    row = Comparison(
        "m", "flip", "test", "McNemar mid-p", "accuracy", -0.011, "", ci95, p_value, p_value, None, decision
    )
    network = SimpleNamespace(size=Resize(32, 32))
    case = SimpleNamespace(
        best="m",
        plan=SimpleNamespace(splits=SimpleNamespace(kind="folds")),
        judged_of=lambda name: SimpleNamespace(network=network),
    )
    answers = Answers(FLIP, ("m",), (), np.zeros((0, 2)), 1, 2)
    scores = combinations_module._Scores(0.9, 0.91, 0.92)
    sentence = combinations_module._sentence(case, answers, row, scores, recommended=False)
    assert words.replace("-0.0", "+0.0") in sentence


def test_a_candidate_may_bear_the_name_of_a_combination(case, monkeypatch):
    renamed = dataclasses.replace(case.judged[-1], candidate=dataclasses.replace(case.judged[-1].candidate, name=FLIP))
    other = dataclasses.replace(case, judged=[*case.judged, renamed])
    assert [one.id for one in combinations(other)] == ["average", "joined", "(flip)", "joined_flip"]


def check_temperature(case, kind, temperature):
    """Check that no temperature near it gives the answers out of fold a smaller loss."""
    labels = np.concatenate([case.parts.labels[one.validation] for one in case.parts.rounds])
    logits = np.log(np.concatenate(answers_of(case, kind).rounds))
    losses = [
        -np.log(calibrated(logits, factor * temperature)[np.arange(len(labels)), labels]).mean()
        for factor in (0.97, 1, 1.03)
    ]
    assert losses[1] <= min(losses)


@pytest.mark.parametrize("kind", KINDS)
def test_the_classifier_gives_the_studys_numbers(case, small, photographs, kind, monkeypatch):
    one = found(small, kind)
    # so few images are fitted on nowhere else
    monkeypatch.setattr("headstart.study.combined.FEWEST_TO_FIT", 90)
    save_combination(case, one)
    classifier = predict.load(small.folder.classifier)
    files = [photographs / case.parts.rows[position].path for position in case.parts.test]
    logits = classifier.outputs(files).logits
    expected = answers_of(case, kind).test
    np.testing.assert_allclose(softmax(logits.astype(np.float64)), expected, atol=1e-4)
    temperature = classifier.answering.temperature
    np.testing.assert_allclose(
        classifier.probabilities(files), calibrated(np.log(expected), temperature), atol=1e-3 / min(1, temperature)
    )
    check_temperature(case, kind, temperature)
    provenance = classifier.info.provenance
    assert provenance.candidate == f"{kind}: {' + '.join(one.members)}"
    assert provenance.test_accuracy == one.test.accuracy
    with np.load(small.folder.classifier / "weights.npz") as arrays:
        # running means and variances among them are weights too
        assert sum(array.size for array in arrays.values()) == one.parameters


def test_below_a_hundred_images_the_temperature_of_a_combination_stays_one(case, small):
    assert sum(len(one.validation) for one in case.parts.rounds) < 100
    save_combination(case, found(small, FLIP))
    assert predict.load(small.folder.classifier).answering.temperature == 1.0


def test_the_recommended_one_is_saved(case, small, monkeypatch):
    several = [dataclasses.replace(one, recommended=one.kind == JOINED) for one in small.summary.combinations]
    saved, expected = [], several[1]
    monkeypatch.setattr("headstart.study.combined.save_combination", lambda _, one: saved.append(one))
    assert save_recommended(case, several) == tuple(several)
    none = tuple(dataclasses.replace(one, recommended=False) for one in several)
    assert save_recommended(case, none) == none
    assert saved == [expected]


def test_what_is_recommended_is_the_classifier(small):
    """A combination where one does best out of fold, else a candidate: there is one recommendation."""
    summary = small.summary
    best = max(summary.combinations, key=lambda one: one.cross_validated)
    [alone] = [one.cv.accuracy.mean for one in summary.candidates if one.id == summary.best]
    wanted = [one for one in summary.combinations if one.recommended]
    assert wanted == ([best] if best.cross_validated > alone and best.comparison.verdict != "a" else [])
    kept = summary.recommended
    assert kept == (wanted[0].id if wanted else summary.best)
    assert small.kept == (f"{best.kind}: {' + '.join(best.members)}" if wanted else summary.best)


def test_a_classifier_that_cannot_be_saved_is_said(case, small, monkeypatch):
    said = []

    def fail(case, kind):
        raise RuntimeError("no room")

    monkeypatch.setattr("headstart.study.combined.answers_of", fail)
    monkeypatch.setattr(case.place.progress, "say", said.append, raising=False)
    sentence = f"As good as any. {combinations_module.RECOMMENDED} It costs nothing."
    wanted = dataclasses.replace(found(small, FLIP), recommended=True, sentence=sentence)
    [one] = save_recommended(case, [wanted])
    assert not one.recommended
    assert one.sentence == f"As good as any. {combinations_module.UNSAVED} It costs nothing."
    assert said == ["The recommended combination (flip) could not be saved: RuntimeError: no room"]


def test_networks_of_unlike_sizes_are_no_classifier(case, small):
    one = dataclasses.replace(found(small, JOINED), recommended=True)
    judged = [
        dataclasses.replace(each, network=dataclasses.replace(each.network, size=Resize(64, 64)))
        if each.candidate.id == one.members[1]
        else each
        for each in case.judged
    ]
    other = dataclasses.replace(case, judged=judged)
    with pytest.raises(ValueError, match="unlike sizes: 32 x 32 stretch, 64 x 64 stretch"):
        save_combination(other, one)


def test_the_best_of_those_that_can_be_one_classifier_is_recommended(weak, monkeypatch):
    """Two networks of unlike sizes are right out of fold always, the mirror image of one nearly always."""
    size, other = Resize(64, 64), next(one for one in weak.judged if one.candidate.id != weak.best)
    judged = [
        dataclasses.replace(one, network=dataclasses.replace(one.network, size=size)) if one is other else one
        for one in weak.judged
    ]
    case, images = dataclasses.replace(weak, judged=judged), len(weak.parts.test)

    def plant(case, kind):
        if kind not in (JOINED, FLIP):
            return None
        members = (case.best, other.candidate.id) if kind == JOINED else (case.best,)
        one = planted(case, test_right=images, folds_right=1.1 if kind == JOINED else 0.99, members=members)
        return dataclasses.replace(one, kind=kind)

    monkeypatch.setattr("headstart.study.combinations.answers_of", plant)
    joined, flip = combinations(case)
    assert (joined.recommended, flip.recommended) == (False, True)
    assert "they have no say in what is recommended." in joined.sentence
    assert "It cannot be a classifier" in joined.sentence


def test_as_many_are_averaged_as_do_best_by_the_measure_that_chooses(case):
    """By accuracy a third member may help where by the loss it does not, and the reverse."""
    recipe = case.plan.recipe
    protocol = dataclasses.replace(recipe.protocol, choose_by="loss")
    plan = dataclasses.replace(case.plan, recipe=dataclasses.replace(recipe, protocol=protocol))
    by_loss = dataclasses.replace(case, plan=plan)
    assert by_loss.plan.measure.name == "loss"
    ranked = [one.id for one in case.ranked]
    labels = [case.parts.labels[one.validation] for one in case.parts.rounds]

    def loss(count):
        folds = zip(*([softmax(fit.validation_logits.astype(np.float64)) for fit in case.judged_of(name).fits]
                      for name in ranked[:count]), strict=True)  # fmt: skip
        means = [np.mean(several, axis=0) for several in folds]
        return np.mean(
            [-np.log(said[np.arange(len(own)), own]).mean() for said, own in zip(means, labels, strict=True)]
        )

    count = min((2, 3, 4), key=loss)
    assert answers_of(by_loss, AVERAGE).members == tuple(ranked[:count])
