"""ImageClassifier: scikit-learn's own checks, its tools, and the same numbers as a study and a saved classifier."""

import pickle
import subprocess
import sys
from io import BytesIO

import joblib
import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone, is_classifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted, validate_data

import headstart
from headstart.errors import ImageError, UsageError
from headstart.estimator import ImageClassifier
from headstart.features.trunk import OpenVinoTrunk
from headstart.training.heads import softmax

SIDE = 8
TINY = {"weights": "random", "image_size": SIDE}


class TableClassifier(ImageClassifier):
    """The classifier on tables of numbers, drawn as pictures: so scikit-learn's checks, which have no others, can run.

    A number becomes the grey level of the pixels that belong to its column.
    """

    def __init__(self, *, seed=0):
        super().__init__("small_cnn", head="logistic", seed=seed, **TINY)

    @classmethod
    def _get_param_names(cls):
        return ["seed"]

    def fit(self, X, y):  # noqa: N803
        X, _ = validate_data(self, X, y)  # noqa: N806
        self.low_, self.high_ = X.min(axis=0), X.max(axis=0)
        return super().fit(self._pictures(X), y)

    def _logits(self, X):  # noqa: N803
        check_is_fitted(self, "weights_")
        return super()._logits(self._pictures(validate_data(self, X, reset=False)))

    def _pictures(self, table):
        span = np.where(self.high_ > self.low_, self.high_ - self.low_, 1)
        levels = np.clip((table - self.low_) / span * 127 + 64, 0, 255).astype(np.uint8)
        return levels[:, np.resize(np.arange(levels.shape[1]), SIDE * SIDE)].reshape(-1, SIDE, SIDE)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.one_d_array = tags.input_tags.string = False
        return tags


@pytest.fixture(scope="module", autouse=True)
def one_cache(tmp_path_factory):
    """The checks fit dozens of times: all of them share the features."""
    return tmp_path_factory.mktemp("features")


@pytest.fixture(autouse=True)
def shared_cache(own_cache, one_cache, monkeypatch):
    monkeypatch.setenv("HEADSTART_CACHE", str(one_cache))


@parametrize_with_checks([TableClassifier()])
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def pictures():
    """Forty pictures of two kinds, light and dark, of different sizes."""
    random = np.random.default_rng(0)
    shapes = random.integers(9, 20, (40, 2))
    return [
        (random.integers(0, 120, (*shape, 3)) + 120 * (place % 2)).astype(np.uint8)
        for place, shape in enumerate(shapes)
    ]


LABELS = np.array(["night", "day"])[np.arange(40) % 2]


def tiny(**changes):
    return ImageClassifier("small_cnn", **{**TINY, "head": "logistic", **changes})


