"""Images that belong to no class: scores, thresholds and how well they work. NumPy alone.

Four scores, all higher for less known images:

- ``energy``: minus the logarithm of the sum of exp(logits) (Liu et al., NeurIPS 2020);
- ``nearest_neighbours``: the distance to the nearest known image, features as rows of length 1 (Sun et al., ICML 2022);
- ``mahalanobis``: the distance to the nearest class mean under one covariance for all classes (Lee et al., NeurIPS
  2018), features as rows of length 1 (Mueller and Hein, ICML 2025);
- ``energy_and_neighbours``: the sum of the energy, the distance to the nearest neighbour, and that distance between
  square roots of features (the Hellinger kernel: Arandjelovic and Zisserman, CVPR 2012), each less its mean and over
  its standard deviation among known images. Energy knows what the head learned, distances what the backbone sees;
  square roots give the many faint features a say beside the few strong ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.evaluation.evidence import CoveragePoint
from headstart.evaluation.neighbours import blocks, normalised

Floats = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]
Doubles = NDArray[np.float64]

ENERGY, NEIGHBOURS, MAHALANOBIS = "energy", "nearest_neighbours", "mahalanobis"
TOGETHER = "energy_and_neighbours"
METHODS = (TOGETHER, NEIGHBOURS, MAHALANOBIS, ENERGY)
"""In the order in which equals are preferred."""

KEPT_SHARE = 0.95
"""The share of known images that a threshold keeps."""

# A store is held as float16: 8 MB at most.
MOST_ROWS, MOST_VALUES = 3000, 2**22
# How much of the covariance gives way to equal variances: features are about as many as images.
SHRINKAGE = 0.3
SMALLEST_VARIANCE = 1e-6
GAUSSIAN_CHANNELS = 1024
INVERTED_WHOLE = 128
CURVE_POINTS = 100


@dataclass(frozen=True, slots=True, eq=False)
class Detector:
    """Tells unknown images: those whose score is above ``threshold``.

    Attributes:
        method: how the score is made, one of ``METHODS``.
        arrays: what the score needs beside logits, by name; empty where it needs no features. ``store`` float16, others
            float32.

    Raises:
        ValueError: the method is unknown, or its arrays are missing or do not fit together.
    """

    method: str
    threshold: float
    arrays: Mapping[str, NDArray[np.floating[Any]]]
    _known: Known | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_known", _read_known(self.method, self.arrays))

    def score(self, logits: Floats, features: Floats | None) -> Doubles:
        """Return how unknown images look ``(images,)``, from logits ``(images, classes)`` and pooled features.

        Raises:
            ValueError: the method needs features ``(images, channels)`` and there are none.
        """
        if self._known is not None and features is None:
            raise ValueError(f"the method {self.method!r} needs features. Received: None.")
        parts = measure(self._known, logits, features).parts(self.method)
        if self.method != TOGETHER:
            return parts[:, 0]
        return _sum(parts, self.arrays["centre"].astype(np.float64), self.arrays["spread"].astype(np.float64))


def _read_known(method: str, arrays: Mapping[str, NDArray[np.floating[Any]]]) -> Known | None:
    needed = {ENERGY: (), NEIGHBOURS: ("store",), MAHALANOBIS: ("means", "precision")}
    needed |= {TOGETHER: ("store", "centre", "spread")}
    if method not in needed:
        raise ValueError(f"the method must be one of {', '.join(METHODS)}. Received: {method!r}.")
    found = {name: array.shape for name, array in arrays.items()}
    if set(found) != set(needed[method]) or not _fitting(found):
        raise ValueError(f"the method {method!r} needs the arrays {list(needed[method])}. Received: {found}.")
    if method == ENERGY:
        return None
    if method == MAHALANOBIS:
        return Known(method, None, Gaussian(*(arrays[name].astype(np.float32) for name in needed[method])))
    return Known(method, Store(arrays["store"], np.zeros(len(arrays["store"]), np.int64)), None)


def _fitting(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Tell whether shapes are such as ``make_detector`` makes."""
    square = shapes.get("precision", (0, 0))
    flat = [shape for name, shape in shapes.items() if name in ("centre", "spread")]
    tables = [shape for name, shape in shapes.items() if name in ("store", "means")]
    return (
        all(shape == (3,) for shape in flat)
        and all(len(shape) == 2 and min(shape) > 0 for shape in tables)
        and ("means" not in shapes or square == shapes["means"][1:] * 2)
    )


