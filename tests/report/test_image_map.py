"""The map on the page: every image has its mark, the numbers are those of map.csv, and names cannot do harm."""

import base64
import csv
import dataclasses
import io
import re
from collections import Counter

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from headstart.report import content, image_map
from headstart.report.image_map import neighbour_counts
from headstart.report.map_marks import SHAPES, marks, style_of
from headstart.report.page import render
from headstart.runs.folder import MapRow

LONG = tuple(f"{kind} of the northern and the western meadows, in full bloom" for kind in ("daisies", "roses"))


def section(page):
    """Return the map's part of the page."""
    return page[page.index('<figure class="map">') : page.index("How well the classes keep apart on the map")]


def marks_of(page, kind):
    """Return how many marks of a kind there are, by class number."""
    drawing = section(page).partition("map-rings")[0]
    groups = re.findall(r'<g class="of-class" data-class="(\d+)".*?</g>', drawing, re.DOTALL)
    found = Counter()
    for number, group in zip(
        groups, re.findall(r'<g class="of-class" data-class=.*?</g>', drawing, re.DOTALL), strict=True
    ):
        found[int(number)] += sum(path.count("M") for path in re.findall(rf'<path class="{kind}" d="([^"]*)"', group))
    return found


def test_every_image_has_a_mark_of_its_class(map_run):
    folder, page = map_run
    names = folder.summary().dataset.classes
    assert marks_of(page, r"\w+ \w+") == Counter(names.index(row.label) for row in folder.map())


def test_test_images_and_wrong_answers_can_be_told(map_run):
    folder, page = map_run
    rows, names = folder.map(), folder.summary().dataset.classes
    wrong = [row for row in rows if row.predicted not in (None, row.label)]
    assert wrong
    assert marks_of(page, r"tested \w+") == Counter(names.index(row.label) for row in rows if row.part == "test")
    assert marks_of(page, r"\w+ wrong") == Counter(names.index(row.label) for row in wrong)
    assert f"{len(wrong)} wrong answers</label>" in page
    assert f"{sum(row.part == 'test' for row in rows)} test images</label>" in page
    rings = section(page).partition("map-rings")[2]
    assert sum(path.count("M") for path in re.findall(r' d="([^"]*)"', rings)) == len(wrong)


def test_marks_stand_where_the_table_says(map_run):
    folder, page = map_run
    scale = float(re.search(r'data-scale="([\d.]+)"', page)[1])
    width, height = (
        float(side) for side in re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)" [^>]*data-scale', page).groups()
    )
    places = {tuple(map(float, pair)) for pair in re.findall(r"M([-\d.]+) ([-\d.]+)m", section(page))}
    for row in folder.map():
        x, y = width / 2 + scale * row.x, height / 2 - scale * row.y
        assert 0 < x < width and 0 < y < height
        assert any(abs(x - left) <= 0.051 and abs(y - top) <= 0.051 for left, top in places)


def test_the_download_is_the_file(map_run):
    folder, page = map_run
    found = re.search(r'download="map.csv" href="data:text/csv;charset=utf-8;base64,([^"]+)"', page)[1]
    assert base64.b64decode(found) == (folder.path / "map.csv").read_bytes()


def test_the_sheet_of_pictures_is_there_once(map_run):
    folder, page = map_run
    assert page.count(base64.b64encode(folder.map_sheet()).decode()) == 1
    assert 'data-columns="24" data-lines="2"' in page


def test_shares_of_neighbours_are_those_that_scikit_learn_finds(map_run):
    folder, _ = map_run
    found = image_map.gather(folder, content.gather(folder))
    rows = folder.map()
    places, labels = np.array([(row.x, row.y) for row in rows]), np.array([row.label for row in rows])
    near = NearestNeighbors(n_neighbors=10).fit(places).kneighbors(return_distance=False)
    same = (labels[near] == labels[:, None]).mean(axis=1)
    assert found.alike == pytest.approx(same.mean())
    for area in found.areas:
        assert area.alike == pytest.approx(same[labels == area.name].mean())
        others = Counter(labels[near[labels == area.name]].ravel().tolist())
        del others[area.name]
        assert others[area.other] == max(others.values())


def test_the_words_tell_the_numbers(map_run):
    folder, page = map_run
    found = image_map.gather(folder, content.gather(folder))
    assert f"{len(folder.map())} images of 5 classes" in found.words
    assert found.words.count("%") == 6
    assert found.words in page


def test_neighbours_of_few_images():
    places, labels = np.array([[0.0, 0], [1, 0], [5, 0]]), np.array([0, 1, 1])
    assert neighbour_counts(places, labels, 3).tolist() == [[0, 2, 0], [2, 2, 0], [0, 0, 0]]
    assert neighbour_counts(places[:1], labels[:1], 3).sum() == 0


