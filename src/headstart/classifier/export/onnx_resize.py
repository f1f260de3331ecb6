"""The house's resize rule in nodes of ONNX: uint8 RGB images of any size -> pixels of the network's size.

Sizes and offsets come from whole numbers, as in ``data.resize``. onnxruntime's antialiased filters compute what
Pillow's do, but their weights begin as float32: where a value lies exactly between two grey levels it may round to the
other one. That is one grey level; on noise that is enlarged, two in one value of ten thousand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart.classifier.export.packages import needed
from headstart.data.decode import Resize

if TYPE_CHECKING:
    import onnx

OPSET = 18
"""The first in which Resize has ``antialias``."""


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
        values = nodes.add("Cast", image, to=_type(np.float32))
        scaled = _resample(nodes, values, _full_sides(nodes, image, sides), mode="linear")
        return nodes.add(
            "Cast", nodes.add("Floor", nodes.add("Add", scaled, nodes.constant(0.5, np.float32))), to=_type(np.uint8)
        )
    return _antialiased(nodes, image, sides, {"bilinear": "linear", "bicubic": "cubic"}[size.interpolation])


def _antialiased(nodes: Nodes, image: str, sides: str, mode: str) -> str:
    """Return what Pillow's filters give: see ``features.graph`` for when Pillow begins with the columns.

    onnxruntime always begins with the rows, so the image is turned.
    """
    from onnx import TensorProto, helper

    lost = nodes.add("Sub", _sides(nodes, image), sides)
    of_height, of_width = (nodes.add("Gather", lost, nodes.constant(place)) for place in (0, 1))
    doubled = nodes.add("Mul", of_width, nodes.constant(2))
    columns_first = nodes.add("Greater", of_height, nodes.add("Max", doubled, nodes.constant(0)))
    full = _full_sides(nodes, image, sides)
    branches = []
    for turn, order in ((True, [0, 2, 1, 3]), (False, [0, 1, 2, 3])):
        inner = Nodes("resize/columns_first" if turn else "resize/rows_first")
        source = inner.add("Transpose", image, perm=order) if turn else image
        inner_sides = inner.add("Gather", full, inner.constant(order)) if turn else full
        scaled = _resample(inner, source, inner_sides, mode=mode, antialias=1, exclude_outside=1, cubic_coeff_a=-0.5)
        inner.add("Transpose", scaled, perm=order, output=f"{scaled}/upright")
        result = helper.make_tensor_value_info(f"{scaled}/upright", TensorProto.UINT8, None)
        branches.append(helper.make_graph(inner.nodes, scaled, [], [result], inner.constants))
    return nodes.add("If", columns_first, then_branch=branches[0], else_branch=branches[1])


def _resample(nodes: Nodes, image: str, full_sides: str, **attributes: Any) -> str:
    return nodes.add("Resize", image, "", "", full_sides, coordinate_transformation_mode="half_pixel", **attributes)


def _full_sides(nodes: Nodes, image: str, sides: str) -> str:
    """Return ``(n, height, width, 3)``: with sizes of some axes alone, onnxruntime 1.31 can lose its way."""
    return nodes.add("Concat", nodes.add("Shape", image, start=0, end=1), sides, nodes.constant([3]), axis=0)


def _nearest(nodes: Nodes, image: str, sides: str) -> str:
    """Return the pixels at ``floor((i + 0.5) * source / target)``, in whole numbers, of both axes."""
    source = _sides(nodes, image)
    zero, one, two = (nodes.constant(number) for number in (0, 1, 2))
    for place, axis in enumerate((1, 2)):
        here, there = (nodes.add("Gather", each, nodes.constant(place)) for each in (source, sides))
        steps = nodes.add("Range", zero, there, one)
        middles = nodes.add("Mul", nodes.add("Add", nodes.add("Mul", steps, two), one), here)
        places = nodes.add("Div", middles, nodes.add("Mul", there, two))
        image = nodes.add("Gather", image, places, axis=axis)
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


def _type(dtype: Any) -> int:
    from onnx import helper

    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
