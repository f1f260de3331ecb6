"""The house's resize rule in nodes of ONNX: uint8 RGB images of any size -> pixels of the network's size.

Every grey level is the one that ``data.resize`` and Pillow give, for the arithmetic is theirs: sizes and offsets in
whole numbers, filter weights in double precision, sums of pixels in whole numbers. ONNX has a node of its own for this
(Resize with antialias), but onnxruntime 1.31 computes its weights in single precision, so that values halfway between
two grey levels fall to either side: on a few photographs in a hundred that moved a probability by more than 0.001.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart.classifier.export.packages import needed
from headstart.data.decode import Resize

if TYPE_CHECKING:
    import onnx

OPSET = 18

# Pillow's PRECISION_BITS: a weight of 1 is 2**22.
_WEIGHT_BITS = 22
# How far its filters reach to either side, in sources or in outputs, whichever are wider.
_REACH = {"bilinear": 1.0, "bicubic": 2.0}
# Outputs that are computed from one stretch of the source.
_BLOCK = 16


@dataclass(frozen=True, slots=True)
class _Side:
    """How long a side is before and after: the names of two rows of one whole number."""

    source: str
    target: str


class Nodes:
    """Nodes and constants that are gathered for a graph, under names that begin with ``prefix``."""

    def __init__(self, prefix: str) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._prefix = prefix

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node with one output and return its name."""
        from onnx import helper

        name = f"{self._prefix}/{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output or name], name=name, **attributes))
        return output or name

    def constant(self, values: Any, dtype: Any = np.int64) -> str:
        """Add a constant and return its name."""
        from onnx import numpy_helper

        name = f"{self._prefix}/constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(values, dtype), name))
        return name

    def cast(self, tensor: str, dtype: Any) -> str:
        """Add a change of type."""
        from onnx import helper

        return self.add("Cast", tensor, to=int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype))))

    def pick(self, tensor: str, place: int) -> str:
        """Add the choice of one number of a row of them."""
        return self.add("Gather", tensor, self.constant(place))

    def row(self, tensor: str, place: int) -> str:
        """Add the choice of one number of a row of them, as a row of one."""
        return self.add("Gather", tensor, self.constant([place]))

    def axis(self, tensor: str, axis: int) -> str:
        """Add the length of one axis, as a row of one."""
        return self.add("Shape", tensor, start=axis, end=axis + 1)

    def reshape(self, tensor: str, *sides: str) -> str:
        """Add another shape, its lengths rows of one."""
        return self.add("Reshape", tensor, self.add("Concat", *sides, axis=0))


def resize_nodes(size: Resize, *, image: str, pixels: str) -> Nodes:
    """Return nodes from ``image`` ``(n, height, width, 3)`` to ``pixels`` ``(n, size.height, size.width, 3)``, uint8.

    Raises:
        MissingExtraError: onnx is not installed.
    """
    with needed("onnx"):
        import onnx  # noqa: F401
    nodes = Nodes("resize")
    target = np.array([size.height, size.width])
    if size.rule == "stretch":
        reached = _interpolated(nodes, image, nodes.constant(target), size)
    else:
        scaled = _scaled_sides(nodes, _sides(nodes, image), target, largest=size.rule == "crop")
        place = _centre_crop if size.rule == "crop" else _centre_pad
        reached = place(nodes, _interpolated(nodes, image, scaled, size), scaled, target)
    # the network behind it is told its input's size
    nodes.add("Reshape", reached, nodes.constant([-1, *target, 3]), output=pixels)
    return nodes


def _sides(nodes: Nodes, image: str) -> str:
    return nodes.add("Shape", image, start=1, end=3)


def _interpolated(nodes: Nodes, image: str, sides: str, size: Resize) -> str:
    if size.interpolation == "nearest":
        return _nearest(nodes, image, sides)
    if not size.antialias:
        return _between_neighbours(nodes, image, sides)
    return _antialiased(nodes, image, sides, size.interpolation)


