"""Where fine-tuning begins when nobody says: the cheapest cut in the last part of a backbone."""

from __future__ import annotations

import functools
import math

from headstart.backbones import architectures
from headstart.backbones.catalog import Backbone
from headstart.features.cut import crossing_shapes

# A tenth of the layers at least trains, three tenths at most.
FEWEST, MOST = 0.1, 0.3


@functools.cache
def tuned_layers(backbone: Backbone, image_size: int) -> int:
    """Return how many of the last layers to train: where the fewest values cross the cut, and of those the most layers.

    What crosses is kept for every image and every changed copy of it, and read in every epoch.
    """
    network = architectures.outline(backbone, image_size=image_size)
    layers = len(network.layers)
    numbers = range(max(1, round(FEWEST * layers)), max(2, round(MOST * layers)) + 1)
    values = {
        number: sum(math.prod(shape) for shape in crossing_shapes(network, layers - number)) for number in numbers
    }
    return max(numbers, key=lambda number: (-values[number], number))
