import math

import numpy as np
import pytest
from scipy import ndimage, stats

from headstart.data import augment
from headstart.data.augment import Operation, drawn_directions, fixed_view, fresh_batch, parse

EVERY = ("flip", "flip both", "rotation 0.1", "zoom 0.2", "shift 3", "shift 0.2", "contrast 0.3", "brightness 0.2")
KEYS = [f"image {number}" for number in range(40)]


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


def fresh(pixels, *operations, seed=3, epoch=1, rows=None):
    rows = np.arange(len(pixels)) if rows is None else np.asarray(rows)
    return fresh_batch(pixels, operations, seed=seed, epoch=epoch, rows=rows)


def seen_through(pixels, look):
    """An image seen through a map of (x, y) from the centre, by SciPy, edges mirrored, not rounded."""
    height, width, _ = pixels.shape
    matrix = np.array([[look[1, 1], look[1, 0]], [look[0, 1], look[0, 0]]])  # SciPy counts rows first
    middle = np.array([height - 1, width - 1]) / 2
    offset = middle - matrix @ middle + np.array([look[1, 2], look[0, 2]])
    return np.stack(
        [
            ndimage.affine_transform(pixels[:, :, channel].astype(float), matrix, offset, order=1, mode="reflect")
            for channel in range(3)
        ],
        axis=-1,
    )


def turn(turns):
    angle = 2 * math.pi * turns
    return np.array([[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]])


def check_rounded_down(got, expected):
    """Pillow drops the fraction of bilinear values."""
    assert (got.shape, got.dtype) == (expected.shape, np.uint8)
    assert (got <= expected + 1e-6).all()
    assert (got > expected - 1 - 1e-6).all()


def test_operations_are_read():
    assert parse("flip + zoom 0.2") == (Operation("flip"), Operation("zoom", 0.2))
    assert parse("flip both") == (Operation("flip both"),)
    assert parse("shift 45 + contrast 3e-1") == (Operation("shift", 45), Operation("contrast", 0.3))
    for wrong in ("", "flop", "zoom", "zoom x", "flip+zoom 0.2", "flip + "):
        with pytest.raises(ValueError, match="is no operation"):
            parse(wrong)


def test_flips_are_exact():
    image = noise(7, 10)
    np.testing.assert_array_equal(fixed_view(image, "flip", "key", 0), image[:, ::-1])
    np.testing.assert_array_equal(fixed_view(image, "flip both", "key", 0), image[::-1, ::-1])
    np.testing.assert_array_equal(fixed_view(image, "flip + flip both", "key", 0), image[::-1])


@pytest.mark.parametrize(
    ("text", "down", "across"), [("shift 45", 45, 45), ("shift 0.25", 16, 20), ("shift 300", 300, 300)]
)
def test_a_shift_is_exact_and_goes_two_of_four_ways(text, down, across):
    image = noise(64, 80)
    wide = np.pad(image, ((down, down), (across, across), (0, 0)), mode="symmetric")
    expected = {
        (y, x): wide[down - y : down - y + 64, across - x : across - x + 80].tobytes()
        for y in (-down, down)
        for x in (-across, across)
    }
    ways = {content: way for way, content in expected.items()}
    found = {ways[fixed_view(image, text, key, 0).tobytes()] for key in KEYS}
    assert found == set(expected)


def test_a_fixed_zoom_shows_the_middle():
    image = noise(40, 60)
    for key in KEYS[:3]:
        check_rounded_down(fixed_view(image, "zoom 0.2", key, 0), seen_through(image, np.diag([0.8, 0.8, 1])))


def test_a_fixed_rotation_goes_either_way():
    image = noise(40, 60)
    ways = [seen_through(image, turn(turns)) for turns in (0.1, -0.1)]
    found = set()
    for key in KEYS[:12]:
        got = fixed_view(image, "rotation 0.1", key, 0)
        way = int(np.abs(got - ways[1]).mean() < np.abs(got - ways[0]).mean())
        check_rounded_down(got, ways[way])
        found.add(way)
    assert found == {0, 1}


def test_contrast_is_that_of_tensorflow():
    import tensorflow as tf

    image = noise(30, 20) // 2 + 40
    expected = {way: tf.image.adjust_contrast(image.astype(np.float32), 1 + way).numpy() for way in (-0.3, 0.3)}
    found = set()
    for key in KEYS[:12]:
        got = fixed_view(image, "contrast 0.3", key, 0).astype(float)
        way = min(expected, key=lambda way: np.abs(got - expected[way]).mean())
        assert np.abs(got - expected[way]).max() <= 0.5 + 1e-3
        found.add(way)
    assert found == set(expected)