class Store:
    """A bounded number of known images: the features that others are compared with.

    Args:
        rows: features ``(rows, channels)``; kept as rows of length 1 in float16.
        labels: class indices ``(rows,)``.
    """

    def __init__(self, rows: Floats, labels: Labels) -> None:
        order = np.argsort(labels, kind="stable")
        self.rows = normalised(rows)[order].astype(np.float16)
        self.labels: Labels = labels[order]
        self._classes, self._starts = np.unique(self.labels, return_index=True)
        self._spaces = (normalised(self.rows), normalised(rooted(self.rows)))

    def distances(self, features: Floats, classes: int, *, roots: bool) -> Doubles:
        """Return the distance 0..2 to the nearest row of every class ``(images, classes)``; inf where it has none.

        ``roots`` compares square roots of features, by ``rooted``.
        """
        queries = normalised(rooted(features) if roots else features)
        found = np.full((len(queries), classes), np.inf)
        for block in blocks(len(queries), len(self.rows)):
            likeness = queries[block] @ self._spaces[roots].T
            apart = 2 - 2 * np.maximum.reduceat(likeness, self._starts, axis=1)
            found[block, self._classes] = np.sqrt(np.maximum(apart, 0))
        return found


def rooted(features: Floats) -> NDArray[np.float32]:
    """Return square roots of features, of negative ones with their sign: what of faint features stays is more."""
    values = np.asarray(features, np.float32)
    roots: NDArray[np.float32] = np.copysign(np.sqrt(np.abs(values)), values)
    return roots


@dataclass(frozen=True, slots=True, eq=False)
class Gaussian:
    """Classes as normal distributions with one covariance.

    ``means`` ``(classes, channels)`` float32, NaN for a class without images; ``precision`` ``(channels, channels)``
    float32 is the inverse of the covariance. The channels are those of ``thinned`` features.
    """

    means: NDArray[np.float32]
    precision: NDArray[np.float32]

    def distances(self, features: Floats) -> Doubles:
        """Return the Mahalanobis distances to every class ``(images, classes)``; inf where it has no mean."""
        # from the middle of the classes: far from it, single precision would lose the differences
        middle = np.nanmean(self.means, axis=0)
        rows, centres = thinned(features) - middle, np.nan_to_num(self.means - middle)
        weighted = self.precision @ centres.T
        squares = np.einsum("ij,ij->i", rows @ self.precision, rows)[:, None] - 2 * rows @ weighted
        squares = squares + (centres * weighted.T).sum(1)
        distances: Doubles = np.sqrt(np.maximum(squares, 0)).astype(np.float64)
        distances[:, np.isnan(self.means[:, 0])] = np.inf
        return distances