def test_an_older_run_has_no_map(build_run):
    folder = build_run()
    assert image_map.gather(folder, content.gather(folder)) is None
    assert "A map of the images" not in render(folder)


def test_a_map_without_images_is_none(build_run):
    folder = build_run()
    folder.write_map(())
    assert image_map.gather(folder, content.gather(folder)) is None


def test_damaged_rows_are_passed_over(build_run):
    folder = build_run(mapped=True)
    rows = folder.map()
    before = render(folder)
    odd = dataclasses.replace(rows[0], label="no class")
    places = [dataclasses.replace(rows[1], x=value) for value in (float("nan"), float("inf"))]
    folder.write_map([odd, *rows, *places, dataclasses.replace(rows[1], y=-float("inf"))], folder.map_sheet())
    assert render(folder) == before
    folder.write_map([odd])
    assert image_map.gather(folder, content.gather(folder)) is None


def test_names_of_files_cannot_leave_the_table(build_run):
    folder = build_run(mapped=True)
    evil = '</script><img src=x onerror="alert(1)">,\n"quoted".jpg'
    rows = [dataclasses.replace(row, path=evil) if place == 3 else row for place, row in enumerate(folder.map())]
    folder.write_map(rows, folder.map_sheet())
    page = render(folder)
    assert "<img src=x" not in page
    address = re.search(r'download="map.csv" href="[^"]*base64,([^"]+)"', page)[1]
    assert list(csv.DictReader(io.StringIO(base64.b64decode(address).decode())))[3]["path"] == evil


@pytest.mark.parametrize(
    "classes", [("<b>bold</b>", "a & b", 'say "so"'), LONG, tuple(f"kind {n}" for n in range(102))]
)
def test_any_class_names(build_run, classes):
    folder = build_run(mapped=True, classes=classes, clean=True, per_class=15)
    page = render(folder)
    assert "<b>bold</b>" not in page
    assert section(page).count("<li data-class=") == len(classes)
    found = image_map.gather(folder, content.gather(folder))
    assert all(len(name.text) <= image_map.LONGEST_NAME for name in found.names)
    assert len(found.names) == (0 if len(classes) > image_map.MOST_NAMED else len(classes))


def test_nothing_wrong_and_nothing_to_choose(build_run):
    folder = build_run(mapped=True, perfect=True)
    folder.write_map(
        [dataclasses.replace(row, predicted=row.label, part="test", tile=None) for row in folder.map()], None
    )
    page = section(render(folder))
    assert "map-wrong" not in page
    assert 'id="map-test"' not in page
    assert "Ringed" not in page


def test_without_pictures_and_without_a_log_the_map_is_there(build_run):
    folder = build_run(mapped=True)
    (folder.path / "media" / "map.jpg").unlink()
    (folder.path / "log.jsonl").unlink()
    page = render(folder)
    assert "Near means alike to the network." in page
    assert "map-picture" not in section(page)


def test_a_map_of_answers_says_so(build_run):
    folder = build_run(mapped=True)
    assert "Near means alike to MobileNet, by its features" in render(folder)
    folder.log("image map", images=300, of="answers", candidate="mobilenet_v2-lr0.001")
    assert "alike in what MobileNetV2 answers" in render(folder)


def test_thousands_of_images_take_little_room(build_run):
    folder = build_run(mapped=True)
    random, names = np.random.default_rng(0), folder.summary().dataset.classes
    rows = [
        MapRow(
            f"{names[n % 5]}/{n:012d}_{n:012x}.jpg", names[n % 5], "train", names[0], *random.uniform(-1, 1, 2).round(4)
        )
        for n in range(4000)
    ]
    folder.write_map([dataclasses.replace(row, x=float(row.x), y=float(row.y)) for row in rows])
    assert len(section(render(folder))) < 900_000


def test_64_classes_look_different():
    assert len({style_of(index) for index in range(64)}) == 64
    assert [style_of(index).shape for index in range(8)] == list(range(8))


@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_a_mark_lies_around_its_place(shape):
    path = marks(np.array([[100.0, 50.0]]), shape, 4.0)
    assert path.startswith("M100 50m")
    x, y, points = 100.0, 50.0, []
    for letter, numbers in re.findall(r"([mla])([^mlaz]*)", path.partition("m")[1] + path.partition("m")[2]):
        values = [float(one) for one in re.findall(r"-?[\d.]+", numbers)]
        steps = [values[-2:]] if letter == "a" else [values[at : at + 2] for at in range(0, len(values), 2)]
        for step in steps:
            x, y = x + step[0], y + step[1]
            points.append((x, y))
    distances = np.linalg.norm(np.array(points) - (100, 50), axis=1)
    assert 3.5 < distances.max() < 6
    assert np.mean(points, axis=0) == pytest.approx((100, 50), abs=2.1 if shape == 0 else 0.3)