def saved_files(pictures, folder):
    paths = [folder / f"{place}.png" for place in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        Image.fromarray(picture).save(path)
    return paths


def test_files_bytes_and_pixels_are_one_thing(pictures, tmp_path):
    paths = saved_files(pictures, tmp_path)
    objects = np.empty(40, object)
    objects[:] = pictures
    expected = tiny().fit(pictures, LABELS).predict_proba(pictures)
    assert expected.shape == (40, 2)
    np.testing.assert_allclose(expected.sum(axis=1), 1)
    for images in (paths, [str(path) for path in paths], np.array(list(map(str, paths))), objects):
        np.testing.assert_allclose(tiny().fit(images, LABELS).predict_proba(images), expected, atol=1e-6)
    found = tiny().fit([path.read_bytes() for path in paths], LABELS)
    np.testing.assert_allclose(found.predict_proba(paths), expected, atol=1e-6)
    same_size = np.stack([picture[:9, :9] for picture in pictures])
    assert tiny().fit(same_size, LABELS).score(same_size, LABELS) == 1
    assert tiny().fit(same_size[..., 0], LABELS).score(same_size[..., 0], LABELS) == 1


def test_what_it_says_belongs_together(pictures):
    labels = np.arange(40) % 3
    classifier = tiny(head="softmax", epochs=3, dense=(6,), dropout=0.1, l2=1e-4).fit(pictures, labels)
    logits = classifier.decision_function(pictures)
    assert logits.shape == (40, 3)
    np.testing.assert_array_equal(classifier.predict_proba(pictures), softmax(logits))
    np.testing.assert_array_equal(classifier.predict(pictures), logits.argmax(axis=1))
    assert classifier.score(pictures, labels) == np.mean(classifier.predict(pictures) == labels)
    binary = tiny().fit(pictures, LABELS)
    np.testing.assert_array_equal(binary.decision_function(pictures) > 0, binary.predict(pictures) == "night")
    assert list(binary.classes_) == ["day", "night"] and is_classifier(binary)
    assert [array.shape for array in classifier.weights_] == [(128, 6), (6,), (6, 3), (3,)]


def test_a_search_computes_features_once(pictures, monkeypatch, tmp_path):
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    computed = []
    run = OpenVinoTrunk.run
    monkeypatch.setattr(OpenVinoTrunk, "run", lambda self, pixels: (computed.append(len(pixels)), run(self, pixels))[1])
    grid = {"head": ["softmax", "logistic"], "learning_rate": [1e-3, 1e-1], "epochs": [2]}
    search = GridSearchCV(tiny(), grid, cv=3, n_jobs=1).fit(pictures, LABELS)
    assert search.best_params_["head"] == "logistic" and search.best_score_ == 1
    assert sum(computed) == 40
    np.testing.assert_array_equal(cross_val_score(tiny(), pictures, LABELS, cv=4), np.ones(4))
    assert sum(computed) == 40


def test_several_processes(pictures):
    scores = cross_val_score(tiny(), pictures, LABELS, cv=2, n_jobs=2)
    np.testing.assert_array_equal(scores, np.ones(2))


def test_parameters_clones_and_pickles(pictures):
    classifier = tiny(learning_rate=0.5, dense=(4,), class_weights="balanced")
    assert clone(classifier).get_params() == classifier.get_params()
    assert classifier.set_params(seed=3).seed == 3
    fitted = tiny().fit(pictures, LABELS)
    expected = fitted.predict_proba(pictures)
    stream = BytesIO()
    joblib.dump(fitted, stream)
    stream.seek(0)
    np.testing.assert_array_equal(joblib.load(stream).predict_proba(pictures), expected)
    assert len(pickle.dumps(fitted)) < 10_000
    plain = [np.ndarray, list, int, str]
    learned = {name: value for name, value in vars(fitted).items() if name.endswith("_")}
    assert learned and all(type(value) in plain for value in learned.values())


def test_equal_seeds_give_equal_bits(pictures):
    first, again = (tiny(head="softmax", epochs=2, seed=5).fit(pictures, LABELS) for _ in range(2))
    other = tiny(head="softmax", epochs=2, seed=6).fit(pictures, LABELS)
    np.testing.assert_array_equal(first.predict_proba(pictures), again.predict_proba(pictures))
    assert np.abs(first.predict_proba(pictures) - other.predict_proba(pictures)).max() > 1e-6


@pytest.mark.parametrize("changes", [{}, {"head": "softmax", "dense": (5,), "epochs": 2, "pooling": "max"}])
def test_a_saved_classifier_says_the_same_without_scikit_learn(pictures, tmp_path, changes):
    labels = np.arange(40) % 3
    fitted = tiny(resize="crop", **changes).fit(pictures, labels)
    folder = fitted.save(tmp_path / "it")
    np.testing.assert_allclose(
        headstart.load(folder).probabilities(pictures), fitted.predict_proba(pictures), atol=1e-5
    )
    code = (
        "import sys\nfor name in ('sklearn', 'scipy', 'keras', 'tensorflow'): sys.modules[name] = None\n"
        f"import headstart, numpy; it = headstart.load({str(folder)!r})\n"
        "print(it.classes, it.predict([numpy.zeros((9, 9, 3), numpy.uint8)])[0].error)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "('0', '1', '2') None\n"


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((4, 9)), "X must be a list of files, or uint8 pixels of images. Received: float64 of shape (4, 9)"),
        (np.zeros((4, 9, 9, 3)), "An image must be a file, or uint8 pixels (height, width, 3). Received: float64"),
        (np.zeros((4, 9, 9, 4), np.uint8), "An image must be a file, or uint8 pixels"),
        (np.zeros((224, 299, 3), np.uint8), "Give images in a list, also a single one: [image]. Received: uint8"),
        (np.zeros((9, 9, 4), np.uint8), "Give images in a list, also a single one: [image]."),
        ("photos", "X must be a list of files"),
        ([], "X holds no images"),
        ([1, 2, 3, 4], "An image must be a file"),
        (7, "X must be a list of files"),
    ],
)
def test_what_is_no_image_is_refused(images, message):
    with pytest.raises(ValueError) as caught:
        tiny().fit(images, [0, 1, 0, 1])
    assert message in str(caught.value)


def test_bad_images_are_named(pictures, tmp_path):
    paths = saved_files(pictures[:4], tmp_path)
    paths[2].write_text("no picture")
    with pytest.raises(ImageError, match=r"2\.png: text, not an image"):
        tiny().fit(paths, LABELS[:4])
    with pytest.raises(ImageError, match="image 1 of X: empty file"):
        tiny().fit([paths[0].read_bytes(), b""], [0, 1])
    with pytest.raises(ImageError, match=r"gone\.png: No such file"):
        tiny().fit([paths[0], tmp_path / "gone.png"], [0, 1])
    with pytest.raises(ImageError, match="no file can have this name"):
        tiny().fit([paths[0], "a\0b.png"], [0, 1])


def test_a_folder_of_the_users_is_not_saved_over(pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mine = tmp_path / "it" / "thesis.txt"
    mine.parent.mkdir()
    mine.write_text("years of work")
    fitted = tiny().fit(pictures, LABELS)
    for folder in ("it", "it/thesis.txt", ".", ".."):
        with pytest.raises(UsageError, match="Choose the name of a new folder"):
            fitted.save(folder)
    assert [path.name for path in tmp_path.rglob("*")] == ["it", "thesis.txt"]
    for _ in range(2):
        assert headstart.load(fitted.save("new")).classes == ("day", "night")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": "mobilnet"}, "Did you mean 'mobilenet'"),
        ({"head": "softmaxx"}, "head.output must be"),
        ({"learning_rate": -1.0}, "learning_rate must be above 0"),
        ({"image_size": 2}, "image_size"),
        ({"resize": "squeeze"}, "resize"),
    ],
)
def test_parameters_that_cannot_be_are_refused_at_fit(pictures, changes, message):
    with pytest.raises(UsageError, match=message):
        ImageClassifier(**{"backbone": "small_cnn", **TINY, **changes}).fit(pictures, LABELS)


def test_the_extra_is_named():
    code = "import sys; sys.modules['sklearn'] = None\nimport headstart\nheadstart.ImageClassifier"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "scikit-learn is not installed. Install it with: pip install 'headstart[study]'" in run.stderr
