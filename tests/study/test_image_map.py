"""The map of the images: neighbours stay neighbours, the same study draws the same bytes, odd input draws nothing."""

import io
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness
from threadpoolctl import threadpool_limits

from headstart import api
from headstart.data import decode
from headstart.data.decode import Resize
from headstart.recipe import Candidate, Training
from headstart.runs.folder import MapRow, PredictionBlock, RunFolder
from headstart.runs.rows import MAP_COLUMNS, MAP_TILE
from headstart.study import image_map
from headstart.study.conclude import Opened
from headstart.study.image_map import layout, picture_sheet, pictured, sample, what_is_seen


def clusters(images=240, groups=6, values=40):
    """Return features of groups that lie apart, each along a line of its own, and the groups."""
    random = np.random.default_rng(3)
    group = np.arange(images) % groups
    along = random.uniform(-1, 1, (images, 1)) * random.normal(size=(groups, values))[group]
    features = 3 * random.normal(size=(groups, values))[group] + 2 * along + 0.1 * random.normal(size=(images, values))
    return features.astype(np.float32), group


@pytest.fixture(scope="module")
def drawn():
    features, group = clusters()
    return features, group, layout(features, 0)


def test_neighbours_of_the_features_are_neighbours_on_the_map(drawn):
    features, _, places = drawn
    kept = trustworthiness(features, places, n_neighbors=10)
    by_chance = trustworthiness(features, np.random.default_rng(0).normal(size=places.shape), n_neighbors=10)
    assert kept > 0.97
    assert by_chance < 0.6
    assert kept > trustworthiness(features, PCA(2).fit_transform(features), n_neighbors=10)


def test_groups_that_lie_apart_stand_apart(drawn):
    _, group, places = drawn
    apart = ((places[:, None] - places[None]) ** 2).sum(axis=2)
    np.fill_diagonal(apart, np.inf)
    assert np.mean(group[apart.argmin(axis=1)] == group) > 0.99


def test_the_map_lies_wide_and_centred(drawn):
    places = drawn[2]
    assert np.abs(places).max() == pytest.approx(1, abs=2e-4)
    assert places.max(axis=0) == pytest.approx(-places.min(axis=0), abs=2e-4)
    assert places[:, 0].std() > places[:, 1].std()
    assert (np.round(places, 4) == places).all()


def test_the_same_bytes_with_any_number_of_threads(drawn):
    features, _, places = drawn
    with threadpool_limits(2):
        assert layout(features, 0).tobytes() == places.tobytes()
    with threadpool_limits(1):
        assert layout(features, 0).tobytes() == places.tobytes()


@pytest.mark.parametrize(
    "values",
    [np.ones((30, 8)), np.random.default_rng(0).normal(size=(9, 8)), np.full((30, 8), np.nan), np.zeros((0, 8))],
    ids=["all the same", "too few", "no numbers", "none"],
)
def test_nothing_is_drawn_of_what_says_nothing(values):
    assert layout(values, 0) is None


@pytest.mark.parametrize("shape", [(10, 3), (11, 500), (25, 1), (40, 2)])
def test_few_images_and_few_values_are_drawn(shape):
    places = layout(np.random.default_rng(1).normal(size=shape), 0)
    assert places.shape == (shape[0], 2)
    assert np.isfinite(places).all()


def test_images_that_are_there_many_times_are_drawn():
    values = np.random.default_rng(2).normal(size=(5, 16))[np.arange(60) % 5]
    places = layout(values, 0)
    assert np.isfinite(places).all()
    assert np.ptp(places, axis=0).max() > 1


def test_a_sample_has_the_same_share_of_every_class_and_all_of_the_small_ones():
    labels = np.repeat([0, 1, 2, 3], [6000, 3000, 4, 60])
    rows = sample(labels, 907, 5)
    counts = np.bincount(labels[rows])
    assert (np.diff(rows) > 0).all()
    assert counts.sum() == 907
    assert counts.tolist() == pytest.approx([597, 298, 4, 8], abs=4)
    assert sample(labels, 907, 5).tolist() == rows.tolist()
    assert sample(labels, 907, 6).tolist() != rows.tolist()
    assert sample(labels, 9064, 5).tolist() == list(range(9064))


def rows_of(labels, wrong, places):
    return [
        MapRow(f"{place}.png", label, "test", "other" if place in wrong else label, x, y)
        for place, (label, (x, y)) in enumerate(zip(labels, places, strict=True))
    ]


def test_pictures_go_to_every_class_then_to_wrong_answers_then_all_over():
    random = np.random.default_rng(0)
    crowd, far = random.uniform(-0.9, -0.8, (500, 2)), random.uniform(-1, 1, (100, 2))
    places = np.concatenate([crowd, far])
    labels = ["a"] * 599 + ["rare"]
    wrong = set(range(100, 130))
    chosen = pictured(rows_of(labels, wrong, places), places, 90).tolist()
    assert len(chosen) == 90 == len(set(chosen))
    assert {0, 599} | wrong <= set(chosen)
    rest = set(chosen) - {0, 599} - wrong
    assert sum(place >= 500 for place in rest) > 0.8 * len(rest)


def test_no_more_pictures_than_wanted_even_of_wrong_answers():
    places = np.random.default_rng(0).uniform(-1, 1, (50, 2))
    assert len(pictured(rows_of(["a"] * 50, set(range(50)), places), places, 20)) == 20
    assert pictured(rows_of(["a"] * 5, set(), places[:5]), places[:5], 20).tolist() == [0, 1, 2, 3, 4]


