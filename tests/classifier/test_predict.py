"""Predicting in batches, one by one and in threads: always the same answers."""

import os
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from headstart.classifier import predict
from headstart.data import decode
from headstart.errors import ImageError, UsageError


@pytest.fixture(scope="module")
def classifier(bird_bundle):
    return predict.load(bird_bundle)


@pytest.fixture(scope="module")
def pictures():
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (*random.integers(5, 60, 2), 3), np.uint8) for _ in range(50)]


def png(pixels):
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def test_files_bytes_and_arrays_get_the_same_answers(classifier, pictures, tmp_path):
    contents = [png(one) for one in pictures]
    paths = [tmp_path / f"{number}.png" for number in range(50)]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    of_arrays = classifier.predict(pictures)
    for images, names in ((contents, {"bytes"}), (paths, set(map(str, paths))), ([str(p) for p in paths], None)):
        found = classifier.predict(images)
        assert [one.ranked for one in found] == [one.ranked for one in of_arrays]
        assert [one.answer for one in found] == [one.answer for one in of_arrays]
        assert {one.path for one in found} == (names or {str(path) for path in paths})


def test_decoded_batches_in_threads_give_the_same_answers(classifier, pictures):
    expected = classifier.predict(pictures)

    def answer(start):
        chosen = pictures[start : start + 5]
        return classifier.answer_pixels(np.stack([classifier.decode(one) for one in chosen]), ["array"] * 5)

    with ThreadPoolExecutor(8) as pool:
        found = [one for batch in pool.map(answer, range(0, 50, 5)) for one in batch]
    assert found == expected
    assert classifier.answer_pixels(np.zeros((0, 16, 20, 3), np.uint8), []) == []


@pytest.mark.parametrize("pixels", [np.zeros((1, 16, 20, 3)), np.zeros((2, 16, 20, 3), np.uint8)])
def test_pixels_of_another_kind_are_refused(classifier, pixels):
    with pytest.raises(ValueError, match=r"pixels must be uint8 of shape \(1, 16, 20, 3\)\. Received"):
        classifier.answer_pixels(pixels, ["one"])


def test_decode_gives_what_the_network_sees(classifier, pictures, tmp_path):
    pixels = classifier.decode(png(pictures[0]))
    assert pixels.shape == (16, 20, 3)
    np.testing.assert_array_equal(pixels, decode.load(pictures[0], classifier.info.size))
    with pytest.raises(ImageError, match=r"^too large"):
        classifier.decode(png(pictures[0]), pixel_limit=20)
    with pytest.raises(ImageError, match=r"^No such file or directory$"):
        classifier.decode(tmp_path / "nothing.jpg")


def test_an_array_of_images_is_a_list_of_them(classifier):
    many = np.random.default_rng(1).integers(0, 256, (7, 9, 9, 3), np.uint8)
    assert classifier.predict(many) == classifier.predict(list(many))
    np.testing.assert_array_equal(classifier.probabilities(many), classifier.probabilities(list(many)))
    grey = many[..., 0]
    assert len(classifier.predict(grey)) == 7


@pytest.mark.parametrize("image", ["new.jpg", b"\xff\xd8\xff", *(np.zeros((9, 9, n), np.uint8) for n in (3, 4))])
def test_one_image_instead_of_a_list_is_refused(classifier, image):
    with pytest.raises(UsageError, match="Give images in a list"):
        classifier.predict(image)


def test_a_bad_image_is_named(classifier, pictures, tmp_path):
    (tmp_path / "bad.jpg").write_text("no picture")
    rows = classifier.predict([pictures[0], tmp_path / "bad.jpg", b"", pictures[1]])
    assert [one.error for one in rows] == [None, "text, not an image", "empty file", None]
    assert (rows[1].answer, rows[1].ranked, rows[1].unknown_score) == (None, (), None)
    with pytest.raises(ImageError, match=r"bad\.jpg: text, not an image"):
        classifier.probabilities([pictures[0], tmp_path / "bad.jpg"])
    assert list(classifier.outputs([pictures[0], tmp_path / "bad.jpg"]).errors) == [1]


def test_what_a_list_should_not_name_gets_its_reason(classifier, tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    rows = classifier.predict(["a\0b.jpg", tmp_path / "pipe.jpg", tmp_path])
    assert [one.error for one in rows] == ["no file can have this name", "no regular file", "a folder, not an image"]


def test_a_stream_asks_for_images_as_it_goes_on(classifier, pictures):
    asked = []

    def endless():
        while True:
            asked.append(1)
            yield pictures[len(asked) % 50]

    stream = classifier.stream(endless())
    found = [next(stream) for _ in range(100)]
    stream.close()
    ahead = (17 * classifier._trunk.workers + 1) * predict.FEW_BATCHES * classifier._trunk.batch_size
    assert len(asked) <= 100 + ahead
    assert [one.ranked for one in found] == [
        one.ranked for one in classifier.predict([pictures[(number + 1) % 50] for number in range(100)])
    ]


def test_batches_that_are_finished_together_are_the_same(bird_bundle, pictures, tmp_path, monkeypatch):
    classifier = predict.load(bird_bundle)
    (tmp_path / "bad.jpg").write_text("no picture")
    images = [*pictures[:20], tmp_path / "bad.jpg", *pictures[20:], b""]
    expected, outputs = classifier.predict(images), classifier.outputs(images)
    monkeypatch.setattr(predict, "TURNS", 1 / 16)
    assert predict._together(images, classifier._trunk) >= 52
    for one, other in zip(classifier.predict(images), expected, strict=True):
        assert (one.answer, one.error, one.path) == (other.answer, other.error, other.path)
        assert one.unknown_score == pytest.approx(other.unknown_score, abs=1e-5)
        assert one.ranked == other.ranked
    found = classifier.outputs(images)
    assert found.errors == outputs.errors == {20: "text, not an image", 51: "empty file"}
    np.testing.assert_array_equal(found.logits, outputs.logits)
    np.testing.assert_array_equal(found.features, outputs.features)


@pytest.mark.parametrize(("images", "expected"), [(0, 8), (64, 8), (300, 16), (3670, 64), (100_000, 64)])
def test_how_many_images_a_thread_takes(classifier, images, expected, monkeypatch):
    monkeypatch.setattr(classifier._trunk, "workers", 2)
    assert predict._together(range(images), classifier._trunk) == expected
    assert predict._together(iter(range(images)), classifier._trunk) == 32
