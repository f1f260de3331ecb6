"""Where a classifier looked: Grad-CAM and an occlusion map of an image, from the bundle alone.

Grad-CAM: Selvaraju et al., ICCV 2017. Occlusion: Zeiler and Fergus, ECCV 2014. Needs the base install only: NumPy,
Pillow and OpenVINO.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.classifier.heat import normalised, overlay, placed, smooth
from headstart.classifier.predict import Classifier, Image
from headstart.classifier.prediction import name_of
from headstart.data import decode, image_file
from headstart.data.decode import Resize
from headstart.errors import ImageError
from headstart.features.extract import run_batches
from headstart.features.gradients import FeatureMap, GradientTrunk
from headstart.progress import SILENT, Progress

__all__ = ["Explainer", "overlay", "placed"]

# Places of the grey square along each side of the network's input, and its side as a share of the input's.
PLACES = 14
PATCH = 0.25

Heat = NDArray[np.float32]
Pixels = NDArray[np.uint8]


class Explainer:
    """Maps of where a classifier looked, over the network's input (``heat.placed`` brings them to the photograph)."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier

    @cached_property
    def _trunk(self) -> GradientTrunk:
        return GradientTrunk(self._classifier.read_graph(), precision=self._classifier.info.precision)

    def grad_cam(self, images: Sequence[Image], classes: Sequence[int | None]) -> list[Heat]:
        """Return per image a map ``(height, width)`` in 0..1 on the grid of the last feature map.

        The channels of the feature map, each weighted with the mean over all places of the gradient of the class'
        score, are summed; what is negative becomes 0; then the map is divided by its maximum (a map without anything
        above 0 stays 0). The score is the logit; of sigmoid outputs it is what goes into the sigmoid; of several
        networks that answer together it is the logarithm of their mean probability, and their maps are added up on the
        finest grid. An input so small that the last feature map has one place gives a map of 1 x 1.

        Args:
            classes: for each image the number of the class to explain; None: the most probable one.

        Raises:
            ClassifierError: Grad-CAM cannot look into this network.
            ImageError: an image cannot be read.
        """
        wanted, found = list(zip(images, classes, strict=True)), dict[int, Heat]()
        trunk = self._trunk

        def run(indices: Sequence[int], pixels: Pixels) -> None:
            maps = trunk.feature_maps(pixels, [wanted[index][1] for index in indices])
            found.update(zip(indices, _activations(maps, len(indices)), strict=True))

        def load(index: int) -> Pixels:
            return _input_pixels(wanted[index][0], self._classifier.info.size)

        run_batches(range(len(wanted)), load, run, batch_size=trunk.batch_size, workers=trunk.workers)
        return [found[index] for index in range(len(wanted))]

    def occlusion(
        self, image: Image, class_: int | None = None, *, places: int = PLACES, progress: Progress = SILENT
    ) -> Heat:
        """Return by how much the class' calibrated probability drops where a square covers the input.

        The square has the mean colour of the input, a quarter of its sides, and stands at ``places`` evenly spaced
        places along each side, parts beyond the edge cut off. Below 0: the class became more probable.

        Args:
            class_: number of the class; None: the most probable one.
            places: at most; a side of fewer pixels has as many places as pixels.

        Returns:
            ``(rows, columns)``, in -1..1.

        Raises:
            ImageError: the image cannot be read.
        """
        covered = _CoveredInputs(_input_pixels(image, self._classifier.info.size), places)
        probabilities = self._classifier.probabilities(covered, progress=progress)
        chosen = probabilities[0].argmax() if class_ is None else class_
        drops: Heat = (probabilities[0, chosen] - probabilities[1:, chosen]).reshape(covered.rows, covered.columns)
        return drops


def _input_pixels(image: Image, size: Resize) -> Pixels:
    """Return what the network sees of an image, ``(height, width, 3)``."""
    try:
        return decode.load(image_file.encoded(image), size)
    except ImageError as error:
        raise ImageError(f"{name_of(image)}: {error}") from error


def _activations(maps: Sequence[FeatureMap], images: int) -> Heat:
    """Return the class activation maps ``(images, height, width)`` in 0..1 of one or more last feature maps."""
    parts = [_evidence(one, images) for one in maps]
    if len(parts) == 1:
        return normalised(parts[0])
    height, width = (max(part.shape[axis] for part in parts) for axis in (1, 2))
    # values of a coarse map stand for more of the image: so each network's sum is the same on every grid
    dense = [part * (part.shape[1] * part.shape[2]) for part in parts]
    alike = [np.stack([smooth(one, height, width) for one in part]) for part in dense]
    return normalised(np.sum(alike, axis=0))


def _evidence(one: FeatureMap, images: int) -> NDArray[np.floating]:
    """Return the channels' weighted sum ``(images, height, width)``, negative values included."""
    weights = one.gradient.mean(axis=(1, 2))
    summed: NDArray[np.floating] = np.einsum("nhwc,nc->nhw", one.values, weights, optimize=True)
    # the second half, where there is one, belongs to the mirror images
    return summed[:images] + summed[images:, :, ::-1] if len(summed) > images else summed


class _CoveredInputs(Sequence[Pixels]):
    """The input as it is, then with a square at every place, row by row; each is made when it is asked for."""

    def __init__(self, pixels: Pixels, places: int) -> None:
        height, width = pixels.shape[:2]
        self.rows: int = min(places, height)
        self.columns: int = min(places, width)
        self._pixels = pixels
        self._colour = np.round(pixels.mean(axis=(0, 1))).astype(np.uint8)

    def __len__(self) -> int:
        return 1 + self.rows * self.columns

    def __getitem__(self, index: Any) -> Any:
        """Return one input by its number; slices are not asked for."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        if index == 0:
            return self._pixels
        row, column = divmod(index - 1, self.columns)
        height, width = self._pixels.shape[:2]
        covered = self._pixels.copy()
        covered[_stretch(row, self.rows, height), _stretch(column, self.columns, width)] = self._colour
        return covered


def _stretch(place: int, places: int, side: int) -> slice:
    """Return what the square covers of a side when its middle stands at a place."""
    middle, half = (place + 0.5) * side / places, max(PATCH * side, 1) / 2
    return slice(max(round(middle - half), 0), round(middle + half))
