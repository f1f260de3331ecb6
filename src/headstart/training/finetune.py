"""Fine-tuning: backbone and head train together in Keras, from decoded pixels."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from headstart import recipe, storage
from headstart.backbones.catalog import Preprocessing
from headstart.backbones.engine import keras_module, make_deterministic
from headstart.progress import SILENT, Progress
from headstart.training.heads import (
    EpochMetrics,
    EpochRow,
    Fit,
    Floats,
    Job,
    Rows,
    Scores,
    batch_order,
    initial_weights,
    penalty,
    top_k_size,
)
from headstart.training.optimizers import schedule_factor
from headstart.training.stopping import BestEpoch
from headstart.training.tally import measure

if TYPE_CHECKING:
    import keras

Pixels = NDArray[np.uint8]
Arrays = list[NDArray[Any]]

JUDGED_AT_ONCE = 64
# Seeds below this are seeds in every tensor library.
SEEDS = 2**31


class Checkpoint(Protocol):
    """Where the half-done state of one training is kept."""

    def load(self) -> bytes | None:
        """Return what was saved last, or None."""
        ...

    def save(self, content: bytes) -> None:
        """Replace what was saved."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _Images:
    pixels: Pixels
    labels: NDArray[np.integer[Any]]


@dataclass(slots=True)
class _Course:
    """How far a training has come: its history, and the weights of the best epoch."""

    history: list[EpochRow]
    best: BestEpoch
    weights: Arrays

    def ended(self, epochs: int) -> bool:
        return len(self.history) == epochs or self.best.stopped