def _antialiased(nodes: Nodes, image: str, sides: str, interpolation: str) -> str:
    """Return what Pillow's filters give: along one axis, then along the other, rounded and clipped after each.

    Pillow 13 begins with the columns where the height loses more than twice what the width loses, older ones never do:
    see ``features.graph``. Then the image is turned, and turned back.
    """
    from onnx import TensorProto, helper

    before = _sides(nodes, image)
    lost = nodes.add("Sub", before, sides)
    of_height, of_width = (nodes.pick(lost, place) for place in (0, 1))
    limit = nodes.add("Max", nodes.add("Mul", of_width, nodes.constant(2)), nodes.constant(0))
    columns_first = nodes.add("Greater", of_height, limit)
    height, width = (_Side(nodes.row(before, place), nodes.row(sides, place)) for place in (0, 1))
    branches = []
    for word, down_first in (("columns_first", True), ("rows_first", False)):
        inner, pixels = Nodes(f"resize/{word}"), image
        for down in (down_first, not down_first):
            pixels = (_down if down else _across)(inner, pixels, height if down else width, interpolation)
        result = helper.make_tensor_value_info(pixels, TensorProto.UINT8, [None, None, None, 3])
        branches.append(helper.make_graph(inner.nodes, word, [], [result], inner.constants))
    return nodes.add("If", columns_first, then_branch=branches[0], else_branch=branches[1])


def _down(nodes: Nodes, image: str, height: _Side, interpolation: str) -> str:
    """Return an image ``(n, height, width, 3)`` brought to another height."""
    count, width = nodes.axis(image, 0), nodes.axis(image, 2)
    rest, three = nodes.constant([-1]), nodes.constant([3])
    filtered = _filtered(nodes, nodes.reshape(image, count, height.source, rest), height, interpolation)
    return nodes.reshape(filtered, count, height.target, width, three)


def _across(nodes: Nodes, image: str, width: _Side, interpolation: str) -> str:
    """Return an image ``(n, height, width, 3)`` brought to another width.

    It is turned as a matrix ``(height, width * 3)``: onnxruntime turns pixels of three bytes twenty times slower.
    """
    count, height = nodes.axis(image, 0), nodes.axis(image, 1)
    rest, three = nodes.constant([-1]), nodes.constant([3])
    turned = nodes.add("Transpose", nodes.reshape(image, count, height, rest), perm=[0, 2, 1])
    filtered = _filtered(nodes, nodes.reshape(turned, count, width.source, rest), width, interpolation)
    upright = nodes.add("Transpose", nodes.reshape(filtered, count, rest, height), perm=[0, 2, 1])
    return nodes.reshape(upright, count, height, width.target, three)


def _filtered(nodes: Nodes, lines: str, side: _Side, interpolation: str) -> str:
    """Return lines ``(n, side.source, m)`` brought to ``(n, side.target, m)``.

    Sixteen outputs at a time see the stretch of the source that reaches them: one product of matrices for all would
    multiply by a hundred times more zeros than weights.
    """
    windows, weights = _windows(nodes, side, interpolation)
    seen = nodes.add("Gather", lines, windows, axis=1)
    sums = [
        nodes.add("MatMulInteger", digit, seen, nodes.constant(zero, np.uint8))
        for digit, zero in zip(_digits(nodes, weights), (128, 0, 0), strict=True)
    ]
    # cubic weights can be negative, and then a part of a sum can be larger than 32 bits hold
    summed = _as_bytes(nodes, sums, np.int32 if interpolation == "bilinear" else np.int64)
    filtered = nodes.reshape(summed, nodes.axis(lines, 0), nodes.constant([-1]), nodes.axis(lines, 2))
    return nodes.add("Slice", filtered, nodes.constant([0]), side.target, nodes.constant([1]))


def _windows(nodes: Nodes, side: _Side, interpolation: str) -> tuple[str, str]:
    """Return which sources each sixteen outputs see ``(blocks, seen)``, and Pillow's weights ``(blocks, 16, seen)``.

    The weights are whole numbers, 2**22 for 1, computed in double precision as ``precompute_coeffs`` and
    ``normalize_coeffs_8bpc`` of Pillow's Resample.c do.
    """
    half, one = nodes.constant(0.5, np.float64), nodes.constant(1, np.float64)
    reach = nodes.constant(_REACH[interpolation], np.float64)
    scale = nodes.add("Div", *(nodes.cast(each, np.float64) for each in (side.source, side.target)))
    spread = nodes.add("Max", scale, one)
    support = nodes.add("Mul", spread, reach)
    blocks = nodes.add("Div", nodes.add("Add", side.target, nodes.constant(_BLOCK - 1)), nodes.constant(_BLOCK))
    # where the last sixteen are more than there are, the last output stands for the rest
    counted = _counted(nodes, nodes.add("Mul", blocks, nodes.constant(_BLOCK)))
    outputs = nodes.add("Min", counted, nodes.add("Sub", side.target, nodes.constant(1)))
    positions = nodes.add("Mul", nodes.add("Add", nodes.cast(outputs, np.float64), half), scale)
    centres = nodes.add("Reshape", positions, nodes.constant([-1, _BLOCK]))
    # one source more at either end than can be reached
    length = nodes.add(
        "Add",
        nodes.add("Mul", scale, nodes.constant(_BLOCK - 1, np.float64)),
        nodes.add("Add", nodes.add("Mul", support, nodes.constant(2, np.float64)), nodes.constant(3, np.float64)),
    )
    seen = nodes.add("Min", nodes.cast(length, np.int64), side.source)
    first = nodes.add("Sub", nodes.add("Gather", centres, nodes.constant([0]), axis=1), nodes.add("Add", support, one))
    latest = nodes.add("Sub", side.source, seen)
    starts = nodes.add(
        "Max", nodes.add("Min", nodes.cast(nodes.add("Floor", first), np.int64), latest), nodes.constant(0)
    )
    windows = nodes.add("Add", starts, _counted(nodes, seen))
    middles = nodes.add("Add", nodes.cast(nodes.add("Unsqueeze", windows, nodes.constant([1])), np.float64), half)
    offsets = nodes.add("Sub", middles, nodes.add("Unsqueeze", centres, nodes.constant([2])))
    inverse = nodes.add("Div", one, spread)
    return windows, _whole_weights(nodes, nodes.add("Abs", nodes.add("Mul", offsets, inverse)), interpolation)


