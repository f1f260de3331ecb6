"""The map of the images: what the network sees alike stands near, in two dimensions; and small pictures for it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart import storage
from headstart.data import decode
from headstart.data.decode import Resize
from headstart.machine import core_count
from headstart.runs.folder import MapRow
from headstart.runs.rows import MAP_COLUMNS, MAP_TILE
from headstart.study.attempt import attempt
from headstart.study.case import Case
from headstart.study.neighbours import frozen_learner, unit_features
from headstart.study.parts import Rows

EVENT = "image map"
FEWEST = 10
MOST_IMAGES = 4_000
FEWEST_OF_A_CLASS = 5
"""So many images of a class stand on the map before the others are thinned out evenly."""

COMPONENTS, WIDE = 50, 2_048
"""Of so many features the components are found by their covariance."""

PERPLEXITY, ITERATIONS, EXAGGERATION, ANGLE = 20.0, 300, 4.0, 1.0
"""On 3,670 photographs of flowers as good as scikit-learn's usual settings, in a third of the time."""
STEPS, SHORTEST_STEP = 6, 50.0
"""The learning rate of t-SNE is the number of images over the first of these, as scikit-learn has it, or the second."""
DIGITS = 4

MOST_PICTURES = 900
MOST_BYTES = 640_000
QUALITIES = (72, 60, 45, 30)

Floats = NDArray[np.floating[Any]]
Places = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What the map is drawn from: ``values`` ``(rows, channels)`` of the images at ``rows``, rising.

    ``of`` is ``features`` (pooled, rows of length 1) or ``answers`` (logits); ``candidate`` is whose.
    """

    rows: Rows
    values: Floats
    of: str
    candidate: str


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Where the images stand, None for no map; ``seconds`` it took to find out."""

    seen: Seen
    places: Places | None
    seconds: float


def draw(case: Case) -> Drawn:
    """Return where the images stand on the map: one thread's work, beside which others have theirs."""
    start = time.perf_counter()
    seen = what_is_seen(case)
    places = layout(seen.values, storage.seed_from(case.protocol.seed, "map"))
    return Drawn(seen, places, time.perf_counter() - start)


def write_image_map(case: Case, drawing: Future[Drawn]) -> None:
    """Write the map of a study into the run folder, where there is anything to draw it from.

    A failure is said and does not end the study.
    """
    reason, _ = attempt(lambda: _write(case, drawing.result()))
    if reason:
        case.place.progress.say(f"The map of the images could not be drawn: {reason}")
        case.place.folder.log(EVENT, images=0, failed=reason)


def _write(case: Case, drawn: Drawn) -> None:
    start, seen, places = time.perf_counter() - drawn.seconds, drawn.seen, drawn.places
    if places is None:
        case.place.folder.write_map(())
        case.place.folder.log(EVENT, images=0)
        return
    rows = map_rows(case, seen.rows, places)
    chosen = pictured(rows, places, MOST_PICTURES)
    for tile, place in enumerate(chosen):
        rows[place] = replace(rows[place], tile=tile)
    sheet = picture_sheet(_pictures(case, seen.rows[chosen]))
    case.place.folder.write_map(rows, sheet)
    seconds = round(time.perf_counter() - start, 3)
    case.place.folder.log(
        EVENT, images=len(rows), pictures=len(chosen), of=seen.of, candidate=seen.candidate, seconds=seconds
    )


def what_is_seen(case: Case) -> Seen:
    """Return the features of a sample of all images, else the best candidate's answers to those it did not learn from.

    Features are those of the best network whose backbone is frozen. Without one, every image that validated or was
    tested stands where the best candidate's logits put it; those of several models have the classes in common.
    """
    learner, own = frozen_learner(case), case.judged_of(case.best).learner
    seed = storage.seed_from(case.protocol.seed, "map sample")
    if learner is not None:
        rows = sample(case.parts.labels, MOST_IMAGES, seed)
        whose = next(one.candidate.id for one in case.judged if one.learner is learner)
        return Seen(rows, unit_features(learner, rows), "features", case.best if learner is own else whose)
    rows, logits = _answers(case)
    kept = sample(case.parts.labels[rows], MOST_IMAGES, seed)
    return Seen(rows[kept], logits[kept], "answers", case.best)


