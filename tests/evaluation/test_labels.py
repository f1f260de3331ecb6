"""Label doubts against tables worked by hand, a plain simulation of the null, and planted errors of a stated design."""

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from headstart.evaluation.labels import doubt_labels, excess_over, odds_against

PROBABILITIES = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7], [0.2, 0.8], [0.3, 0.7], [0.8, 0.2]])
LABELS = np.array([0, 0, 0, 0, 1, 1, 1])


def test_odds_are_those_of_the_most_probable_other_class():
    odds = odds_against(np.array([[0.6, 0.3, 0.1], [0.25, 0.5, 0.25]]))
    np.testing.assert_allclose(odds, np.log([[0.3 / 0.6, 0.6 / 0.3, 0.6 / 0.1], [2, 0.25 / 0.5, 2]]))


def test_sure_zeros_and_ones_give_finite_odds():
    assert np.isfinite(odds_against(np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]]))).all()


def test_a_table_of_two_classes_worked_by_hand():
    excess = excess_over(LABELS, PROBABILITIES, seed=0)
    np.testing.assert_allclose(
        excess.odds, np.log([0.1 / 0.9, 0.2 / 0.8, 0.6 / 0.4, 0.7 / 0.3, 0.2 / 0.8, 0.3 / 0.7, 0.8 / 0.2])
    )
    # Against: odds 0.41, 0.85, 1.39. Expected at t = 0, all images: 0.1 + 0.2 + 0.4 + 0.3 + 0.2 + 0.3 + 0.2 = 1.7; at
    # t = 0.5 without the third 1.3, at t = 0.75 the same, where two are left; at t = 1 and 1.25 without the two of 0.7
    # 0.7 and one is left. So the excesses are 1.3, 0.7, 0.3.
    assert excess.largest == pytest.approx(3 - 1.7)


def plainly(labels, probabilities, draws, random):
    """Return the p-value and the largest excess by the rule as it is written, label by label."""
    thresholds = np.arange(37) / 4

    def exceeds(image, label):
        said = probabilities[image]
        return np.log(np.delete(said, label).max() / said[label]) > thresholds

    each = np.array([[exceeds(image, label) for label in range(4)] for image in range(len(labels))])
    expected = np.einsum("ik,ikt->t", probabilities, each)

    def beyond(given):
        return each[np.arange(len(labels)), given].sum(axis=0) - expected

    def statistic(given):
        return (beyond(given) / np.sqrt(expected + 1)).max()

    drawn = [statistic([random.choice(4, p=one) for one in probabilities]) for _ in range(draws)]
    return np.mean(np.array(drawn) >= statistic(labels)), max(0, beyond(labels).max())


@pytest.mark.parametrize("wrong", [0, 4, 8])
def test_the_rule_is_the_plain_one(wrong):
    random = np.random.default_rng(wrong)
    probabilities = random.dirichlet([4, 0.4, 0.4, 0.2], 120)
    labels = np.array([random.choice(4, p=one) for one in probabilities])
    labels[:wrong] = probabilities[:wrong].argmin(axis=1)
    excess = excess_over(labels, probabilities, seed=1)
    p_value, largest = plainly(labels, probabilities, 400, random)
    assert excess.largest == pytest.approx(largest)
    # both p-values are of drawn labels, 199 and 400
    assert excess.p_value == pytest.approx(
        p_value, abs=3 * np.sqrt(p_value * (1 - p_value) * (1 / 199 + 1 / 400)) + 0.01
    )


def test_labels_that_follow_the_probabilities_are_seldom_doubted():
    random = np.random.default_rng(0)
    probabilities = random.dirichlet([3, 0.3, 0.3], 200)
    edges = probabilities.cumsum(axis=1)[:, :2]
    found = [
        excess_over((random.random((200, 1)) > edges).sum(axis=1), probabilities, seed=seed).p_value
        for seed in range(400)
    ]
    for level in (0.01, 0.1, 0.5):
        assert stats.binomtest(sum(p <= level for p in found), 400, level, alternative="greater").pvalue > 0.001
    assert min(found) >= 1 / 200


def test_nothing_is_doubted_where_every_label_is_the_most_probable_class():
    labels = np.repeat(np.arange(4), 10)
    found = doubt_labels(labels, 5.0 * np.eye(4)[labels], seed=0)
    assert (found.wrong, len(found.doubted), len(found.suggested), len(found.confidence)) == (None, 0, 0, 0)
    assert found.p_value > 0.5


def gaussians(seed, *, images=1000, classes=5, wrong=0, apart=3.0, shares=None):
    """Return labels, out-of-fold logits of a logistic regression on Gaussian classes, and who is wrong."""
    random = np.random.default_rng(seed)
    truth = random.choice(classes, images, p=shares)
    features = random.normal(size=(images, 20)) + apart * np.eye(20)[truth]
    mistaken = random.choice(images, wrong, replace=False)
    labels = truth.copy()
    labels[mistaken] = (truth[mistaken] + random.integers(1, classes, wrong)) % classes
    model = LogisticRegression(C=0.05)
    return labels, cross_val_predict(model, features, labels, method="decision_function", cv=5), mistaken


@pytest.mark.parametrize("apart", [1.5, 3.0])
@pytest.mark.parametrize("images", [60, 300, 1000])
def test_of_clean_labels_few_are_listed_however_weak_the_network(images, apart):
    for seed in range(5):
        labels, logits, _ = gaussians(seed, images=images, apart=apart)
        found = doubt_labels(labels, logits, seed=seed)
        assert found.wrong is None and found.p_value > 0.01
        assert len(found.doubted) <= 0.015 * images


@pytest.mark.parametrize(("classes", "shares"), [(5, None), (3, [0.8, 0.17, 0.03])])
@pytest.mark.parametrize("seed", range(3))
def test_planted_errors_are_listed_and_counted_from_below(seed, classes, shares):
    labels, logits, mistaken = gaussians(seed, wrong=50, classes=classes, shares=shares)
    found = doubt_labels(labels, logits, seed=0)
    right = np.isin(found.doubted, mistaken)
    assert found.p_value == 1 / 200
    assert 15 <= found.wrong <= 50
    assert len(found.doubted) == np.ceil(1.5 * found.wrong)
    assert right.mean() >= 0.8 and right.sum() >= 25
    odds = odds_against(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))[np.arange(1000), labels]
    # one temperature changes no order
    np.testing.assert_array_equal(found.doubted, np.argsort(-odds, kind="stable")[: len(found.doubted)])
    np.testing.assert_array_equal(found.suggested, logits[found.doubted].argmax(axis=1))
    assert (found.suggested != labels[found.doubted]).all()
    assert ((found.confidence > 1 / classes) & (found.confidence <= 1)).all()


def test_one_planted_error_of_a_sure_network_is_named():
    labels = np.repeat(np.arange(2), 100)
    logits = 8.0 * np.eye(2)[labels]
    labels[3] = 1
    found = doubt_labels(labels, logits, seed=0)
    np.testing.assert_array_equal(found.doubted[:1], [3])
    assert found.suggested[0] == 0


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_images_and_of_classes_does_not_matter(seed):
    labels, logits, _ = gaussians(seed, images=600, wrong=40)
    random = np.random.default_rng(seed)
    order, names = random.permutation(600), random.permutation(5)
    found = doubt_labels(labels, logits, seed=0)
    moved = doubt_labels(names[labels][order], logits[order][:, np.argsort(names)], seed=0)
    np.testing.assert_array_equal(order[moved.doubted], found.doubted)
    np.testing.assert_array_equal(moved.suggested, names[found.suggested])
    assert moved.wrong == found.wrong