def _whole_weights(nodes: Nodes, distances: str, interpolation: str) -> str:
    weights = (_triangle if interpolation == "bilinear" else _cubic)(nodes, distances)
    total = nodes.add("ReduceSum", weights, nodes.constant([-1]), keepdims=1)
    shares = nodes.add("Mul", nodes.add("Div", weights, total), nodes.constant(1 << _WEIGHT_BITS, np.float64))
    # rounded half away from zero
    rounded = nodes.add("Floor", nodes.add("Add", nodes.add("Abs", shares), nodes.constant(0.5, np.float64)))
    return nodes.cast(nodes.add("Mul", rounded, nodes.add("Sign", shares)), np.int64)


def _counted(nodes: Nodes, count: str) -> str:
    """Return 0, 1, ... below ``count``."""
    return nodes.add("Range", nodes.constant(0), nodes.add("Squeeze", count), nodes.constant(1))


def _triangle(nodes: Nodes, distances: str) -> str:
    one, zero = nodes.constant(1, np.float64), nodes.constant(0, np.float64)
    return nodes.add("Max", nodes.add("Sub", one, distances), zero)


def _cubic(nodes: Nodes, distances: str) -> str:
    """Return Keys' cubic with a = -0.5: R. Keys, IEEE Transactions on Acoustics, Speech and Signal Processing, 1981."""
    near = _polynomial(nodes, distances, (1.5, -2.5, 0.0, 1.0))
    far = _polynomial(nodes, distances, (-0.5, 2.5, -4.0, 2.0))
    one, two, zero = (nodes.constant(number, np.float64) for number in (1, 2, 0))
    beyond = nodes.add("Where", nodes.add("Less", distances, two), far, zero)
    return nodes.add("Where", nodes.add("Less", distances, one), near, beyond)


def _polynomial(nodes: Nodes, values: str, factors: tuple[float, ...]) -> str:
    """Return the polynomial with these factors, the highest power's first."""
    result = nodes.constant(factors[0], np.float64)
    for factor in factors[1:]:
        result = nodes.add("Add", nodes.add("Mul", result, values), nodes.constant(factor, np.float64))
    return result


def _digits(nodes: Nodes, weights: str) -> list[str]:
    """Return the three bytes of each weight, the highest first.

    Products of bytes are what runtimes are fast at, and exact. The highest can be negative: it is 128 too high, which
    the product is told to take off again.
    """
    raised = nodes.add("Add", weights, nodes.constant(128 << 16))
    found = []
    for power in (1 << 16, 1 << 8, 1):
        digit = nodes.add("Div", raised, nodes.constant(power))
        raised = nodes.add("Sub", raised, nodes.add("Mul", digit, nodes.constant(power)))
        found.append(nodes.cast(digit, np.uint8))
    return found


def _as_bytes(nodes: Nodes, sums: list[str], dtype: Any) -> str:
    """Return the sums over digits, put together in whole numbers of a type, rounded, and clipped to 0..255."""
    total = nodes.constant(1 << (_WEIGHT_BITS - 1), dtype)
    for place, power in enumerate((1 << 16, 1 << 8, 1)):
        part = sums[place] if dtype is np.int32 else nodes.cast(sums[place], dtype)
        total = nodes.add("Add", total, nodes.add("Mul", part, nodes.constant(power, dtype)))
    values = nodes.add("Div", total, nodes.constant(1 << _WEIGHT_BITS, dtype))
    clipped = nodes.add("Min", nodes.add("Max", values, nodes.constant(0, dtype)), nodes.constant(255, dtype))
    return nodes.cast(clipped, np.uint8)