def _answers(case: Case) -> tuple[Rows, Floats]:
    """Return the images that validated or were tested, rising, and the best candidate's logits of them."""
    validated, tested = case.out_of_fold(case.best), case.test_of(case.best)
    rows = np.concatenate([validated.rows, case.parts.test])
    logits = np.concatenate([validated.logits, tested.logits.astype(np.float64)])
    order = np.argsort(rows, kind="stable")
    return rows[order], logits[order]


def sample(labels: Rows, most: int, seed: int) -> Rows:
    """Return at most so many positions, rising: of every class the same share, but five where it has them.

    Args:
        labels: class indices ``(images,)``.
    """
    if len(labels) <= most:
        return np.arange(len(labels))
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    order = shuffled[np.argsort(labels[shuffled], kind="stable")]
    sizes = np.bincount(labels)
    rank = np.arange(len(order)) - (np.cumsum(sizes) - sizes)[labels[order]]
    share = np.where(rank < FEWEST_OF_A_CLASS, -1.0, (rank + 0.5) / sizes[labels[order]])
    return np.sort(order[np.argsort(share, kind="stable")[:most]])


def layout(values: Floats, seed: int) -> Places | None:
    """Return a place on the map for every image ``(images, 2)``: -1..1 along its wider side, centred; seeded.

    The values are reduced to at most 50 principal components, then laid out by t-SNE (L. van der Maaten, G. Hinton,
    Visualizing Data using t-SNE, Journal of Machine Learning Research 9, 2008), begun from the first two. One thread
    computes, because sums over several threads differ in their last digit, and t-SNE makes much of it.

    Returns:
        None for fewer than 10 images, for values that are not numbers, and where all images are the same.
    """
    from threadpoolctl import threadpool_limits

    if len(values) < FEWEST or not np.isfinite(values).all() or np.ptp(values, axis=0).max() < 1e-9:
        return None
    with threadpool_limits(1):
        return _upright(_embedded(_components(values, seed), seed))


def _components(values: Floats, seed: int) -> NDArray[np.float32]:
    """Return the principal components ``(images, components)``, two at least, in units of the first one's spread."""
    from sklearn.decomposition import PCA

    count = min(COMPONENTS, len(values) - 1, values.shape[1])
    solver = "full" if count == min(values.shape) else "covariance_eigh" if values.shape[1] <= WIDE else "randomized"
    found = PCA(count, svd_solver=solver, random_state=seed).fit_transform(values.astype(np.float32))
    found = np.pad(found, ((0, 0), (0, max(0, 2 - count)))).astype(np.float64)
    scaled: NDArray[np.float32] = (found / found[:, 0].std()).astype(np.float32)
    return scaled


def _embedded(components: NDArray[np.float32], seed: int) -> Places:
    from sklearn.manifold import TSNE

    # equal images, and images along a line, would never leave each other without a little noise
    noise = np.random.default_rng(seed).normal(size=(len(components), 2))
    tsne = TSNE(
        perplexity=min(PERPLEXITY, (len(components) - 1) / 3),
        early_exaggeration=EXAGGERATION,
        learning_rate=max(len(components) / STEPS, SHORTEST_STEP),
        max_iter=ITERATIONS,
        init=np.float32(1e-4 * (components[:, :2] + 0.01 * noise)),
        angle=ANGLE,
        random_state=seed,
    )
    places: Places = tsne.fit_transform(components).astype(np.float64)
    return places


