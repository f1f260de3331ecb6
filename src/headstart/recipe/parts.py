"""The parts of a recipe: frozen, typed words and numbers, as they stand in TOML.

What they may be is said in ``recipe.check``; what only a network or the images can tell (layer names, smallest size,
classes) is checked later, by ``study``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

# Keras' epsilon: how near to 0 and 1 a sigmoid output may come before its logarithm is taken.
SMALLEST_SIGMOID = 1e-7

FLOAT = r"(\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)"
DENSE = re.compile(rf"dense (\d+)(?: (relu|tanh|linear))?(?: l2 {FLOAT})?")
DROPOUT = re.compile(rf"dropout {FLOAT}")
DECISION = re.compile(rf"(precision|recall|cost) (.+) {FLOAT}")


@dataclass(frozen=True, slots=True)
class DataRules:
    """How a folder becomes images.

    Attributes:
        resize: ``stretch``, ``crop`` or ``pad``.
        interpolation: ``bilinear``, ``bicubic`` or ``nearest``.
        antialias: whether shrinking averages over all pixels that fall together; without it, bilinear looks at four.
        group_by: empty, ``folder``, ``exif-burst`` or a regular expression on the path, whose first group (or whole
            match) names the group.
        class_names: the label as found -> the class name to use.
        remove: paths of images that are left out.
        relabel: paths of images whose label is wrong -> the class that they are of.
        corrected_from: the run folder whose list of doubts the two hold; decides nothing but what is compared with.
        limit: most images to learn from, class by class in proportion; 0: all. Given test images are not counted; where
            the test set is cut from these images, it is part of them.
        keep: paths of images whose label was doubted and is right; they are not doubted again.
        min_images_per_class: classes with fewer images to learn from (given test images are not counted) are left out.
        pool: given splits are ignored: all images together are split anew.
    """

    resize: str = "stretch"
    interpolation: str = "bilinear"
    antialias: bool = True
    group_by: str = ""
    class_names: dict[str, str] = field(default_factory=dict)
    remove: tuple[str, ...] = ()
    limit: int = 0
    relabel: dict[str, str] = field(default_factory=dict)
    corrected_from: str = ""
    keep: tuple[str, ...] = ()
    min_images_per_class: int = 0
    pool: bool = False

    @property
    def corrected_run(self) -> str:
        """The name of the run folder whose list corrects, wherever it lies; empty without one."""
        return Path(self.corrected_from).resolve().name if self.corrected_from else ""


@dataclass(frozen=True, slots=True)
class Protocol:
    """How candidates are judged.

    ``kind`` is ``folds`` or ``holdout``; ``folds`` = 0 leaves their number to the images. ``test_fraction`` is the
    sealed share of every class. ``holdout`` is the share of the training images that validates when ``kind`` is
    ``holdout`` and no validation images are given.
    ``final_epochs`` is the length of final trainings; 0: that of the procedure, or with ``score_epoch`` = ``best`` the
    rounded mean of the folds' best epochs.

    Attributes:
        choose_by: the measure by which candidates, and where there is a choice epochs, are chosen: ``accuracy``,
            ``balanced_accuracy``, ``macro_f1``, ``auc`` (macro), ``loss``, or ``cost`` (of ``decide``).
        score_epoch: ``last``: a fold is scored at the end of a procedure that its validation images had no say in, and
            the final training is the same procedure. ``best``: at its own best epoch on the validation images, as
            many reports do; that flatters.
        equivalence: differences in accuracy below this share do not matter to the user.
        nested: also judge the choice of the best itself, by a cross-validation around it.
        learning_curve: also train the best on fewer images.
        combinations: also try joined features and mirrored images.
        unknown_images: a folder of images that belong to no class, for judging the answer "unknown"; empty: none.
        budget: seconds that the whole study may take; 0: as many as it needs.
        decide: what matters more than accuracy, each ``precision CLASS SHARE``, ``recall CLASS SHARE`` or
            ``cost TRUE:PREDICTED NUMBER`` (errors that are not named cost 1).
    """

    kind: str = "folds"
    folds: int = 5
    holdout: float = 0.2
    repeats: int = 1
    test_fraction: float = 0.2
    choose_by: str = "accuracy"
    score_epoch: str = "last"
    finals: str = "per_backbone"
    final_epochs: int = 0
    seed: int = 0
    equivalence: float = 0.01
    nested: bool = False
    learning_curve: bool = False
    combinations: bool = False
    unknown_images: str = ""
    budget: float = 0.0
    decide: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Optimizer:
    """Keras' Adam, AdamW, SGD or RMSprop with Keras' default constants.

    ``momentum`` is of SGD and RMSprop, ``nesterov`` of SGD, the betas of Adam and AdamW, ``rho`` of RMSprop,
    ``weight_decay`` of AdamW.
    """

    name: str = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.0
    nesterov: bool = False
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    rho: float = 0.9
    weight_decay: float = 0.004


@dataclass(frozen=True, slots=True)
class Schedule:
    """A factor on the learning rate; steps and epochs count from the start of the phase.

    ``constant``: 1. ``steps``: multiplied by ``factor`` after every ``every`` epochs. ``inverse_time``:
    1 / (1 + factor * step). ``cosine``: from 1 down to 0 over all steps of all epochs.
    """

    kind: str = "constant"
    factor: float = 0.1
    every: int = 5


@dataclass(frozen=True, slots=True)
class DenseLayer:
    """A dense layer of a head: its units, the share of its inputs that is dropped, its L2 factor, its activation."""

    units: int
    dropout: float
    l2: float
    activation: str


@dataclass(frozen=True, slots=True)
class Head:
    """The new classifier layers.

    Attributes:
        pooling: ``average``, ``max`` or ``flatten``.
        layers: before the output, in order, each ``dense UNITS [relu|tanh|linear] [l2 FACTOR]`` (relu unless told) or
            ``dropout SHARE``.
        output: ``softmax``; ``sigmoid``, normalised to sum 1 as Keras' categorical cross-entropy does with it; or
            ``logistic``: no layers, one softmax layer that is not trained in epochs but solved to its optimum.
        l2: factor on the sum of squares of the output layer's kernel.
    """

    pooling: str = "average"
    layers: tuple[str, ...] = ()
    output: str = "softmax"
    l2: float = 0.0

    def dense_layers(self, classes: int) -> tuple[DenseLayer, ...]:
        """Return all dense layers in order, the output last; dropout stands with the layer that follows it."""
        found, dropout = [], 0.0
        for text in self.layers:
            if match := DROPOUT.fullmatch(text):
                dropout = float(match[1])
            elif match := DENSE.fullmatch(text):
                found.append(DenseLayer(int(match[1]), dropout, float(match[3] or 0), match[2] or "relu"))
                dropout = 0.0
        return (*found, DenseLayer(classes, dropout, self.l2, "linear"))


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of training that follows the first one; epochs go on counting.

    Attributes:
        trainable: as in ``Training``.
        batch_normalization: as in ``Training``.
        learning_rate: 0: as in the phase before.
        optimizer_state: ``reset``, or ``keep`` what the optimiser has gathered for weights that trained before.
    """

    epochs: int
    trainable: str = "none"
    learning_rate: float = 0.0
    schedule: Schedule = field(default_factory=Schedule)
    batch_normalization: str = "training"
    optimizer_state: str = "reset"