def _between_neighbours(nodes: Nodes, image: str, sides: str) -> str:
    """Return bilinear values without antialias, rounded half up: the steps of ``data.resize``, one by one."""
    before = _sides(nodes, image)
    values = nodes.cast(image, np.float32)
    for place, shape in ((1, [-1, 1]), (0, [-1, 1, 1])):
        source, target = nodes.pick(before, place), nodes.pick(sides, place)
        half = nodes.constant(0.5, np.float64)
        scale = nodes.add("Div", *(nodes.cast(each, np.float64) for each in (source, target)))
        outputs = nodes.cast(_counted(nodes, target), np.float64)
        middles = nodes.add("Mul", nodes.add("Add", outputs, half), scale)
        places = nodes.add("Sub", middles, half)
        floors = nodes.add("Floor", places)
        share = nodes.add("Reshape", nodes.cast(nodes.add("Sub", places, floors), np.float32), nodes.constant(shape))
        first = nodes.cast(floors, np.int64)
        last = nodes.add("Sub", source, nodes.constant(1))
        lower = nodes.add("Gather", values, nodes.add("Max", first, nodes.constant(0)), axis=place + 1)
        next_ones = nodes.add("Min", nodes.add("Add", first, nodes.constant(1)), last)
        upper = nodes.add("Gather", values, next_ones, axis=place + 1)
        values = nodes.add("Add", lower, nodes.add("Mul", nodes.add("Sub", upper, lower), share))
    return nodes.cast(nodes.add("Floor", nodes.add("Add", values, nodes.constant(0.5, np.float32))), np.uint8)


def _nearest(nodes: Nodes, image: str, sides: str) -> str:
    """Return the pixels at ``(i + 0.5) * source / target``, which Pillow reaches in steps, adding up in doubles."""
    before = _sides(nodes, image)
    for place in (0, 1):
        source, target = nodes.pick(before, place), nodes.pick(sides, place)
        scale = nodes.add("Div", *(nodes.cast(each, np.float64) for each in (source, target)))
        start = nodes.add("Mul", scale, nodes.constant([0.5], np.float64))
        count = nodes.add("Reshape", nodes.add("Sub", target, nodes.constant(1)), nodes.constant([1]))
        steps = nodes.add("Concat", start, nodes.add("Expand", scale, count), axis=0)
        places = nodes.cast(nodes.add("CumSum", steps, nodes.constant(0)), np.int64)
        inside = nodes.add("Min", places, nodes.add("Sub", source, nodes.constant(1)))
        image = nodes.add("Gather", image, inside, axis=place + 1)
    return image


def _scaled_sides(nodes: Nodes, sides: str, target: NDArray[np.int64], *, largest: bool) -> str:
    """Return height and width after scaling: the image covers the target (``largest``) or fits inside it."""
    two = nodes.constant(2)
    flipped = nodes.add("Gather", sides, nodes.constant([1, 0]))
    # the other side's scale applied to this side: round(side * other target / other side), half up
    product = nodes.add("Mul", sides, nodes.constant(target[::-1]))
    numerator = nodes.add("Add", nodes.add("Mul", product, two), flipped)
    other = nodes.add("Div", numerator, nodes.add("Mul", flipped, two))
    if largest:
        return nodes.add("Max", other, nodes.constant(target))
    return nodes.add("Max", nodes.add("Min", other, nodes.constant(target)), nodes.constant([1, 1]))


def _centre_crop(nodes: Nodes, image: str, scaled: str, target: NDArray[np.int64]) -> str:
    size = nodes.constant(target)
    start = nodes.add("Div", nodes.add("Sub", scaled, size), nodes.constant(2))
    return nodes.add("Slice", image, start, nodes.add("Add", start, size), nodes.constant([1, 2]))


def _centre_pad(nodes: Nodes, image: str, scaled: str, target: NDArray[np.int64]) -> str:
    missing = nodes.add("Sub", nodes.constant(target), scaled)
    before = nodes.add("Div", missing, nodes.constant(2))
    after = nodes.add("Sub", missing, before)
    zero = nodes.constant([0])
    widths = nodes.add("Concat", zero, before, zero, zero, after, zero, axis=0)
    return nodes.add("Pad", image, widths, nodes.constant(0, np.uint8))