def tile_of(sheet, tile):
    line, column = divmod(tile, MAP_COLUMNS)
    pixels = np.asarray(Image.open(io.BytesIO(sheet)))
    return pixels[line * MAP_TILE : (line + 1) * MAP_TILE, column * MAP_TILE : (column + 1) * MAP_TILE].astype(int)


def test_the_sheet_holds_the_pictures_row_by_row():
    colours = np.random.default_rng(0).integers(0, 256, (MAP_COLUMNS + 3, 1, 1, 3), np.uint8)
    pictures = [np.broadcast_to(colour, (MAP_TILE, MAP_TILE, 3)) for colour in colours]
    sheet = picture_sheet(pictures)
    assert Image.open(io.BytesIO(sheet)).size == (MAP_COLUMNS * MAP_TILE, 2 * MAP_TILE)
    for tile, picture in enumerate(pictures):
        # the colours of neighbours run into the outermost pixels: JPEG holds them at half the resolution
        assert np.abs(tile_of(sheet, tile) - picture.astype(int))[1:-1, 1:-1].max() <= 12
    assert picture_sheet([]) is None


def test_a_sheet_of_noise_stays_small():
    noise = np.random.default_rng(0).integers(0, 256, (900, MAP_TILE, MAP_TILE, 3), np.uint8)
    assert len(picture_sheet(list(noise))) < 10**6


def test_a_study_draws_all_its_images(finished):
    folder = RunFolder(finished.result.folder)
    images = {row.path: row for row in folder.images() if row.status == "ok"}
    drawn = {row.path: row for row in folder.map()}
    assert drawn.keys() == images.keys()
    assert all((drawn[path].label, drawn[path].part) == (row.label, row.split) for path, row in images.items())
    [entry] = [json.loads(line) for line in (folder.path / "log.jsonl").read_text().splitlines() if "image map" in line]
    assert (entry["images"], entry["pictures"], entry["of"]) == (72, 72, "features")
    assert entry["candidate"] == finished.result.summary.best


def test_what_is_predicted_comes_from_models_that_had_not_learned_from_the_image(finished):
    folder, best = RunFolder(finished.result.folder), finished.result.summary.best
    blocks = folder.predictions(candidates=[best], parts=["out_of_fold", "test"])
    classes = finished.result.summary.dataset.classes
    said = {
        path: classes[place]
        for block in blocks
        for path, place in zip(block.paths, block.probabilities.argmax(axis=1), strict=True)
    }
    assert {row.path: row.predicted for row in folder.map()} == said


def test_the_tiles_are_the_photographs(finished):
    folder = RunFolder(finished.result.folder)
    rows, sheet = folder.map(), folder.map_sheet()
    assert sorted(row.tile for row in rows) == list(range(72))
    size = Resize(MAP_TILE, MAP_TILE, "crop")
    small = np.array([decode.load((finished.data / row.path).read_bytes(), size) for row in rows]).astype(int)
    for place, row in enumerate(rows):
        apart = np.abs(small - tile_of(sheet, row.tile)).mean(axis=(1, 2, 3))
        assert apart.argmin() == place
        assert apart[place] < 20


def test_the_same_study_draws_the_same_bytes(finished, tmp_path, monkeypatch):
    monkeypatch.setenv("HEADSTART_CACHE", str(finished.cache))
    again = RunFolder(api.compare(finished.data, finished.settings, out=tmp_path / "again").folder)
    first = RunFolder(finished.result.folder)
    assert again.map() == first.map()
    assert again.map_sheet() == first.map_sheet()


@pytest.fixture
def case(made_case):
    features, group = clusters(images=120, groups=3)
    candidate = Candidate("mobilenet", train=Training(epochs=8))
    made = made_case(features, group, [candidate], folds=3)
    nothing = np.zeros((0, 3), np.float32)
    block = PredictionBlock(made.best, "test", None, None, (), np.zeros(0, np.int64), nothing, nothing)
    return replace(made, opened=Opened((), (block,), 1))


def test_features_come_first(case):
    seen = what_is_seen(case)
    assert (seen.of, seen.candidate) == ("features", case.best)
    assert np.linalg.norm(seen.values, axis=1) == pytest.approx(np.ones(120), abs=1e-5)


def test_without_features_the_answers_are_drawn(case, monkeypatch):
    monkeypatch.setattr(image_map, "frozen_learner", lambda case: None)
    seen, held_back = what_is_seen(case), case.out_of_fold(case.best)
    assert (seen.of, seen.candidate) == ("answers", case.best)
    assert seen.rows.tolist() == held_back.rows.tolist()
    assert (seen.values == held_back.logits).all()


def test_no_more_images_than_the_map_holds(case, monkeypatch):
    monkeypatch.setattr(image_map, "MOST_IMAGES", 60)
    seen = what_is_seen(case)
    assert Counter(case.parts.labels[seen.rows].tolist()) == {0: 20, 1: 20, 2: 20}
    assert len(seen.values) == 60


def test_a_map_that_cannot_be_drawn_does_not_end_the_study(case, monkeypatch):
    said, logged = [], []
    place = type("Place", (), {})()
    place.progress = type("Progress", (), {"say": said.append})()
    place.folder = type("Folder", (), {"log": lambda self, event, **details: logged.append((event, details))})()
    monkeypatch.setattr(image_map, "layout", lambda values, seed: 1 / 0)
    with ThreadPoolExecutor(1) as pool:
        image_map.write_image_map(replace(case, place=place), pool.submit(image_map.draw, case))
    assert said == ["The map of the images could not be drawn: ZeroDivisionError: division by zero"]
    assert logged[0][1]["images"] == 0