@dataclass(frozen=True, slots=True)
class Training:
    """How a candidate is trained.

    Attributes:
        epochs: of the first phase.
        trainable: how much of the backbone trains in the first phase: ``none`` (the head alone), ``all``, ``last N``
            Keras layers, ``from N`` (layers numbered from 0, the input is 0) or ``from NAME`` of a layer.
        batch_normalization: of layers that train: ``training`` (statistics of the batch, moving statistics follow) or
            ``inference`` (moving statistics are used and stay; scale and shift train).
        patience: epochs without a better value of what chooses after which training stops, counted through all
            phases; 0: never. Judged on a tenth of the training images that is held back for it, or with
            ``protocol.score_epoch`` = ``best`` on the validation images.
        average: share of all epochs, at the end, over which the weights that are kept are averaged; 0: those of the
            last epoch. Where layers of the backbone train.
        label_smoothing: share of the target that is spread over all classes, 0 to below 1.
        class_weights: ``none``, or ``balanced``: images / (classes * images of the class).
        phases: what follows the first phase.
    """

    epochs: int = 20
    batch_size: int = 32
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    trainable: str = "none"
    batch_normalization: str = "training"
    patience: int = 0
    average: float = 0.0
    label_smoothing: float = 0.0
    class_weights: str = "none"
    phases: tuple[Phase, ...] = ()

    @property
    def all_epochs(self) -> int:
        """Epochs of all phases."""
        return self.epochs + sum(phase.epochs for phase in self.phases)

    @property
    def cuts(self) -> tuple[str, ...]:
        """What trains of the backbone, phase by phase."""
        return (self.trainable, *(phase.trainable for phase in self.phases))


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Changed copies of training images; validation and test images are never changed.

    ``views`` adds one copy per entry, computed once. ``fresh`` changes every training image anew in each epoch. An
    entry is one operation or several joined by `` + ``: ``flip``, ``flip both``, ``rotation TURNS``, ``zoom SHARE``,
    ``shift PIXELS``, ``contrast SHARE``, ``brightness SHARE``.
    """

    views: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """One complete setting.

    Attributes:
        name: its name in every table; empty: network and learning rate.
        weights: ``imagenet`` or ``random``.
        image_size: side in pixels, or 0 for the backbone's default.
        preprocessing: ``own`` (what the backbone was trained with), ``unit`` (pixels / 255) or ``none``.
        colour: ``rgb``, or ``grey``: one channel, the first kernel summed over its input channels.
    """

    backbone: str
    name: str = ""
    weights: str = "imagenet"
    image_size: int = 0
    preprocessing: str = "own"
    colour: str = "rgb"
    head: Head = field(default_factory=Head)
    train: Training = field(default_factory=Training)
    augmentation: Augmentation = field(default_factory=Augmentation)

    @property
    def is_control(self) -> bool:
        """Whether this is a frozen backbone with random weights, which shows what pretraining is worth."""
        return self.weights == "random" and not self.tunes

    @property
    def tunes(self) -> bool:
        """Whether any phase trains a part of the backbone."""
        return any(cut != "none" for cut in self.train.cuts)

    @property
    def network(self) -> str:
        """The readable name of the network: backbone, and whether it is a control."""
        return self.backbone + ("-random" if self.is_control else "")

    @property
    def id(self) -> str:
        """The readable name used in every table."""
        if self.name:
            return self.name
        if self.head.output == "logistic":
            return f"{self.network}-logistic"
        return f"{self.network}-lr{self.train.optimizer.learning_rate:g}"


@dataclass(frozen=True, slots=True)
class PublishedValue:
    """A number that others have published for a candidate.

    ``part`` is ``train``, ``validation`` or ``test``. ``metric`` is ``accuracy``, ``loss``, ``top_2``, or one of a
    class, such as ``precision:daisy``; a fold's value bears its number, such as ``accuracy:fold 1``.
    """

    candidate: str
    part: str
    metric: str
    value: float