class FineTuner:
    """A backbone with preprocessing before it and a head behind it, compiled once and trained many times.

    Args:
        network: functional: preprocessed float32 pixels -> last feature map. Every fit starts from the weights that it
            has now.
        preprocessing: applied to uint8 RGB pixels.
        head: of all jobs that will be fitted.
        classes: number of outputs.
    """

    def __init__(self, network: keras.Model, preprocessing: Preprocessing, head: recipe.Head, classes: int) -> None:
        self._keras = keras_module()
        make_deterministic()
        self._network, self._head, self._classes = network, head, classes
        network.trainable = True
        self._channels = int(network.output_shape[-1])
        self._model, self._dense = _whole_model(network, preprocessing, head, classes)
        self._seeds = _without(self._model.non_trainable_variables, self._model.non_trainable_weights)
        self._initial_network = self._values(network.weights)
        self._rule: recipe.Optimizer | None = None
        self._initial_optimizer: Arrays = []

    def fit(
        self,
        pixels: Pixels,
        labels: NDArray[np.integer[Any]],
        job: Job,
        *,
        monitor: str,
        checkpoint: Checkpoint | None = None,
        progress: Progress = SILENT,
    ) -> Fit:
        """Train one job and return its fit.

        With a checkpoint, the state is saved after each epoch; a training that was cut off goes on at the next epoch
        and ends with the same bits.

        Args:
            pixels: ``(images, height, width, 3)`` uint8 RGB; may be memory-mapped.
            labels: class index of every image ``(images,)``.
            monitor: ``accuracy`` or ``loss``: what the best epoch and early stopping go by.
        """
        self._start(job)
        course = self._resumed(job, checkpoint) or _Course(
            [], BestEpoch(monitor, job.patience), self._values(self._model.weights)
        )
        images, total = _Images(pixels, labels), job.epochs * len(job.train)
        with progress.track("Fine-tuning", total=total, unit="images") as advance:
            advance(len(course.history) * len(job.train))
            while not course.ended(job.epochs):
                self._run_epoch(images, job, course, advance)
                if checkpoint is not None:
                    checkpoint.save(self._packed(job, course))
            advance(total - len(course.history) * len(job.train))
        return self._finished(images, job, course)

    def logits(self, pixels: Pixels, rows: Rows, fit: Fit) -> Floats:
        """Return the logits ``(rows, classes)`` of some images under a fit of this network and head."""
        self._assign(self._network.weights, fit.backbone_weights)
        self._assign(self._head_variables, fit.weights)
        return self._judge(pixels, rows)

    @property
    def _head_variables(self) -> list[Any]:
        return [variable for layer in self._dense for variable in (layer.kernel, layer.bias)]

    def _start(self, job: Job) -> None:
        """Set everything to what it was before any training: weights, optimiser, random states."""
        self._compile(job.optimizer)
        self._assign(self._network.weights, self._initial_network)
        head = initial_weights(self._head, inputs=self._channels, classes=self._classes, seed=job.init_seed)
        self._assign(self._head_variables, head)
        self._assign(self._model.optimizer.variables, self._initial_optimizer)
        for number, seed in enumerate(self._seeds):
            seed.assign(np.array([(job.dropout_seed + number) % SEEDS, 0], seed.dtype))

    def _compile(self, optimizer: recipe.Optimizer) -> None:
        """Compile the model, unless it already is for an optimiser that differs in the learning rate alone."""
        rule = dataclasses.replace(optimizer, learning_rate=1.0)
        if rule == self._rule:
            return
        self._model.compile(
            optimizer=_keras_optimizer(rule),
            loss=self._keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=_keras_metrics(self._classes),
        )
        self._model.optimizer.build(self._model.trainable_variables)
        self._rule, self._initial_optimizer = rule, self._values(self._model.optimizer.variables)

    def _run_epoch(self, images: _Images, job: Job, course: _Course, advance: Callable[[int], None]) -> None:
        epoch = len(course.history) + 1
        rate, train = self._train_epoch(images, job, epoch, advance)
        validation = self._measure(images, job.validation, with_penalty=True)
        weights = self._values(self._model.weights)
        finite = np.isfinite((validation or train).loss) and all(np.isfinite(values).all() for values in weights)
        if course.best.see(epoch, validation, finite=bool(finite)):
            course.weights = weights
        course.history.append(EpochRow(1, epoch, rate, train, validation))

    def _train_epoch(
        self, images: _Images, job: Job, epoch: int, advance: Callable[[int], None]
    ) -> tuple[float, EpochMetrics]:
        """Return the learning rate of the first step, and what Keras measured while it trained."""
        rows = job.train[batch_order(job.order_seed, epoch, len(job.train))]
        batches = [rows[start : start + job.batch_size] for start in range(0, len(rows), job.batch_size)]
        rates = _learning_rates(job, epoch, len(batches))
        sums: dict[str, float] = {}
        for number, batch in enumerate(batches):
            if number == 0 or rates[number] != rates[number - 1]:
                self._model.optimizer.learning_rate = rates[number]
            means = self._model.train_on_batch(images.pixels[batch], images.labels[batch], return_dict=True)
            for name, mean in means.items():
                sums[name] = sums.get(name, 0.0) + float(mean) * len(batch)
            advance(len(batch))
        return rates[0], _epoch_metrics({name: value / len(rows) for name, value in sums.items()})

    def _judge(self, pixels: Pixels, rows: Rows) -> Floats:
        """Return the logits ``(rows, classes)`` under the present weights."""
        logits = np.empty((len(rows), self._classes), np.float32)
        for start in range(0, len(rows), JUDGED_AT_ONCE):
            part = rows[start : start + JUDGED_AT_ONCE]
            logits[start : start + len(part)] = self._model.predict_on_batch(pixels[part])
        return logits

    def _measure(self, images: _Images, rows: Rows | None, *, with_penalty: bool) -> EpochMetrics | None:
        if rows is None or not len(rows):
            return None
        extra = penalty(self._values(self._head_variables), self._head.l2) if with_penalty else 0.0
        with np.errstate(all="ignore"):
            return measure(self._judge(images.pixels, rows), images.labels[rows], penalty=extra)

    def _finished(self, images: _Images, job: Job, course: _Course) -> Fit:
        epoch, last_epoch = course.best.epoch, len(course.history)
        last = self._scores(images, job, last_epoch)
        self._assign(self._model.weights, course.weights)
        kept_last = course.best.found and epoch == last_epoch
        return Fit(
            key=job.key,
            history=tuple(course.history),
            best_epoch=epoch,
            weights=tuple(self._values(self._head_variables)),
            validation_logits=None if job.validation is None else self._judge(images.pixels, job.validation),
            best=last if kept_last else self._scores(images, job, epoch),
            last=last,
            backbone_weights=tuple(self._values(self._network.weights)),
        )

    def _scores(self, images: _Images, job: Job, epoch: int) -> Scores:
        train = self._measure(images, job.train, with_penalty=False)
        assert train is not None, "a job has training rows"
        return Scores(epoch, train, self._measure(images, job.validation, with_penalty=False))

    def _packed(self, job: Job, course: _Course) -> bytes:
        """Return the state after an epoch as npz bytes: arrays ``<kind>/<number>`` and JSON."""
        groups = {kind: self._values(variables) for kind, variables in self._state().items()}
        groups["best"] = course.weights
        arrays = {f"{kind}/{number}": values for kind, group in groups.items() for number, values in enumerate(group)}
        history = [dataclasses.asdict(row) for row in course.history]
        text = json.dumps({"key": job.key, "history": history, "best": dataclasses.asdict(course.best)})
        stream = io.BytesIO()
        np.savez(stream, json=np.frombuffer(text.encode(), np.uint8), **arrays)  # type: ignore[arg-type]
        return stream.getvalue()

    def _resumed(self, job: Job, checkpoint: Checkpoint | None) -> _Course | None:
        """Take up the saved state of this job, if there is one."""
        content = checkpoint.load() if checkpoint is not None else None
        if content is None:
            return None
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            plain = json.loads(arrays["json"].tobytes())
            if plain["key"] != job.key:
                return None
            for kind, variables in self._state().items():
                self._assign(variables, [arrays[f"{kind}/{number}"] for number in range(len(variables))])
            weights = [arrays[f"best/{number}"] for number in range(len(self._model.weights))]
        history = storage.from_plain(tuple[EpochRow, ...], plain["history"])
        return _Course(list(history), BestEpoch(**plain["best"]), weights)

    def _state(self) -> dict[str, list[Any]]:
        """Return every variable that decides how training goes on."""
        return {"weights": self._model.weights, "seeds": self._seeds, "optimizer": self._model.optimizer.variables}

    def _values(self, variables: Iterable[Any]) -> Arrays:
        """Return copies of variables as arrays."""
        # Given the variable itself, Keras 3.15 warns of its own call to NumPy.
        return [np.array(self._keras.ops.convert_to_numpy(variable.value)) for variable in variables]

    def _assign(self, variables: Sequence[Any], values: Sequence[NDArray[Any]]) -> None:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)


