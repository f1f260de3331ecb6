"""Keras models compiled for training, kept so that many jobs use what was traced once."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart import recipe
from headstart.backbones.engine import keras_module
from headstart.training.assembly import Assembly
from headstart.training.heads import EpochMetrics, top_k_size
from headstart.training.modes import set_mode
from headstart.training.phases import Stage

if TYPE_CHECKING:
    import keras

Arrays = list[NDArray[Any]]

# Each holds the moments of its optimiser: twice the weights, with Adam.
KEPT_AT_ONCE = 8
# Where Keras' optimisers keep what they gather for each variable.
GATHERED = ("_momentums", "_velocities", "momentums")


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """One model ready to train a phase, and its optimiser's variables as they were before any step."""

    model: keras.Model
    initial: Arrays

    @property
    def optimizer_variables(self) -> list[Any]:
        """Everything the optimiser remembers."""
        variables: list[Any] = self.model.optimizer.variables
        return variables

    def reset(self) -> None:
        """Let the optimiser forget everything."""
        assign(self.optimizer_variables, self.initial)

    def take_over(self, before: Compiled) -> None:
        """Go on with the steps counted and with what was gathered for the weights that trained before."""
        if before is self:
            return
        self.reset()
        own, other = self.model.optimizer, before.model.optimizer
        own.iterations.assign(other.iterations.value)
        for name in GATHERED:
            known = _by_weight(other, name)
            for weight, gathered in _by_weight(own, name).items():
                if weight in known:
                    gathered.assign(known[weight].value)


def _by_weight(optimizer: Any, name: str) -> dict[int, Any]:
    """Return one kind of gathered variables by the identity of the weight that each belongs to."""
    gathered = getattr(optimizer, name, None) or []
    trained = optimizer._trainable_variables if gathered else []
    return {id(weight): variable for weight, variable in zip(trained, gathered, strict=True)}


class CompiledModels:
    """The compiled models of one assembly, by cut, mode and optimiser; those not used for longest go first."""

    def __init__(self, assembly: Assembly, classes: int) -> None:
        self._assembly, self._classes = assembly, classes
        self._kept: OrderedDict[tuple[Any, ...], Compiled] = OrderedDict()

    def get(self, stage: Stage, optimizer: recipe.Optimizer, *, bridged: bool) -> Compiled:
        """Set the network's mode for a phase and return its model: from the cut when ``bridged``, else the whole."""
        set_mode(self._assembly.network, stage.cut, settled=stage.settled)
        rule = dataclasses.replace(optimizer, learning_rate=1.0)
        key = (stage.cut, stage.settled, rule, bridged)
        if key not in self._kept:
            self._kept[key] = self._compile(stage, rule, bridged)
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT_AT_ONCE:
            self._kept.popitem(last=False)
        return self._kept[key]

    def _compile(self, stage: Stage, rule: recipe.Optimizer, bridged: bool) -> Compiled:
        shared = self._assembly.tail(stage.cut) if bridged else self._assembly.whole
        model = keras_module().Model(shared.inputs, shared.outputs)
        model.compile(optimizer=_keras_optimizer(rule), loss=_cross_entropy, metrics=_keras_metrics(self._classes))
        model.optimizer.build(model.trainable_variables)
        return Compiled(model, values_of(model.optimizer.variables))


def values_of(variables: Iterable[Any]) -> Arrays:
    """Return copies of variables as arrays."""
    # Given the variable itself, Keras 3.15 warns of its own call to NumPy.
    return [np.array(keras_module().ops.convert_to_numpy(variable.value)) for variable in variables]


def assign(variables: Sequence[Any], values: Sequence[NDArray[Any]]) -> None:
    """Set variables to arrays, one by one."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def epoch_metrics(means: dict[str, float]) -> EpochMetrics:
    """Return the metrics of an epoch from the means that ``_keras_metrics`` names."""
    confident, right = means["confident"], means["confident_right"]
    return EpochMetrics(
        loss=means["loss"] + means["excess"],
        accuracy=means["accuracy"],
        precision=right / confident if confident else 0.0,
        recall=right,
        top_k=means.get("top_k"),
    )


def _keras_optimizer(settings: recipe.Optimizer) -> Any:
    optimizers, rate = keras_module().optimizers, settings.learning_rate
    adam = {"beta_1": settings.beta_1, "beta_2": settings.beta_2, "epsilon": settings.epsilon}
    if settings.name == "adam":
        return optimizers.Adam(rate, **adam)
    if settings.name == "adamw":
        return optimizers.AdamW(rate, weight_decay=settings.weight_decay, **adam)
    if settings.name == "rmsprop":
        return optimizers.RMSprop(rate, rho=settings.rho, momentum=settings.momentum, epsilon=settings.epsilon)
    return optimizers.SGD(rate, momentum=settings.momentum, nesterov=settings.nesterov)


def _cross_entropy(targets: Any, logits: Any) -> Any:
    """Return each image's loss. Keras' own would take the weight of an image out of the gradient's second term."""
    ops = keras_module().ops
    return -ops.sum(targets * ops.log_softmax(logits), axis=-1)


def _keras_metrics(classes: int) -> list[Any]:
    """Return metrics on targets and logits that cost little: means, from which all others follow.

    ``excess`` is what the plain cross-entropy is above the one with label smoothing and class weights.
    """
    keras = keras_module()
    ops, mean = keras.ops, keras.metrics.MeanMetricWrapper

    def one_hot(targets: Any) -> Any:
        return ops.one_hot(ops.argmax(targets, axis=-1), classes)

    def accuracy(targets: Any, logits: Any) -> Any:
        return ops.cast(ops.argmax(targets, axis=-1) == ops.argmax(logits, axis=-1), "float32")

    def confident(targets: Any, logits: Any) -> Any:
        return ops.cast(ops.max(ops.softmax(logits), axis=-1) > 0.5, "float32")

    def confident_right(targets: Any, logits: Any) -> Any:
        return ops.cast(ops.sum(ops.softmax(logits) * one_hot(targets), axis=-1) > 0.5, "float32")

    def excess(targets: Any, logits: Any) -> Any:
        return _cross_entropy(one_hot(targets) - targets, logits)

    metrics = [mean(measure, name=measure.__name__) for measure in (accuracy, confident, confident_right, excess)]
    k = top_k_size(classes)
    return metrics if k is None else [*metrics, keras.metrics.TopKCategoricalAccuracy(k=k, name="top_k")]
