"""The scikit-learn door: a classifier of images that ``cross_val_score`` and ``GridSearchCV`` take.

It trains a head on the features of a frozen backbone, exactly as a study does. Features are cached on disk by content,
so every fold and every setting of a search after the first finds them there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headstart import storage
from headstart.classifier import bundle
from headstart.classifier.prediction import ONE_IMAGE, Image, is_one, name_of
from headstart.data import decode, image_file
from headstart.errors import ImageError, MissingExtraError, UsageError
from headstart.features import graph
from headstart.features.cache import FeatureCache
from headstart.features.extract import ImageSet, Request, extract
from headstart.features.trunk import Engine, Trunk, build_trunk, choose_engine
from headstart.recipe import Candidate, DataRules, Head, Optimizer, Protocol, Recipe, Training
from headstart.study.handover import backbone_info, backbone_of, bundle_arrays
from headstart.study.judge import final_job
from headstart.study.networks import Network, make_networks, network_problems, resolved
from headstart.study.workshop import build_network
from headstart.training.bank import train_bank
from headstart.training.heads import forward, softmax

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d
except ImportError as error:
    raise MissingExtraError("scikit-learn", "study") from error

__all__ = ["ImageClassifier"]

PRECISION = "f32"


class ImageClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A head on the features of a frozen, pretrained CNN.

    ``X`` are files (names or paths), or uint8 pixels: one array ``(images, height, width, 3)`` or ``(images, height,
    width)``, or a list or an object array of single images of any sizes. Nothing has to be resized or scaled.

    Args:
        backbone: a name from ``headstart backbones``.
        weights: ``imagenet``, or ``random`` for comparison.
        head: ``softmax``, trained in epochs by Adam; or ``logistic``, solved to its optimum, where rate, epochs, batch
            size, hidden layers and dropout play no part.
        learning_rate, epochs, batch_size: of the training.
        dense: units of hidden layers.
        dropout: share dropped before the output and after every hidden layer.
        l2: penalty on the kernels of a softmax head.
        class_weights: ``none`` or ``balanced``.
        pooling: ``average``, ``max`` or ``flatten``.
        image_size: side in pixels; 0: the backbone's own.
        resize: ``stretch``, ``crop`` or ``pad``.
        seed: decides first weights and order.
        weights_dir: folder with pretrained weights; by default ``HEADSTART_WEIGHTS``, then Keras' own cache.

    Attributes:
        classes_: the labels, sorted.
        weights_: kernel ``(inputs, units)``, bias ``(units,)``, ... of the head, float32.
    """

    def __init__(
        self,
        backbone: str = "mobilenet",
        *,
        weights: str = "imagenet",
        head: str = "softmax",
        learning_rate: float = 1e-2,
        epochs: int = 20,
        batch_size: int = 32,
        dense: Sequence[int] = (),
        dropout: float = 0.0,
        l2: float = 0.0,
        class_weights: str = "none",
        pooling: str = "average",
        image_size: int = 0,
        resize: str = "stretch",
        seed: int = 0,
        weights_dir: str | Path | None = None,
    ) -> None:
        self.backbone = backbone
        self.weights = weights
        self.head = head
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.dense = dense
        self.dropout = dropout
        self.l2 = l2
        self.class_weights = class_weights
        self.pooling = pooling
        self.image_size = image_size
        self.resize = resize
        self.seed = seed
        self.weights_dir = weights_dir

    def fit(self, X: Any, y: ArrayLike) -> ImageClassifier:  # noqa: N803 - scikit-learn's name
        """Learn from images and their labels ``(images,)``.

        Raises:
            ValueError: X are no images, or y no labels of at least two classes.
            UsageError: a parameter is not allowed.
            ImageError: an image cannot be read; it is named.
            WeightsError: pretrained weights are missing.
        """
        images = _images(X)
        labels = self._labels(images, y)
        network = self._network()
        keys = [_key(image) for image in images]
        features = _features(network, images, keys)
        candidate = network.candidates[0]
        job = final_job(candidate, np.arange(len(images)), self._job_epochs(), Protocol(seed=self.seed))
        [fit] = train_bank(features, labels, [job], classes=len(self.classes_))
        self.weights_ = list(fit.weights)
        self.training_images_ = len(images)
        self.fingerprint_ = storage.digest_of(sorted(keys))
        return self

    def decision_function(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Return the logits ``(images, classes)``; of two classes the second's minus the first's ``(images,)``."""
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict_proba(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Return the softmax of the logits, ``(images, classes)`` in the order of ``classes_``, not calibrated."""
        return softmax(self._logits(X))

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return the most probable class of every image."""
        best = self._logits(X).argmax(axis=1)
        predicted: NDArray[Any] = self.classes_[best]
        return predicted

    def save(self, folder: str | Path) -> Path:
        """Write a classifier that needs neither training code nor scikit-learn; ``headstart.load`` reads it.

        It answers with the most probable class: a study would also calibrate it and tell unknown images.

        Args:
            folder: a new one, an empty one, or one that holds an earlier classifier, which is replaced, and nothing
                else.

        Raises:
            UsageError: there is something else at ``folder``; it is left as it is.
        """
        check_is_fitted(self, "weights_")
        network, path = self._network(), Path(folder)
        candidate = network.candidates[0]
        backbone, arrays = backbone_of(network, build_network(network), self.pooling, any_size=True)
        bundle.save(
            path,
            graph.add_head(backbone, candidate.head, self.weights_),
            bundle_arrays(arrays, self.weights_),
            classes=[str(name) for name in self.classes_],
            size=network.size,
            precision=PRECISION,
            provenance=self._provenance(network),
            head=candidate.head,
            backbone=backbone_info(network, candidate),
        )
        return path

    def _provenance(self, network: Network) -> bundle.Provenance:
        return bundle.Provenance(
            study="ImageClassifier",
            fingerprint=self.fingerprint_,
            candidate=network.candidates[0].id,
            backbone=network.backbone.name,
            weights=network.weights_key,
            licence=network.licence,
            training_images=self.training_images_,
            test_images=0,
            test_accuracy=float("nan"),
        )

    def _labels(self, images: Sequence[Image], y: ArrayLike) -> NDArray[np.int64]:
        """Note the classes; return the number of the class of every image."""
        if y is None:
            raise ValueError("ImageClassifier requires y to be passed, but the target y is None.")
        given = column_or_1d(y, warn=True)
        check_consistent_length(images, given)
        check_classification_targets(given)
        classes, labels = np.unique(given, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"At least two classes are needed. y holds one class: {classes[0]!r}")
        self.classes_ = classes
        return labels.astype(np.int64)

    def _logits(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        check_is_fitted(self, "weights_")
        images, network = _images(X), self._network()
        features = _features(network, images, [_key(image) for image in images])
        # in double precision, the logits of an image do not depend on how many others are asked for with it
        weights: Any = [array.astype(np.float64) for array in self.weights_]
        return np.asarray(forward(network.candidates[0].head, weights, features), np.float64)

    def _job_epochs(self) -> int:
        return 1 if self.head == "logistic" else self.epochs

    def _network(self) -> Network:
        """Return the backbone with the one candidate that the parameters mean."""
        train = Training(
            epochs=self.epochs,
            batch_size=self.batch_size,
            optimizer=Optimizer("adam", self.learning_rate),
            class_weights=self.class_weights,
        )
        candidates = resolved(
            [
                Candidate(
                    backbone=self.backbone,
                    weights=self.weights,
                    image_size=self.image_size,
                    head=self._head(),
                    train=train,
                )
            ]
        )
        recipe = Recipe(candidates, DataRules(resize=self.resize), Protocol(seed=self.seed))
        if problems := network_problems(candidates):
            raise UsageError("\n".join(problems))
        [network] = make_networks(recipe, Path(self.weights_dir) if self.weights_dir else None)
        return network

    def _head(self) -> Head:
        if self.head == "logistic":
            return Head(self.pooling, output=self.head)
        drop = [f"dropout {self.dropout:g}"] if self.dropout else []
        penalty = f" l2 {self.l2:g}" if self.l2 else ""
        layers = [text for units in self.dense for text in (*drop, f"dense {units}{penalty}")]
        return Head(self.pooling, (*layers, *drop), self.head, self.l2)

    def __sklearn_tags__(self) -> Any:
        """Say that X are no tables of numbers."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = tags.input_tags.string = True
        return tags


def _images(X: Any) -> list[Image]:  # noqa: N803
    """Return the images one by one.

    Raises:
        ValueError: X are none.
    """
    if isinstance(X, str | Path | bytes) or not hasattr(X, "__iter__") or getattr(X, "ndim", 1) in (0, 2):
        raise ValueError(f"X must be a list of files, or uint8 pixels of images. Received: {_kind(X)}")
    if isinstance(X, np.ndarray) and X.ndim == 3 and is_one(X):
        raise ValueError(f"{ONE_IMAGE} Received: {_kind(X)}")
    images = [Path(one) if isinstance(one, str) else one for one in X]
    if not images:
        raise ValueError(f"X holds no images. Received: {_kind(X)}")
    if wrong := [one for one in images if not _is_image(one)]:
        raise ValueError(f"An image must be a file, or uint8 pixels (height, width, 3). Received: {_kind(wrong[0])}")
    return images


def _is_image(one: Any) -> bool:
    if isinstance(one, np.ndarray):
        return one.dtype == np.uint8 and (one.ndim == 2 or (one.ndim == 3 and one.shape[2] == 3)) and one.size > 0
    return isinstance(one, Path | bytes)


# The trunk that was used last, by the id of its features' space: every fold of a search asks for it again.
_TRUNK: dict[str, Trunk] = {}


def _trunk(key: str, network: Network, engine: Engine) -> Trunk:
    trunk = _TRUNK.get(key)
    if trunk is None:
        trunk = build_trunk(
            build_network(network),
            network.preprocessing,
            network.size,
            engine=engine,
            precision=PRECISION,
            pooling=network.pooling,
        )
        _TRUNK.clear()
        _TRUNK[key] = trunk
    return trunk


def _features(network: Network, images: Sequence[Image], keys: Iterable[str]) -> NDArray[np.float32]:
    """Return pooled features ``(images, channels)``, from the cache where they are there."""
    engine = choose_engine()
    space = network.prediction_space(engine, PRECISION)
    request = Request(space, lambda: _trunk(space.id, network, engine))
    image_set = ImageSet(tuple(keys), lambda index: image_file.encoded(images[index]))
    try:
        [(features, _)] = extract(image_set, [request], FeatureCache(storage.cache_folder()), size=network.size)
    except ImageError as error:
        raise _named(error, images, network) from error
    return features


def _named(error: ImageError, images: Sequence[Image], network: Network) -> ImageError:
    """Return the error with the name of the first image that cannot be read."""
    for place, image in enumerate(images):
        try:
            decode.load(image_file.encoded(image), network.size)
        except ImageError as reason:
            name = name_of(image) if isinstance(image, Path) else f"image {place} of X"
            return ImageError(f"{name}: {reason}")
    return error


def _key(image: Image) -> str:
    """Return what the features of an image are kept under: the hex SHA-256 of its content."""
    try:
        content = image_file.encoded(image)
    except ImageError as error:
        raise ImageError(f"{name_of(image)}: {error}") from error
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    digest = hashlib.sha256(f"pixels {content.shape}:".encode())
    digest.update(np.ascontiguousarray(content).data)
    return digest.hexdigest()


def _kind(value: Any) -> str:
    if hasattr(value, "shape"):
        return f"{getattr(value, 'dtype', type(value).__name__)} of shape {value.shape}"
    return f"{type(value).__name__} {value!r}"[:100]
