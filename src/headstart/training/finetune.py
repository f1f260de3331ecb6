"""Fine-tuning: the tail of a backbone and its head train together in Keras, phase by phase."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart import recipe
from headstart.backbones.catalog import Preprocessing
from headstart.backbones.engine import make_deterministic
from headstart.data.augment import fresh_batch
from headstart.evaluation.choosing import ACCURACY, Measure
from headstart.features.arrays import limit_bytes
from headstart.progress import SILENT, Progress
from headstart.training.assembly import Assembly
from headstart.training.batches import Examples, Inputs, ahead, in_batches, run, take
from headstart.training.compiled import Compiled, CompiledModels, assign, epoch_metrics, values_of
from headstart.training.course import Checkpoint, Course, Snapshot, pack, unpack
from headstart.training.heads import (
    EpochMetrics,
    EpochRow,
    Fit,
    Floats,
    Job,
    Rows,
    Scores,
    batch_order,
    class_weights,
    initial_weights,
    smoothed_targets,
)
from headstart.training.modes import measure_statistics, set_free
from headstart.training.phases import Stage, stage_at, stages
from headstart.training.stopping import BestEpoch, worth
from headstart.training.tally import measure as measure_logits

if TYPE_CHECKING:
    import keras

# Seeds below this are seeds in every tensor library.
SEEDS = 2**31
# So many training images tell the statistics of averaged weights, in batches of at least so many.
STATISTICS_IMAGES, STATISTICS_BATCH = 4096, 64


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """One job with its images, its phases, and the target ``(classes, classes)`` of an image of every class."""

    job: Job
    view: _View
    stages: tuple[Stage, ...]
    targets: Floats
    measure: Measure


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """What is judged: a model and examples as it takes them."""

    model: keras.Model
    examples: Examples


@dataclass(frozen=True, slots=True, eq=False)
class _Active:
    """The phase that is running. Its view begins where ``compiled`` begins."""

    stage: Stage
    compiled: Compiled
    view: _View


class FineTuner:
    """A backbone and a head that are put together once and trained many times.

    Layers before the cut of a phase run as in inference: they neither learn, nor drop, nor follow statistics. What
    they give is computed once per phase, unless images change anew in each epoch or it would not fit in memory.

    Args:
        network: functional: preprocessed float32 pixels -> feature map or features. Every fit starts from the weights
            that it has now.
        head: of all jobs that will be fitted.
        classes: number of outputs.
        preprocessing: given: inputs are uint8 RGB pixels ``(images, height, width, 3)``. None: inputs are flat features
            ``(images, values)``, all tensors that cross the cut ``start`` one after another (``features.cut``).
        start: the first layer that can train.
    """

    def __init__(
        self,
        network: keras.Model,
        head: recipe.Head,
        classes: int,
        *,
        preprocessing: Preprocessing | None,
        start: int = 0,
    ) -> None:
        make_deterministic()
        set_free(network)
        self._head, self._classes, self._start = head, classes, start
        self._takes_pixels = preprocessing is not None
        self._names = [layer.name for layer in network.layers]
        self._assembly = Assembly(network, head, classes, preprocessing=preprocessing, start=start)
        self._models = CompiledModels(self._assembly, classes)
        self._variables = [*self._assembly.backbone_variables, *self._assembly.head_variables]
        self._seeds = self._assembly.seeds()
        self._initial = values_of(self._assembly.backbone_variables)

    def fit(
        self,
        images: Inputs,
        labels: NDArray[np.integer[Any]],
        job: Job,
        *,
        measure: Measure = ACCURACY,
        checkpoint: Checkpoint | None = None,
        progress: Progress = SILENT,
    ) -> Fit:
        """Train one job and return its fit.

        With a checkpoint, the state is saved after each epoch; a training that was cut off goes on at the next epoch
        and ends with the same bits.

        Args:
            images: pixels or features, as the tuner takes them; may be memory-mapped, features of any precision.
            labels: class index of every image ``(images,)``.
            measure: what the epoch kept and early stopping go by, where the job has images to ``watch``.

        Raises:
            UsageError: the network has no such layer as a phase names.
        """
        task = self._task(Examples(images, labels, job.train, job.validation, job.watch), job, measure)
        self._start_over(job)
        course, active = self._resumed(task, checkpoint)
        course = course or Course([], BestEpoch(job.patience), values_of(self._variables))
        total = job.epochs * len(job.train)
        with progress.track("Fine-tuning", total=total, unit="images") as advance:
            advance(len(course.history) * len(job.train))
            while active is None or not course.ended(job.epochs):
                active = self._enter(task, len(course.history) + 1, active)
                self._run_epoch(task, active, course, advance)
                if checkpoint is not None:
                    checkpoint.save(pack(job.key, self._snapshot(course, active)))
            advance(total - len(course.history) * len(job.train))
        return self._finished(task, active, course)

    def logits(self, images: Inputs, rows: Rows, fit: Fit) -> Floats:
        """Return the logits ``(rows, classes)`` of some images under a fit of this network and head."""
        assign(self._variables, [*fit.backbone_weights, *fit.weights])
        return run(self._assembly.whole, images, rows)

    def _task(self, examples: Examples, job: Job, measure: Measure) -> _Task:
        if self._head.output == "logistic":
            raise ValueError("logistic regression is solved, not trained in epochs.")
        if job.fresh and not self._takes_pixels:
            raise ValueError("images that change in every epoch need pixels, not features.")
        targets = smoothed_targets(job.settings, self._classes)
        weights = class_weights(job.settings, examples.labels[job.train], self._classes)
        if weights is not None:
            # the cross-entropy is linear in its targets
            targets = targets * weights[:, None]
        found = stages(job.settings, job.epochs, self._names, start=self._start)
        return _Task(job, _View(self._assembly.whole, examples), found, targets, measure)

    def _start_over(self, job: Job) -> None:
        """Set weights and random states to what they were before any training."""
        inputs = self._assembly.head.input_shape[-1]
        head = initial_weights(self._head, inputs=inputs, classes=self._classes, seed=job.init_seed)
        assign(self._variables, [*self._initial, *head])
        for number, state in self._seeds:
            state.assign(np.array([(job.dropout_seed + number) % SEEDS, 0], state.dtype))

    def _enter(self, task: _Task, epoch: int, active: _Active | None) -> _Active:
        """Return the phase of an epoch; if it is not running yet, begin it, the optimiser new or going on."""
        stage = stage_at(task.stages, epoch)
        if active is not None and active.stage is stage:
            return active
        begun = self._activate(task, stage)
        if active is not None and stage.keeps_state:
            begun.compiled.take_over(active.compiled)
        else:
            begun.compiled.reset()
        return begun

    def _activate(self, task: _Task, stage: Stage) -> _Active:
        """Set the network's mode for a phase and make its model and its inputs ready."""
        examples, assembly = task.view.examples, self._assembly
        bridged = self._is_bridged(task, stage)
        compiled = self._models.get(stage, task.job.optimizer, bridged=bridged)
        if not bridged:
            return _Active(stage, compiled, task.view)
        features = run(assembly.bridge(stage.cut), examples.images, examples.rows)
        return _Active(stage, compiled, _View(assembly.tail(stage.cut), examples.with_features(features)))

    def _is_bridged(self, task: _Task, stage: Stage) -> bool:
        """Tell whether what the frozen part gives is computed once for a phase."""
        if task.job.fresh or not self._assembly.is_bridge(stage.cut):
            return False
        return self._assembly.bridge_bytes(stage.cut) * len(task.view.examples.rows) <= limit_bytes()

    def _run_epoch(self, task: _Task, active: _Active, course: Course, advance: Callable[[int], None]) -> None:
        epoch = len(course.history) + 1
        rate, train = self._train_epoch(task, active, epoch, advance)
        examples = active.view.examples
        validation = self._measured(active.view, examples.validation, with_penalty=True)
        value = self._worth(task, active.view, validation)
        weights = values_of(self._variables)
        finite = bool(np.isfinite((validation or train).loss) and all(np.isfinite(one).all() for one in weights))
        if course.best.see(epoch, value, finite=finite):
            course.weights = weights
        if finite and epoch >= _first_averaged(task.job):
            course.add(weights)
        course.history.append(EpochRow(active.stage.number, epoch, rate, train, validation))

    def _worth(self, task: _Task, view: _View, validation: EpochMetrics | None) -> float | None:
        """Return what the present weights are worth to the images that watch, or None without any."""
        examples, measure = view.examples, task.measure
        if examples.watch is None or not len(examples.watch):
            return None
        if examples.watch is examples.validation and validation is not None and measure.name in ("accuracy", "loss"):
            return measure.worth(float(getattr(validation, measure.name)))
        with np.errstate(all="ignore"):
            logits = run(view.model, examples.images, examples.watch)
            labels = examples.labels[examples.watch]
            return worth(measure, measure_logits(logits, labels), labels, logits)

    def _train_epoch(
        self, task: _Task, active: _Active, epoch: int, advance: Callable[[int], None]
    ) -> tuple[float, EpochMetrics]:
        """Return the learning rate of the first step, and what Keras measured while it trained."""
        job, examples, model = task.job, active.view.examples, active.compiled.model
        order = batch_order(job.order_seed, epoch, len(examples.train))
        batches = in_batches(examples.train[order], job.batch_size)
        rates = active.stage.rates(epoch, len(batches))
        sums: dict[str, float] = {}
        prepared = ahead(batches, lambda batch: (_batch(examples, job, epoch, batch), examples.labels[batch]))
        for number, (images, labels) in enumerate(prepared):
            if number == 0 or rates[number] != rates[number - 1]:
                model.optimizer.learning_rate = rates[number]
            means = model.train_on_batch(images, task.targets[labels], return_dict=True)
            for name, mean in means.items():
                sums[name] = sums.get(name, 0.0) + float(mean) * len(labels)
            advance(len(labels))
        return rates[0], epoch_metrics({name: value / len(order) for name, value in sums.items()})

    def _measured(self, view: _View, rows: Rows | None, *, with_penalty: bool = False) -> EpochMetrics | None:
        """Return the metrics of some rows of a view under the present weights, or None without rows."""
        if rows is None or not len(rows):
            return None
        extra = sum(float(loss) for loss in self._assembly.whole.losses) if with_penalty else 0.0
        with np.errstate(all="ignore"):
            return measure_logits(
                run(view.model, view.examples.images, rows), view.examples.labels[rows], penalty=extra
            )

    def _finished(self, task: _Task, active: _Active, course: Course) -> Fit:
        epoch, last_epoch, job = course.best.epoch, len(course.history), task.job
        last = self._scores(active.view, last_epoch)
        averaged = course.summed > 1
        first = _first_averaged(job) if averaged else epoch
        # what the running phase holds frozen had other weights before it began
        view = active.view if first >= active.stage.first_epoch else task.view
        if averaged:
            self._average(active.stage, view, course, job)
            epoch = last_epoch
        assign(self._variables, course.weights)
        kept_last = course.best.found and epoch == last_epoch and not averaged
        size = len(self._assembly.backbone_variables)
        validation = view.examples.validation
        return Fit(
            key=job.key,
            history=tuple(course.history),
            best_epoch=epoch,
            weights=tuple(course.weights[size:]),
            validation_logits=None if validation is None else run(view.model, view.examples.images, validation),
            best=last if kept_last else self._scores(view, epoch),
            last=last,
            backbone_weights=tuple(course.weights[:size]),
        )

    def _average(self, stage: Stage, view: _View, course: Course, job: Job) -> None:
        """Keep the mean of the last epochs' weights (P. Izmailov et al., Averaging Weights, UAI 2018).

        Moving statistics of batch normalisation are no mean of those of other weights: where they follow the batches,
        they are measured again on training images.
        """
        mean = [
            (total / course.summed).astype(one.dtype) for total, one in zip(course.sums, course.weights, strict=True)
        ]
        assign(self._variables, mean)
        if not stage.settled:
            examples = view.examples
            rows = examples.train[batch_order(job.order_seed, 0, len(examples.train))[:STATISTICS_IMAGES]]
            batches = in_batches(rows, max(job.batch_size, STATISTICS_BATCH))
            layers = self._assembly.network.layers[stage.cut :]
            measure_statistics(view.model, layers, (take(examples.images, batch) for batch in batches))
        course.weights = values_of(self._variables)

    def _scores(self, view: _View, epoch: int) -> Scores:
        train = self._measured(view, view.examples.train)
        assert train is not None, "a job has training rows"
        return Scores(epoch, train, self._measured(view, view.examples.validation))

    def _snapshot(self, course: Course, active: _Active) -> Snapshot:
        """Return everything that decides how training goes on."""
        groups = {name: values_of(variables) for name, variables in self._state(active).items()}
        return Snapshot(course, groups)

    def _resumed(self, task: _Task, checkpoint: Checkpoint | None) -> tuple[Course | None, _Active | None]:
        """Take up the saved state of this job, if there is one."""
        snapshot = unpack(task.job.key, checkpoint.load() if checkpoint is not None else None)
        if snapshot is None:
            return None, None
        # the weights come first: from them the phase computes its features
        assign(self._variables, snapshot.groups["weights"])
        active = self._activate(task, stage_at(task.stages, len(snapshot.course.history)))
        for name, variables in self._state(active).items():
            assign(variables, snapshot.groups[name])
        return snapshot.course, active

    def _state(self, active: _Active) -> dict[str, list[Any]]:
        seeds = [state for _, state in self._seeds]
        return {"weights": self._variables, "seeds": seeds, "optimizer": active.compiled.optimizer_variables}


def _first_averaged(job: Job) -> int:
    """Return the first of the epochs, from 1, whose weights count in the average; behind the last one: none."""
    # rounded: 10 epochs less 90 % of them are 0.9999999999999998
    return 1 + math.floor(round(job.epochs * (1 - job.settings.average), 6))


def _batch(examples: Examples, job: Job, epoch: int, rows: Rows) -> NDArray[Any]:
    """Return a training batch; images that are to change anew in every epoch are changed."""
    images = take(examples.images, rows)
    return fresh_batch(images, job.fresh, seed=job.augment_seed, epoch=epoch, rows=rows) if job.fresh else images