def test_brightness_is_added_and_stays_within_bounds():
    image = noise(30, 20)
    expected = {np.clip(image.astype(int) + way, 0, 255).astype(np.uint8).tobytes() for way in (-51, 51)}
    assert {fixed_view(image, "brightness 0.2", key, 0).tobytes() for key in KEYS} == expected


@pytest.mark.parametrize("names", [("shift", "turn"), ("turn", "shift"), ("zoom", "shift"), ("turn", "flip", "zoom")])
def test_operations_follow_each_other_in_their_order(names):
    image = ndimage.gaussian_filter(noise(60, 80).astype(float), (4, 4, 0))
    image = np.clip((image - image.mean()) * 8 + 128, 0, 255).astype(np.uint8)
    texts = {"shift": "shift 9", "turn": "rotation 0.1", "zoom": "zoom 0.3", "flip": "flip"}
    draws = iter(drawn_directions(2, 1, np.arange(1), len(names) + ("shift" in names))[0])
    steps = image.astype(float)
    for name in names:
        first = next(draws)
        steps = seen_through(steps, {
            "shift": lambda way: np.array([[1, 0, -9 * way], [0, 1, -9 * next(draws)], [0, 0, 1]]),
            "turn": lambda way: turn(0.1 * way),
            "zoom": lambda way: np.diag([1 + 0.3 * way] * 2 + [1]),
            "flip": lambda way: np.diag([np.copysign(1, way), 1, 1]),
        }[name](first))  # fmt: skip
    merged = fresh(image[None], " + ".join(texts[name] for name in names), seed=2)[0].astype(float)
    # away from the edge: there the steps mirror an image that has moved already
    inside = np.s_[18:-18, 18:-18]
    assert np.abs(merged - steps)[inside].max() < 6
    assert np.abs(merged - image)[inside].max() > 30


def test_fixed_views_depend_on_seed_operations_and_key_alone():
    image = noise(20, 20)
    first = fixed_view(image, "shift 3", "a", 0)
    np.testing.assert_array_equal(fixed_view(image.copy(), "shift 3", "a", 0), first)
    for vary in (lambda n: ("shift 3", f"key {n}", 0), lambda n: ("shift 3", "a", n)):
        assert len({fixed_view(image, *vary(number)).tobytes() for number in range(40)}) == 4


@pytest.mark.parametrize("operation", EVERY)
def test_shape_and_type_stay_and_the_image_is_not_changed(operation):
    for height, width in ((12, 9), (1, 1), (2, 5)):
        images = noise(4, height, width)
        images.flags.writeable = False
        before = images.copy()
        for got in (fresh(images, operation), np.stack([fixed_view(one, operation, "key", 1) for one in images])):
            assert (got.shape, got.dtype) == (images.shape, np.uint8)
        np.testing.assert_array_equal(images, before)


def test_nothing_changes_where_all_amounts_are_nought():
    images = noise(3, 11, 16)
    nought = "rotation 0 + zoom 0 + shift 0 + contrast 0 + brightness 0"
    np.testing.assert_array_equal(fresh(images, nought), images)
    np.testing.assert_array_equal(fresh(images), images)
    np.testing.assert_array_equal(fixed_view(images[0], nought, "key", 0), images[0])


def test_nothing_changes_where_all_draws_are_nought(monkeypatch):
    images = noise(3, 11, 16)
    monkeypatch.setattr(augment, "drawn_directions", lambda seed, epoch, rows, count: np.zeros((len(rows), count)))
    np.testing.assert_array_equal(fresh(images, *EVERY), images)


def test_one_image_changes_the_same_way_in_every_batch():
    images = noise(8, 20, 24)
    rows = np.array([5, 900, 17, 3, 2**40, 8, 1, 0])
    whole = fresh(images, *EVERY, rows=rows)
    for places in ([3], [7, 0, 2], [1, 4]):
        np.testing.assert_array_equal(fresh(images[places], *EVERY, rows=rows[places]), whole[places])
    np.testing.assert_array_equal(fresh(images, *EVERY, rows=rows), whole)


def test_threads_change_nothing(monkeypatch):
    images = noise(8, 20, 24)
    whole = fresh(images, *EVERY)
    monkeypatch.setattr(augment, "_THREADS_ABOVE", 0)
    monkeypatch.setattr(augment, "core_count", lambda: 3)
    np.testing.assert_array_equal(fresh(images, *EVERY), whole)


