"""The pictures of a study: the right images, once each, and nothing that an explanation's failure could stop."""

import io
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace as Like

import numpy as np
import pytest
from PIL import Image

from headstart.data.audit import Atypical, Audit
from headstart.data.decode import Resize
from headstart.data.images import ImageRow
from headstart.errors import ClassifierError
from headstart.runs.folder import DoubtRow, PredictionBlock, RunFolder
from headstart.study import galleries, pictures

GALLERIES = ("sure", "mistake", "confused", "unsure", "disagreement")
NO_AUDIT = Audit((), (), (), (), (), {}, ())


def encoded(row):
    """Return the made-up pixels of an image: its number decides colour and sides."""
    number = int(row.path.partition(".")[0])
    height, width = ((48, 64), (64, 48), (30, 400))[number % 3]
    return np.full((height, width, 3), (number * 7 % 256, number * 13 % 256, 90), np.uint8)


class Map:
    """Stands for an explainer: all heat lies in the upper half."""

    asked = ()

    def __init__(self, classifier):
        assert classifier.info.size == Resize(32, 32)

    def grad_cam(self, images, classes):
        Map.asked = list(zip([image.shape for image in images], classes, strict=True))
        return [np.float32([[1, 1], [0, 0]]) for _ in images]


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Return a maker of cases whose finalists say made-up things of 60 test images of 5 classes."""
    monkeypatch.setattr(pictures, "Explainer", Map)
    monkeypatch.setattr(pictures.predict, "load", lambda folder: Like(info=Like(size=Resize(32, 32))))

    def make(images=60, classes=5, finalists=2, perfect=False, audit=NO_AUDIT, doubts=()):
        random = np.random.default_rng(classes)
        labels = np.arange(images) % classes
        names = tuple(f"class {number}" for number in range(classes))
        rows = tuple(
            ImageRow(f"{n}.png", names[label], f"{n:064x}", 8, 8, "ok", "", "", "test")
            for n, label in enumerate(labels)
        )
        blocks = []
        for number in range(finalists):
            logits = random.normal(size=(images, classes)) + (30 if perfect else 1.5) * np.eye(classes)[labels]
            shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            paths = tuple(row.path for row in rows)
            blocks.append(PredictionBlock(f"c{number}", "test", None, None, paths, labels, shares, logits))
        folder = RunFolder(tmp_path / "run")
        folder.write_audit(audit)
        folder.write_doubts(doubts)
        everything = np.arange(images)
        return Like(
            plan=Like(
                networks=(),
                recipe=Like(data=Like(resize="stretch")),
                table=Like(classes=names, ok=rows),
                encoded=encoded,
            ),
            parts=Like(rows=rows, labels=labels, train=everything, test=everything),
            classes=names,
            best="c0",
            ranked=[Like(id=block.candidate) for block in blocks],
            test_of=lambda name: next(block for block in blocks if block.candidate == name),
            final_of=lambda name: Like(judged=Like(network=Like(size=Resize(32, 32)))),
            place=Like(folder=folder),
        )

    return make


def drawn(case):
    return list(pictures.pictures(case))


def of_kind(rows, kind):
    return [(row, jpeg) for row, jpeg in rows if row.kind == kind]


@pytest.mark.parametrize("sizes", [(60, 5, 2), (60, 2, 1), (200, 40, 3)])
def test_galleries_show_the_chosen_images_with_what_the_best_says(made, sizes):
    case = made(*sizes)
    rows, block = drawn(case), case.test_of("c0")
    shares = [case.test_of(one.id).probabilities for one in case.ranked]
    photographs = {row.number: row.path for row, _ in of_kind(rows, "photograph")}
    assert len(set(photographs.values())) == len(photographs)
    for kind, places in galleries.chosen(block.labels, shares).items():
        found = of_kind(rows, kind)
        assert [row.path for row, _ in found] == [f"{place}.png" for place in places]
        assert [row.number for row, _ in found] == list(range(len(places)))
        for (row, jpeg), place in zip(found, places, strict=True):
            assert jpeg is None and photographs[row.photograph] == row.path
            assert row.label == case.classes[block.labels[place]]
            assert row.predicted == case.classes[np.argmax(block.probabilities[place])]
            assert row.probability == max(block.probabilities[place].tolist())


def test_photographs_are_whole_and_small(made):
    for row, jpeg in of_kind(drawn(made()), "photograph"):
        height, width, _ = encoded(row).shape
        image = Image.open(io.BytesIO(jpeg))
        assert max(image.size) == 160 and image.size[0] / image.size[1] == pytest.approx(width / height, rel=0.05)
        assert np.abs(np.asarray(image, int).mean(axis=(0, 1)) - encoded(row)[0, 0]).max() < 4


def test_overlays_explain_the_answer_of_the_best_on_its_own_input(made):
    case = made()
    rows, block = drawn(case), case.test_of("c0")
    explained = {row.path for kind in GALLERIES[:4] for row, _ in of_kind(rows, kind)}
    overlays = of_kind(rows, "overlay")
    assert {row.path for row, _ in overlays} == explained
    numbers = {row.path: row.number for row, _ in of_kind(rows, "photograph")}
    assert all(numbers[row.path] == row.number for row, _ in overlays)
    said = {f"{n}.png": int(share.argmax()) for n, share in enumerate(block.probabilities)}
    assert Map.asked == [((32, 32, 3), said[row.path]) for row, _ in overlays]
    plain = {row.number: np.asarray(Image.open(io.BytesIO(jpeg)), int) for row, jpeg in of_kind(rows, "photograph")}
    for row, jpeg in overlays:
        heated = np.asarray(Image.open(io.BytesIO(jpeg)), int)
        quarter = len(heated) // 4
        upper, lower = heated[:quarter].mean(axis=(0, 1)), heated[-quarter:].mean(axis=(0, 1))
        assert heated.shape == plain[row.number].shape and np.abs(upper - lower).max() > 40


@pytest.mark.parametrize("error", [ClassifierError("no feature map"), ValueError("anything")])
def test_a_failed_explanation_ends_nothing(made, monkeypatch, error):
    case = made()
    whole = drawn(case)

    def fails(self, images, classes):
        raise error

    monkeypatch.setattr(Map, "grad_cam", fails)
    rows = drawn(case)
    assert [row for row, _ in rows] == [row for row, _ in whole if row.kind != "overlay"]
    [entry] = [one for one in case.place.folder.log_entries() if one.event == "overlays"]
    assert entry.details["failed"] == f"{type(error).__name__}: {error}"


def test_no_mistake_and_one_finalist_leave_galleries_empty(made):
    rows = drawn(made(finalists=1, perfect=True))
    times = Counter(row.kind for row, _ in rows)
    assert (times["mistake"], times["confused"], times["disagreement"]) == (0, 0, 0)
    assert (times["sure"], times["unsure"]) == (12, 12) and times["overlay"] == times["photograph"] > 0


def test_thumbnails_are_of_what_is_doubted_odd_or_there_twice(made):
    groups = tuple((f"{n}.png", f"{n + 1}.png", f"{n + 2}.png") for n in range(0, 27, 3))
    audit = replace(
        NO_AUDIT,
        exact_duplicates=groups[:2],
        near_duplicates=groups[2:],
        label_conflicts=((*(f"{n}.png" for n in range(30, 36)),),),
        atypical=(Atypical("40.png", "class 0", "class 1", 4.0), Atypical("gone.png", "class 0", "class 0", 4.0)),
    )
    doubts = [DoubtRow(f"{50 - n}.png", "class 0", "class 1", 0.9) for n in range(14)]
    doubts.append(DoubtRow("59.png", "class 0", "class 1", None, "drop"))
    thumbnails = of_kind(drawn(made(audit=audit, doubts=doubts)), "thumbnail")
    expected = [*(f"{50 - n}.png" for n in range(12)), *(f"{n}.png" for n in range(30, 34))]
    expected += [*(path for group in groups[2:8] for path in group), "0.png", "3.png"]
    assert [row.path for row, _ in thumbnails] == list(dict.fromkeys(expected))
    assert [row.number for row, _ in thumbnails] == list(range(len(thumbnails)))
    assert all(max(Image.open(io.BytesIO(jpeg)).size) == 112 for _, jpeg in thumbnails)


def test_the_same_study_makes_the_same_bytes(made):
    case = made()
    assert drawn(case) == drawn(case)


def test_a_run_folder_stores_every_photograph_once(made):
    case = made()
    rows = drawn(case)
    case.place.folder.write_pictures(rows)
    assert case.place.folder.pictures() == tuple(row for row, _ in rows)
    files = {path.name for path in (case.place.folder.path / "media").glob("*.jpg")}
    assert files == {f"{row.kind}-{row.number:05d}.jpg" for row, jpeg in rows if jpeg is not None}
    jpegs = {row.number: jpeg for row, jpeg in of_kind(rows, "photograph")}
    for row, _ in of_kind(rows, "unsure"):
        assert case.place.folder.picture_bytes(row) == jpegs[row.photograph]


def test_a_finished_study_has_galleries_and_overlays(finished):
    folder = RunFolder(finished.result.folder)
    summary, rows = folder.summary(), folder.pictures()
    [block] = folder.predictions(candidates=[summary.best], parts=["test"])
    said = {path: float(share.max()) for path, share in zip(block.paths, block.probabilities, strict=True)}
    shown = [row for row in rows if row.kind in GALLERIES]
    assert {row.kind for row in shown} >= {"sure", "unsure"}
    for row in shown:
        assert row.probability == pytest.approx(said[row.path], rel=1e-8)
    overlays = {row.number for row in rows if row.kind == "overlay"}
    assert overlays == {row.photograph for row in shown if row.kind != "disagreement"}
    assert not [one for one in folder.log_entries() if one.event == "overlays"]