def _whole_model(
    network: keras.Model, preprocessing: Preprocessing, head: recipe.Head, classes: int
) -> tuple[keras.Model, list[Any]]:
    """Return the model from uint8 pixels to logits, and its dense layers in order."""
    keras = keras_module()
    layers = keras.layers
    dense: list[Any] = []
    pixels = keras.Input(network.input_shape[1:], dtype="uint8")
    values = keras.ops.cast(pixels, "float32")
    if preprocessing.channel_order == "bgr":
        values = keras.ops.flip(values, axis=-1)
    values = values * np.array(preprocessing.scale, np.float32) + np.array(preprocessing.offset, np.float32)
    values = layers.GlobalAveragePooling2D()(network(values))
    for units in (*head.dense, classes):
        hidden = len(dense) < len(head.dense)
        if head.dropout and (dense or not head.dense):
            # Without a seed, the PyTorch backend would draw from a generator that no one resets.
            values = layers.Dropout(head.dropout, seed=0)(values)
        regularizer = keras.regularizers.L2(head.l2) if head.l2 else None
        activation = head.activation if hidden else None
        dense.append(layers.Dense(units, activation=activation, kernel_regularizer=regularizer))
        values = dense[-1](values)
    return keras.Model(pixels, values), dense


def _keras_optimizer(settings: recipe.Optimizer) -> Any:
    optimizers = keras_module().optimizers
    if settings.name == "adam":
        return optimizers.Adam(
            settings.learning_rate, beta_1=settings.beta_1, beta_2=settings.beta_2, epsilon=settings.epsilon
        )
    return optimizers.SGD(settings.learning_rate, momentum=settings.momentum, nesterov=settings.nesterov)


def _keras_metrics(classes: int) -> list[Any]:
    """Return metrics on logits that cost little: means, from which precision and recall follow."""
    keras = keras_module()
    ops, mean = keras.ops, keras.metrics.MeanMetricWrapper

    def confident(labels: Any, logits: Any) -> Any:
        return ops.cast(ops.max(ops.softmax(logits), axis=-1) > 0.5, "float32")

    def confident_right(labels: Any, logits: Any) -> Any:
        true_class = ops.one_hot(ops.cast(ops.reshape(labels, (-1,)), "int32"), classes)
        return ops.cast(ops.sum(ops.softmax(logits) * true_class, axis=-1) > 0.5, "float32")

    metrics = [
        keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
        mean(confident, name="confident"),
        mean(confident_right, name="confident_right"),
    ]
    k = top_k_size(classes)
    return metrics if k is None else [*metrics, keras.metrics.SparseTopKCategoricalAccuracy(k=k, name="top_k")]


def _epoch_metrics(means: dict[str, float]) -> EpochMetrics:
    confident, right = means["confident"], means["confident_right"]
    return EpochMetrics(
        loss=means["loss"],
        accuracy=means["accuracy"],
        precision=right / confident if confident else 0.0,
        recall=right,
        top_k=means.get("top_k"),
    )


def _learning_rates(job: Job, epoch: int, steps: int) -> list[float]:
    """Return the learning rate of every step of an epoch."""
    return [
        job.optimizer.learning_rate
        * schedule_factor(job.schedule, step=(epoch - 1) * steps + step, steps_per_epoch=steps, epochs=job.epochs)
        for step in range(steps)
    ]


def _without(variables: Sequence[Any], left_out: Sequence[Any]) -> list[Any]:
    """Return the variables that are not (the same object as) one of ``left_out``."""
    known = {id(variable) for variable in left_out}
    return [variable for variable in variables if id(variable) not in known]