def thinned(features: Floats) -> NDArray[np.float32]:
    """Return features as rows of length 1, of more than 1,024 channels every nth: a covariance costs their cube."""
    rows = normalised(features)
    step = -(-rows.shape[1] // GAUSSIAN_CHANNELS)
    return normalised(rows[:, ::step]) if step > 1 else rows


class Cloud:
    """Known images about the means of their classes: what the Gaussians with and without a class share.

    Args:
        features: ``(images, channels)``.
        labels: class indices ``(images,)``.
    """

    def __init__(self, features: Floats, labels: Labels, classes: int) -> None:
        rows = thinned(features)
        self._means = np.full((classes, rows.shape[1]), np.nan, np.float32)
        for label in np.unique(labels):
            self._means[label] = rows[labels == label].mean(0)
        self._rest, self._labels = rows - self._means[labels], labels
        self._scatter = self._rest.T @ self._rest

    def gaussian(self, left_out: int | None = None) -> Gaussian:
        """Return class means and the pooled covariance, shrunk by ``SHRINKAGE`` towards equal variances.

        ``left_out`` names a class that is to be as if it had never been seen.
        """
        means, scatter, images = self._means.copy(), self._scatter.copy(), len(self._rest)
        if left_out is not None:
            gone = self._rest[self._labels == left_out]
            means[left_out], images = np.nan, images - len(gone)
            scatter -= gone.T @ gone
        # with nothing but one image per class, or equal images, there is no variance to share out
        ridge = max(SHRINKAGE * float(np.trace(scatter)) / (images * len(scatter)), SMALLEST_VARIANCE)
        covariance = scatter * np.float32((1 - SHRINKAGE) / images)
        covariance.flat[:: len(covariance) + 1] += np.float32(ridge)
        return Gaussian(means, _inverse(covariance))


def _inverse(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the inverse of a symmetric positive definite matrix, by halves (Schur complements).

    Nearly all of it are matrix products, five times faster than the library's inverse of 1,024 channels.
    """
    if len(matrix) <= INVERTED_WHOLE:
        small: NDArray[np.float32] = np.linalg.inv(matrix)
        return small
    half = len(matrix) // 2
    first, corner = _inverse(matrix[:half, :half]), matrix[:half, half:]
    turned = first @ corner
    last = _inverse(matrix[half:, half:] - corner.T @ turned)
    across = turned @ last
    return np.block([[first + across @ turned.T, -across], [-across.T, last]])


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What a method remembers of known images' features: a store, a Gaussian, or for the energy nothing."""

    method: str
    store: Store | None
    gaussian: Gaussian | None


def learn(method: str, features: Floats, labels: Labels, classes: int) -> Known:
    """Remember known images: features ``(images, channels)`` of ``choose_rows``, and class indices ``(images,)``."""
    if method == MAHALANOBIS:
        return Known(method, None, Cloud(features, labels, classes).gaussian())
    return Known(method, Store(features, labels) if method != ENERGY else None, None)


def choose_rows(labels: Labels, channels: int, seed: int) -> NDArray[np.int64]:
    """Return which images a store holds, rising: all where they fit, else as many of every class as go round.

    At most 3,000 rows and 4 million values. Which images of a class are taken is drawn by ``seed``.
    """
    most = min(MOST_ROWS, max(1, MOST_VALUES // max(1, channels)))
    if len(labels) <= most:
        return np.arange(len(labels))
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    # the turn of an image within its class: the first of every class come before the second of any
    turns, counts = np.zeros(len(labels), np.int64), np.zeros(int(labels.max()) + 1, np.int64)
    for image in shuffled:
        turns[image] = counts[labels[image]]
        counts[labels[image]] += 1
    return np.sort(shuffled[np.argsort(turns[shuffled], kind="stable")][:most])


@dataclass(frozen=True, slots=True, eq=False)
class Signs:
    """What tells known from unknown images, class by class: each ``(images, classes)`` float64.

    ``logits``, then distances to the nearest known image of the class, the same between roots, and Mahalanobis
    distances to the class; None where that was not remembered.
    """

    logits: Doubles
    near: Doubles | None
    near_roots: Doubles | None
    mahalanobis: Doubles | None

    def parts(self, method: str, left_out: int | None = None) -> Doubles:
        """Return the scores that a method adds up ``(images, parts)``, as if the class ``left_out`` did not exist."""
        if method == ENERGY:
            return energy(_dropped(self.logits, left_out))[:, None]
        if method == TOGETHER:
            columns = [self.parts(ENERGY, left_out), _least(self.near, left_out), _least(self.near_roots, left_out)]
            return np.concatenate(columns, axis=1)
        return _least(self.near if method == NEIGHBOURS else self.mahalanobis, left_out)

    def take(self, rows: NDArray[Any]) -> Signs:
        """Return the signs of some images, by a mask or positions."""
        found = (self.near, self.near_roots, self.mahalanobis)
        return Signs(self.logits[rows], *(None if values is None else values[rows] for values in found))


def joined(signs: list[Signs]) -> Signs:
    """Return the signs of several sets of images one below the other."""

    def together(values: list[Doubles | None]) -> Doubles | None:
        there = [one for one in values if one is not None]
        return np.concatenate(there) if there else None

    return Signs(
        np.concatenate([one.logits for one in signs]),
        together([one.near for one in signs]),
        together([one.near_roots for one in signs]),
        together([one.mahalanobis for one in signs]),
    )


def measure(known: Known | None, logits: Floats, features: Floats | None) -> Signs:
    """Return the signs that a method looks at: logits ``(images, classes)``, features ``(images, channels)``."""
    values = np.asarray(logits, np.float64)
    if known is None or features is None:
        return Signs(values, None, None, None)
    store, gaussian, classes = known.store, known.gaussian, values.shape[1]
    return Signs(
        values,
        store.distances(features, classes, roots=False) if store else None,
        store.distances(features, classes, roots=True) if store and known.method == TOGETHER else None,
        gaussian.distances(features) if gaussian else None,
    )


def energy(logits: Floats) -> Doubles:
    """Return the energy of images ``(images,)`` in nats: minus the logarithm of the sum of exp(logits)."""
    values = np.asarray(logits, np.float64)
    highest = values.max(axis=1)
    energies: Doubles = -(highest + np.log(np.exp(values - highest[:, None]).sum(axis=1)))
    return energies


def _dropped(values: Doubles, column: int | None) -> Doubles:
    rest: Doubles = values if column is None else np.delete(values, column, axis=1)
    return rest


def _least(distances: Doubles | None, left_out: int | None) -> Doubles:
    if distances is None:
        raise ValueError("this method needs features. Received: none.")
    least: Doubles = _dropped(distances, left_out).min(axis=1, keepdims=True)
    return least


def _sum(parts: Doubles, centre: Doubles, spread: Doubles) -> Doubles:
    total: Doubles = ((parts - centre) / spread).sum(axis=1)
    return total


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """A method with what known images taught it: score = sum of (parts - centre) / spread; unknown above threshold."""

    method: str
    centre: Doubles
    spread: Doubles
    threshold: float

    def score(self, signs: Signs, left_out: int | None = None) -> Doubles:
        """Return how unknown images look ``(images,)``."""
        return _sum(signs.parts(self.method, left_out), self.centre, self.spread)


def fit_rule(method: str, known: Signs, left_out: int | None = None) -> Rule:
    """Return the rule of a method from signs of known images that the model had not seen."""
    parts = known.parts(method, left_out)
    centre, spread = np.zeros(parts.shape[1]), np.ones(parts.shape[1])
    if method == TOGETHER:
        # rounded as a detector keeps them
        centre, spread = parts.mean(0).astype(np.float32).astype(np.float64), parts.std(0)
        spread = np.where(spread > 0, spread, 1).astype(np.float32).astype(np.float64)
    return Rule(method, centre, spread, threshold_keeping(_sum(parts, centre, spread)))


def make_detector(rule: Rule, known: Known | None) -> Detector:
    """Return a rule with all that it needs of the known images, ready to travel."""
    arrays: dict[str, NDArray[np.floating[Any]]] = {}
    if rule.method in (NEIGHBOURS, TOGETHER):
        assert known is not None and known.store is not None, "the method compares with a store"
        arrays["store"] = known.store.rows
    if rule.method == TOGETHER:
        arrays |= {"centre": rule.centre.astype(np.float32), "spread": rule.spread.astype(np.float32)}
    if rule.method == MAHALANOBIS:
        assert known is not None and known.gaussian is not None, "the method compares with class means"
        means = known.gaussian.means
        arrays |= {"means": means[~np.isnan(means[:, 0])], "precision": known.gaussian.precision}
    return Detector(rule.method, rule.threshold, arrays)


def threshold_keeping(scores: Floats, share: float = KEPT_SHARE) -> float:
    """Return the lowest of the scores ``(images,)`` that at least ``share`` of them do not exceed."""
    return float(np.quantile(np.asarray(scores, np.float64), share, method="inverted_cdf"))


def auroc(known: Floats, unknown: Floats) -> float | None:
    """Return the chance that an unknown image scores higher than a known one, equal scores counting half.

    The area under the ROC curve, from rank sums (Mann and Whitney, Annals of Mathematical Statistics 1947); None where
    either has no images.
    """
    if not len(known) or not len(unknown):
        return None
    _, place, times = np.unique(np.concatenate([known, unknown]), return_inverse=True, return_counts=True)
    # equal scores share the mean of their ranks
    ranks = (np.cumsum(times) - (times - 1) / 2)[place]
    count = len(unknown)
    return float((ranks[len(known) :].sum() - count * (count + 1) / 2) / (len(known) * count))


def coverage_curve(labels: Labels, probabilities: Floats) -> tuple[CoveragePoint, ...]:
    """Return accuracy among the images that are surest, from few to all, in about 100 points.

    Images of equal confidence come in together (El-Yaniv and Wiener, Journal of Machine Learning Research 2010).

    Args:
        labels: class indices ``(images,)``.
        probabilities: ``(images, classes)``.
    """
    if not len(labels):
        return ()
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    right = np.cumsum((probabilities.argmax(axis=1) == labels)[order])
    sure = confidence[order]
    ends = np.flatnonzero(np.append(sure[1:] != sure[:-1], True))
    if len(ends) > CURVE_POINTS:
        ends = ends[np.unique(np.linspace(0, len(ends) - 1, CURVE_POINTS).round().astype(np.int64))]
    return tuple(
        CoveragePoint((end + 1) / len(labels), float(right[end] / (end + 1)), float(sure[end])) for end in ends.tolist()
    )
