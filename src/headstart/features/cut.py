"""The cut through a Keras network: which tensors cross it, the trunk before it and the tail behind it.

A cut is a layer's number: layers before ``start`` belong to the trunk, ``layers[start:]`` to the tail. Through a
residual block several tensors cross. A network used as a layer counts as one layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from headstart.backbones.engine import keras_module
from headstart.errors import UsageError

if TYPE_CHECKING:
    import keras


def tail_variables(network: keras.Model, start: int) -> list[Any]:
    """Return the weights of ``layers[start:]`` in layer order, statistics of batch normalisation included."""
    return [variable for layer in network.layers[start:] for variable in layer.weights]


def crossing(network: keras.Model, start: int) -> tuple[Any, ...]:
    """Return the tensors that are made before layer ``start`` and used at or after it, in the order of their makers.

    For ``start == 0`` these are the network's inputs, for ``start == len(layers)`` its outputs.

    Raises:
        UsageError: a layer that is used several times would fall on both sides, or there is no such layer.
    """
    cut = _Cut(network, start)
    wanted = cut.wanted()
    return tuple(tensor for tensor in cut.made() if id(tensor) in wanted)


def crossing_shapes(network: keras.Model, start: int) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of the crossing tensors without the batch axis."""
    return tuple(tuple(tensor.shape[1:]) for tensor in crossing(network, start))


def trunk_model(network: keras.Model, start: int) -> keras.Model:
    """Return the layers before the cut as a model: the network's input -> list of crossing tensors.

    Keras unwraps the list when called if only one tensor crosses.
    """
    return keras_module().Model(network.input, _through(network.inputs, crossing(network, start)))


def tail_model(network: keras.Model, start: int) -> keras.Model:
    """Return the layers behind the cut as a model: list of crossing tensors -> the network's output."""
    inputs = crossing(network, start)
    outputs = _through(inputs, network.outputs)
    return keras_module().Model(list(inputs), outputs[0] if len(outputs) == 1 else outputs)


def segment_model(network: keras.Model, first: int, last: int) -> keras.Model:
    """Return what lies between two cuts: list of tensors that cross ``first`` -> list of those that cross ``last``.

    The model shares the network's layers.
    """
    inputs = crossing(network, first)
    return keras_module().Model(list(inputs), _through(inputs, crossing(network, last)))


def _through(inputs: Sequence[Any], outputs: Sequence[Any]) -> list[Any]:
    """Return the outputs; one that is an input as well goes through a layer, for Keras would mistake the two."""
    known = {id(tensor) for tensor in inputs}
    identity = keras_module().layers.Identity
    return [identity()(tensor) if id(tensor) in known else tensor for tensor in outputs]


class _Cut:
    """A network's graph, divided at a layer. Operations that are no layers belong to the next layer's side."""

    def __init__(self, network: keras.Model, start: int) -> None:
        if not 0 <= start <= len(network.layers):
            raise UsageError(f"A cut must be between 0 and {len(network.layers)}. Received: {start}.")
        self._network = network
        self._place = {id(operation): place for place, operation in enumerate(network.operations)}
        at_end = start == len(network.layers)
        self._first = len(self._place) if at_end else self._place[id(network.layers[start])]
        self._inputs = {id(tensor) for tensor in network.inputs}
        self._check()

    def made(self) -> Iterator[Any]:
        """Yield the tensors made before the cut; the network's inputs always are."""
        for node in self._nodes():
            yield from (tensor for tensor in node.output_tensors if self._is_before(node) or id(tensor) in self._inputs)

    def wanted(self) -> set[int]:
        """Return the identities of the tensors used behind the cut, the network's outputs among them."""
        used = {id(tensor) for node in self._nodes() if not self._is_before(node) for tensor in node.input_tensors}
        return used | {id(tensor) for tensor in self._network.outputs}

    def _nodes(self) -> list[Any]:
        """Return the calls of all operations in this network, in the operations' order."""
        # layer._inbound_nodes would also hold calls of other models that share the layer
        nodes = [node for some in self._network._nodes_by_depth.values() for node in some]
        return sorted(nodes, key=lambda node: self._place[id(node.operation)])

    def _is_before(self, node: Any) -> bool:
        return self._place[id(node.operation)] < self._first

    def _check(self) -> None:
        """Refuse a cut before which something is computed from what comes behind it."""
        made = {id(tensor) for tensor in self.made()}
        for node in self._nodes():
            if self._is_before(node) and any(id(tensor) not in made for tensor in node.input_tensors):
                name = node.operation.name
                raise UsageError(
                    f"The network cannot be cut here: layer {name!r} is used several times, on both sides of the cut. "
                    f"Cut at {name!r} or before it, or train the whole network."
                )