def _upright(places: Places) -> Places:
    """Return places with their widest spread from left to right, centred and scaled, rounded to four decimals."""
    centred = places - places.mean(axis=0)
    turned = centred @ np.linalg.svd(centred, full_matrices=False)[2].T
    middle = (turned.max(axis=0) + turned.min(axis=0)) / 2
    scaled: Places = np.round((turned - middle) / (np.ptp(turned, axis=0).max() / 2), DIGITS)
    return scaled + 0.0


def map_rows(case: Case, rows: Rows, places: Places) -> list[MapRow]:
    """Return one row per image on the map, still without tiles."""
    said, parts = _said(case), case.parts
    return [
        MapRow(
            path=parts.rows[position].path,
            label=case.classes[parts.labels[position]],
            part=parts.rows[position].split,
            predicted=None if said[position] < 0 else case.classes[said[position]],
            x=float(x),
            y=float(y),
        )
        for position, (x, y) in zip(rows, places, strict=True)
    ]


def _said(case: Case) -> Rows:
    """Return the class that the best candidate gives every image it did not learn from, -1 for the others."""
    said = np.full(len(case.parts.rows), -1, np.int64)
    validated = case.out_of_fold(case.best)
    said[validated.rows] = validated.logits.argmax(axis=1)
    said[case.parts.test] = case.test_of(case.best).probabilities.argmax(axis=1)
    return said


def pictured(rows: Sequence[MapRow], places: Places, most: int) -> Rows:
    """Return the positions of the images that get a picture: one of every class, then wrong answers, then all over.

    Args:
        places: of the rows on the map ``(rows, 2)``.
    """
    firsts = set({row.label: position for position, row in reversed(list(enumerate(rows)))}.values())
    wrong = np.array([row.predicted not in (None, row.label) for row in rows])
    first = np.array([position in firsts for position in range(len(rows))])
    importance = np.where(first, 0, np.where(wrong, 1, 2))
    order = np.lexsort((_crowding(places, most), importance))
    return np.sort(order[:most])


def _crowding(places: Places, wanted: int) -> Rows:
    """Return how many images before each stand in the same square, of a grid of about as many squares as wanted."""
    side = max(1, round(float(np.sqrt(wanted))))
    steps = np.minimum(((places + 1) / 2 * side).astype(np.int64), side - 1)
    squares = steps[:, 0] * side + steps[:, 1]
    order = np.argsort(squares, kind="stable")
    counts = np.bincount(squares, minlength=side * side)
    crowding = np.zeros(len(places), np.int64)
    crowding[order] = np.arange(len(places)) - (np.cumsum(counts) - counts)[squares[order]]
    return crowding


def _pictures(case: Case, rows: Rows) -> list[NDArray[np.uint8]]:
    """Return the small pictures of images, decoded on all cores."""
    size = Resize(MAP_TILE, MAP_TILE, "pad" if case.plan.recipe.data.resize == "pad" else "crop")

    def small(position: int) -> NDArray[np.uint8]:
        return decode.load(case.plan.encoded(case.parts.rows[position]), size)

    with ThreadPoolExecutor(core_count()) as pool:
        return list(pool.map(small, rows.tolist()))


def picture_sheet(pictures: Sequence[NDArray[np.uint8]]) -> bytes | None:
    """Return square pictures of one size side by side, row by row, as one JPEG; a lower quality keeps it small."""
    if not pictures:
        return None
    lines = -(-len(pictures) // MAP_COLUMNS)
    sheet = np.zeros((lines, MAP_COLUMNS, MAP_TILE, MAP_TILE, 3), np.uint8)
    for place, picture in enumerate(pictures):
        sheet[divmod(place, MAP_COLUMNS)] = picture
    whole = np.ascontiguousarray(sheet.swapaxes(1, 2)).reshape(lines * MAP_TILE, MAP_COLUMNS * MAP_TILE, 3)
    found = b""
    for quality in QUALITIES:
        found = decode.jpeg(whole, quality=quality)
        if len(found) <= MOST_BYTES:
            break
    return found