def test_entries_in_a_row_and_joined_are_the_same():
    images = noise(4, 20, 24)
    np.testing.assert_array_equal(
        fresh(images, "flip + zoom 0.2", "shift 3"), fresh(images, "flip", "zoom 0.2 + shift 3")
    )


def test_memory_mapped_images(tmp_path):
    images = noise(4, 9, 9)
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    got = fresh(mapped, *EVERY)
    assert type(got) is np.ndarray
    np.testing.assert_array_equal(got, fresh(images, *EVERY))


def test_draws_are_uniform_and_unrelated():
    rows = np.arange(20_000)
    drawn = drawn_directions(7, 1, rows, 3)
    assert drawn.shape == (20_000, 3)
    for column in drawn.T:
        assert stats.kstest(column, stats.uniform(-1, 2).cdf).pvalue > 0.001
    others = [drawn_directions(7, 2, rows, 3), drawn_directions(8, 1, rows, 3)]
    series = np.concatenate([drawn, np.roll(drawn, 1, axis=0), *others], axis=1)
    correlation = np.corrcoef(series, rowvar=False) - np.eye(series.shape[1])
    assert np.abs(correlation).max() < 0.03


def test_fresh_flips_come_half_of_the_time():
    image = noise(3, 4)
    images = np.tile(image, (2000, 1, 1, 1))
    plain, flipped = image.tobytes(), image[:, ::-1].tobytes()
    found = [one.tobytes() for one in fresh(images, "flip")]
    assert set(found) == {plain, flipped}
    assert abs(found.count(flipped) - 1000) < 100
    ways = [image[::down, ::across].tobytes() for down in (1, -1) for across in (1, -1)]
    found = [one.tobytes() for one in fresh(images, "flip both")]
    assert set(found) == set(ways)
    assert max(abs(found.count(way) - 500) for way in ways) < 90


def test_fresh_draws_fill_their_range():
    """A smooth slope tells how far it was shifted, and by how much its contrast and brightness changed."""
    slope = np.repeat(np.tile(np.arange(100, 200, dtype=np.uint8), (8, 1))[:, :, None], 3, axis=2)
    images = np.tile(slope, (600, 1, 1, 1))
    shifts = (fresh(images, "shift 20")[:, 4, 50, 0].astype(float) - 150) / 20
    contrasts = (fresh(images, "contrast 0.4")[:, 4, 90, 0] - 149.5) / (190 - 149.5) - 1
    bright = (fresh(images, "brightness 0.2")[:, 4, 50, 0].astype(float) - 150) / 51
    for values in (shifts, contrasts / 0.4, bright):
        assert np.abs(values).max() <= 1.06
        assert (
            stats.kstest(values + np.random.default_rng(0).normal(0, 0.01, 600), stats.uniform(-1, 2).cdf).pvalue > 1e-4
        )


@pytest.mark.parametrize("size", [(40, 60), (33, 21)])
def test_fresh_rotation_and_zoom_agree_with_scipy(size):
    images = noise(6, *size)
    rows = np.arange(6)
    zooms = 1 + 0.3 * drawn_directions(3, 1, rows, 1)[:, 0]
    assert zooms.min() < 1 < zooms.max()
    for image, got, zoom in zip(images, fresh(images, "zoom 0.3"), zooms, strict=True):
        check_rounded_down(got, seen_through(image, np.diag([zoom, zoom, 1])))
    turns = 0.4 * drawn_directions(3, 1, rows, 1)[:, 0]
    for image, got, way in zip(images, fresh(images, "rotation 0.4"), turns, strict=True):
        check_rounded_down(got, seen_through(image, turn(way)))


def test_fresh_shift_is_bilinear_between_pixels():
    images = noise(6, 20, 30)
    drawn = drawn_directions(3, 1, np.arange(6), 2)
    for image, got, (across, down) in zip(images, fresh(images, "shift 0.2"), drawn, strict=True):
        look = np.array([[1, 0, -6 * across], [0, 1, -4 * down], [0, 0, 1.0]])
        check_rounded_down(got, seen_through(image, look))


def test_epochs_and_seeds_differ():
    images = noise(2, 16, 16)
    seen = {fresh(images, "shift 3", epoch=epoch, seed=seed).tobytes() for epoch in range(5) for seed in range(5)}
    assert len(seen) == 25
