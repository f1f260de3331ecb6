"""From the answer back to the last feature maps: how a class' score changes with every value of them.

OpenVINO computes what lies between; NumPy goes back over it, operation by operation. That way is short: pooling, a few
dense layers, the output. The last feature maps are the tensors with four axes that come next before the logits: one for
a single network, one per network where several answer together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart.errors import ClassifierError
from headstart.features import graph
from headstart.features.derivatives import RULES, Floats, Operation
from headstart.features.trunk import OpenVinoTrunk, Pixels

if TYPE_CHECKING:
    import openvino as ov

RANK_OF_MAPS = 4
# What turns a class' own score into a logit of its own: a log of a clamped sigmoid, see ``graph.head_node``.
SIGMOID_OUTPUT = ("Log", "Clamp", "Sigmoid")

Node = Any


@dataclass(frozen=True, slots=True, eq=False)
class FeatureMap:
    """A last feature map of some images, and the gradient of each image's class there.

    Both are ``(rows, height, width, channels)``. There are as many rows as images, or twice as many: then the second
    half belongs to their mirror images (``combined_graph.flip_graph``).
    """

    values: NDArray[np.float32]
    gradient: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """One operation on the way. Its inputs are numbers of tensors, constants, or of no interest (None)."""

    kind: str
    attributes: Mapping[str, Any]
    inputs: tuple[int | NDArray[Any] | None, ...]
    output: int


@dataclass(slots=True, eq=False)
class _Way:
    """What lies between the last feature maps (``maps``) and the classes' scores, in the order of computation.

    ``maps`` and the steps speak of tensors by their place in ``tensors``.
    """

    tensors: list[Node] = field(default_factory=list)
    steps: list[_Step] = field(default_factory=list)
    maps: list[int] = field(default_factory=list)
    _numbers: dict[tuple[str, int], int] = field(default_factory=dict)

    def follow(self, tensor: Node) -> int:
        """Add a tensor and all that leads to it from the feature maps; return its number.

        Raises:
            ClassifierError: an operation has no known derivative, or there is no feature map.
        """
        key = (tensor.get_node().get_name(), tensor.get_index())
        if key not in self._numbers:
            is_map = tensor.get_partial_shape().rank.get_length() == RANK_OF_MAPS
            step = None if is_map else self._step(tensor)
            self._numbers[key] = number = len(self.tensors)
            self.tensors.append(tensor)
            if step is None:
                self.maps.append(number)
            else:
                self.steps.append(_Step(*step, number))
        return self._numbers[key]

    def _step(self, tensor: Node) -> tuple[str, Mapping[str, Any], tuple[int | NDArray[Any] | None, ...]]:
        node = tensor.get_node()
        kind, inputs = node.get_type_name(), node.input_values()
        if kind not in RULES:
            raise _unknown(kind)
        rule = RULES[kind]
        carriers = len(inputs) if rule.carriers is None else rule.carriers
        values = [_constant(one) for one in inputs]
        if any(value is None for value in values[carriers : carriers + rule.settings]):
            raise _unknown(kind)
        carried = [
            self.follow(one) if value is None else value
            for one, value in zip(inputs[:carriers], values[:carriers], strict=True)
        ]
        return kind, node.get_attributes(), (*carried, *values[carriers:])


def _constant(tensor: Node) -> NDArray[Any] | None:
    node = tensor.get_node()
    return node.data if node.get_type_name() == "Constant" else None


def _unknown(kind: str) -> ClassifierError:
    return ClassifierError(
        f"Grad-CAM cannot look into this classifier: after its last feature map comes the operation {kind!r}, whose "
        "derivative is not known here. --method occlusion works with every classifier."
    )


def _scores(logits: Node) -> Node:
    """Return the tensor of the classes' scores: the logits, or of sigmoid outputs what goes into the sigmoid.

    Both lead to the same map, for each logit is a growing function of its own score; but the clamp has no slope where
    an answer is very sure.
    """
    tensor = logits
    for kind in SIGMOID_OUTPUT:
        if tensor.get_node().get_type_name() != kind:
            return logits
        tensor = tensor.get_node().input_value(0)
    return tensor


class GradientTrunk(OpenVinoTrunk):
    """A classifier's network that gives its last feature maps and the gradients there.

    Args:
        model: a classifier's graph (``graph.add_head``, ``combined_graph``) whose input has the network's size.

    Raises:
        ClassifierError: what lies between the feature maps and the logits has an operation without known derivative.
    """

    def __init__(self, model: ov.Model, *, precision: str) -> None:
        ov = graph.openvino_module()
        # the constants of the way live in the model
        self._model, self._way = model, _Way()
        self._score = self._way.follow(_scores(model.output(graph.LOGITS).get_node().input_value(0)))
        results = [ov.opset13.result(tensor) for tensor in self._way.tensors]
        super().__init__(ov.Model(results, model.get_parameters(), "gradients"), precision=precision)

    def feature_maps(self, pixels: Pixels, classes: Sequence[int | None]) -> list[FeatureMap]:
        """Return the last feature maps of pixels ``(n, height, width, 3)`` with the gradients of their classes' scores.

        The score is the logit. Of sigmoid outputs it is what goes into the sigmoid; of several networks that answer
        together it is the logarithm of their mean probability.

        Args:
            classes: one for each image; None: the one with the largest score.
        """
        request = self._request()
        request.infer({graph.IMAGE: pixels}, share_inputs=True)
        tensors = [request.get_output_tensor(number).data.copy() for number in range(len(self._way.tensors))]
        score = tensors[self._score]
        chosen = [row.argmax() if one is None else one for row, one in zip(score, classes, strict=True)]
        start = np.zeros(score.shape, np.float64)
        start[np.arange(len(score)), chosen] = 1
        gradients = self._back(tensors, {self._score: start})
        return [FeatureMap(tensors[one], gradients[one]) for one in self._way.maps]

    def _back(self, tensors: Sequence[NDArray[Any]], gradients: dict[int, Floats]) -> dict[int, Floats]:
        """Go back over all steps; return the gradient at every tensor on the way."""
        for step in reversed(self._way.steps):
            inputs = tuple(_value(one, tensors) for one in step.inputs)
            operation = Operation(step.attributes, inputs, tensors[step.output])
            for place, number in enumerate(step.inputs):
                if isinstance(number, int):
                    found = RULES[step.kind].derivative(operation, gradients[step.output], place)
                    gradients[number] = gradients[number] + found if number in gradients else found
        return gradients


def _value(one: int | NDArray[Any] | None, tensors: Sequence[NDArray[Any]]) -> NDArray[Any]:
    if one is None:
        return np.empty(0)
    return tensors[one] if isinstance(one, int) else one
