"""What is found out beyond accuracy, as frozen dataclasses: the keys of ``summary.json`` that say how sure, how
calibrated, how optimistic.

Shares, probabilities and accuracies are in 0..1; intervals are 95 % intervals ``(low, high)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headstart.evaluation.results import Comparison, Evaluation, FoldValues

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Friedman:
    """Whether any of three or more candidates differs over the same folds, and by how many ranks a pair must differ.

    ``mean_ranks`` are in the order of ``candidates`` (1 is best). ``critical_difference`` is Nemenyi's at 5 %.
    """

    candidates: tuple[str, ...]
    mean_ranks: tuple[float, ...]
    statistic: float
    p_value: float
    critical_difference: float
    blocks: int


@dataclass(frozen=True, slots=True)
class ExpectedTest:
    """The test accuracy that cross-validation predicts, and the interval that holds it with probability ``level``."""

    expected: float
    low: float
    high: float
    level: float


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Images of about equal confidence: how sure the classifier was on average, and how often it was right."""

    images: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class CalibrationScores:
    """Expected calibration error over bins of equal mass, Brier score (0..2, summed over classes), loss in nats.

    ``noise`` is the error that is expected where every confidence is the true one: so few images show no less.
    """

    error: float
    brier: float
    loss: float
    bins: tuple[ReliabilityBin, ...]
    noise: float | None = None


@dataclass(frozen=True, slots=True)
class Calibration:
    """What one temperature, fitted on ``fitted_on`` (``out_of_fold`` or ``validation``), does to the test images.

    ``images`` were there to fit it on, each once; where they are too few the temperature stays 1.
    """

    candidate: str
    temperature: float
    fitted_on: str
    images: int
    before: CalibrationScores
    after: CalibrationScores


@dataclass(frozen=True, slots=True)
class UnknownTrial:
    """One kind of images that belong to no class: a class that was left out of training, or a folder.

    ``auroc`` is the chance that an unknown image looks less known than a known one; ``refused`` the share of the
    unknown images that the threshold refuses.
    """

    name: str
    images: int
    auroc: float | None
    refused: float | None


@dataclass(frozen=True, slots=True)
class CoveragePoint:
    """Of the images whose confidence is at least ``confidence``: how many they are, and how many of them are right."""

    coverage: float
    accuracy: float
    confidence: float


@dataclass(frozen=True, slots=True)
class MethodScore:
    """One way to tell the unknown, and its mean AUROC over left-out classes, on training images (None: not judged)."""

    method: str
    auroc: float | None


@dataclass(frozen=True, slots=True)
class Unknown:
    """How images that belong to no class are told from known ones.

    Attributes:
        method: the score in use.
        threshold: above this score an image is unknown.
        kept: share of the known test images that are not refused.
        judged: why there are no ``trials``, or an empty text.
        trials: each class left out in turn, on test images; a threshold keeps 95 % of its round's validation images.
        mean_auroc: over the trials.
        folder: the images of ``--unknown``.
        coverage: of the test images, from the surest to all.
    """

    candidate: str
    method: str
    threshold: float
    kept: float
    judged: str
    methods: tuple[MethodScore, ...]
    trials: tuple[UnknownTrial, ...]
    mean_auroc: float | None
    folder: UnknownTrial | None
    coverage: tuple[CoveragePoint, ...]


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold for one class that reaches a target out of fold, and what it does there and on the test images.

    ``kind`` is ``precision``: ``class_`` is answered only where it is the most probable class and its calibrated
    probability is at least ``threshold`` (0.0: nothing need be withheld; 2.0: no threshold reaches the target, so the
    class is never answered); or ``recall``: from ``threshold`` on it is answered even where another class is more
    probable (0.5: nothing need be added). Precision and recall are of the answers of all thresholds together,
    ``reached`` says whether they reach the target out of fold; precision is None where the class was never answered.
    """

    class_: str
    kind: str
    target: float
    threshold: float
    reached: bool
    out_of_fold_precision: float | None
    out_of_fold_recall: float | None
    test_precision: float | None
    test_precision_ci95: Interval | None
    test_recall: float | None
    test_recall_ci95: Interval | None


@dataclass(frozen=True, slots=True)
class Operating:
    """How answers are chosen where some errors matter more: thresholds of classes, or costs of errors.

    ``cost_before`` and ``cost_after`` are mean costs per test image of the most probable class and of this rule; None
    without costs. ``accuracy`` is the rule's on the test images.
    """

    candidate: str
    points: tuple[OperatingPoint, ...]
    accuracy: float
    accuracy_before: float
    cost_before: float | None
    cost_after: float | None
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class CleanTest:
    """A finalist on the test images that are not also training images, where the given splits share some.

    Of ``images`` test images ``contaminated`` have an equal or nearly equal image among those learned from; of all
    others ``right`` are right. ``accuracy`` and ``ci95`` (Wilson) are of those others; None where there are none.
    """

    candidate: str
    images: int
    contaminated: int
    right: int
    accuracy: float | None
    ci95: Interval | None


@dataclass(frozen=True, slots=True)
class Baseline:
    """Always naming the class that is commonest among the training images, beside the best candidate.

    Attributes:
        right: of the ``images`` test images would have been right.
        beaten: the best candidate is right more often on them, by McNemar's mid-p below 5 %.
        recall: the best candidate's mean recall on them.
        chance_on_test, chance_out_of_fold: how probable so high a mean recall is for answers that have nothing to do
            with the images (``evaluation.baseline``); out of fold times the number of candidates, at most 1.
        informative: one of the two is improbable enough: below 5 % on the test images or 1 % out of fold.
        decidable: whether right answers alone, all of them, could have been shown to be no chance on the test images.
    """

    right: int
    images: int
    beaten: bool
    recall: float
    chance_on_test: float
    chance_out_of_fold: float
    informative: bool
    decidable: bool = True


@dataclass(frozen=True, slots=True)
class LeakEffect:
    """The test accuracy of the best candidate with and without the test images that were also learned from."""

    candidate: str
    leaked: int
    accuracy: float
    accuracy_without: float | None
    accuracy_without_ci95: Interval | None


@dataclass(frozen=True, slots=True)
class Optimism:
    """How much the choices of candidate and epoch flatter the value by which the best was chosen.

    Attributes:
        candidates: among how many the best was chosen.
        selection: points by which the best one's value is too high for having been chosen (0..1, bootstrap); None for
            one candidate.
        corrected: its cross-validated accuracy minus ``selection`` and ``best_epoch`` (where that is above 0), in 0..1;
            None for one candidate, or where the epoch was chosen on a hold-out, which cannot say what that adds.
        corrected_ci95: of the bootstrap, lower by ``best_epoch``.
        best_epoch: how much higher accuracy is at each fold's own best epoch than at the epoch the other folds would
            have chosen; None where folds are not scored at their best epochs, for a hold-out or a solved head.
        nested: accuracy of the whole procedure, choice included, on images that had no say in it.
        chosen: who was chosen in each outer fold of the nested cross-validation.
        sentence: the same in words.
    """

    candidates: int
    selection: float | None
    corrected: float | None
    corrected_ci95: Interval | None
    best_epoch: float | None
    nested: FoldValues | None
    chosen: tuple[str, ...]
    sentence: str


@dataclass(frozen=True, slots=True)
class LearningPoint:
    """Accuracy on validation images after training on ``images`` images, over the folds, each at its last epoch."""

    images: int
    accuracy: FoldValues


@dataclass(frozen=True, slots=True)
class Expected:
    """What a number of training images is expected to bring, with the interval of that forecast."""

    images: int
    accuracy: float
    ci95: Interval


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """Accuracy against the number of training images; ``expected`` carries the curve on to more images."""

    candidate: str
    points: tuple[LearningPoint, ...]
    expected: tuple[Expected, ...]
    sentence: str


@dataclass(frozen=True, slots=True)
class Overfitting:
    """How far training ran ahead of validation in the folds of a finalist.

    ``gap`` is training minus validation accuracy at the best epochs, ``last_gap`` at the last ones: negative where
    validation did better. ``turned`` is the mean epoch of the lowest validation loss, None where it never rose again by
    more than chance.
    """

    candidate: str
    gap: float
    last_gap: float
    turned: float | None
    epochs: float
    sentence: str


@dataclass(frozen=True, slots=True)
class CombinationWords:
    """What one kind of combination is called.

    Attributes:
        short: behind the names of its members.
        title: as the heading of a row.
        subject: of a sentence, with the members as ``{names}``.
        card: how it answers, in the card of its classifier.
    """

    short: str
    title: str
    subject: str
    card: str


COMBINATION_WORDS = {
    "average": CombinationWords(
        short="answers averaged",
        title="Mean of several networks",
        subject="The mean of the answers of {names}",
        card="a head on each network; the answer is the mean of their probabilities",
    ),
    "joined": CombinationWords(
        short="joined features",
        title="One head on the features of several networks",
        subject="One classifier on the joined features of {names}",
        card="one head on the features of all networks together",
    ),
    "flip": CombinationWords(
        short="with mirror images",
        title="Mean over the image and its mirror image",
        subject="The mean of the answers of {names} for the image and for its mirror image",
        card="one head; the answer is the mean over the image and its mirror image",
    ),
    "joined_flip": CombinationWords(
        short="joined features, with mirror images",
        title="One head on the features of several networks, mean over the image and its mirror image",
        subject="One classifier on the joined features of {names}, for the image and for its mirror image",
        card="one head on the features of all networks together; the answer is the mean over the image and its mirror "
        "image",
    ),
}


@dataclass(frozen=True, slots=True)
class Combination:
    """Several networks, or several views of an image, that answer together.

    ``kind`` is ``average`` (mean of the finalists' probabilities), ``joined`` (one head on the features of two
    backbones), ``flip`` (mean over the image and its mirror image) or ``joined_flip`` (both). ``recommended`` is the
    one that does best out of fold, better than the best candidate. ``cross_validated`` is its accuracy out of fold.
    """

    id: str
    kind: str
    members: tuple[str, ...]
    cross_validated: float | None
    test: Evaluation
    comparison: Comparison
    parameters: int
    recommended: bool
    sentence: str

    @property
    def said(self) -> CombinationWords:
        """What its kind is called: the kind itself where a later version made it."""
        return COMBINATION_WORDS.get(self.kind, CombinationWords(self.kind, self.kind, "{names}", self.kind))

    def words(self, called: Mapping[str, str] | None = None) -> str:
        """Return what a reader calls it: who answers together, and how; ``called`` are names of candidates by id."""
        members = [(called or {}).get(one, one) for one in self.members]
        return f"{' and '.join(members)}, {self.said.short}"


@dataclass(frozen=True, slots=True)
class LabelDoubts:
    """How many labels of training images are probably wrong; who is in ``doubts.csv``, most doubtful first.

    ``images`` were looked at, ``doubted`` of them stand in the list. At least about ``estimated`` of the labels are
    wrong, ``estimated_share`` of the images: so many are against the candidate beyond what its own mistakes explain.
    Both are None where these explain all (``p_value`` above 0.01, the probability of so many if every label is right),
    or nothing could be judged (``p_value`` None). ``candidate`` is the one whose out-of-fold probabilities were used.
    """

    candidate: str
    images: int
    doubted: int
    estimated: int | None
    estimated_share: float | None
    sentence: str
    p_value: float | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What a corrected list changed, against the run that the list came from, on the test images of both.

    ``difference_ci95`` is the interval of ``accuracy_now`` minus ``accuracy_before``. Without common test images both
    accuracies are None.
    """

    previous: str
    removed: int
    relabelled: int
    images: int
    accuracy_before: float | None
    accuracy_now: float | None
    difference_ci95: Interval | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that is found out after the test set was opened; None where it was not measured."""

    calibration: Calibration | None = None
    unknown: Unknown | None = None
    operating: Operating | None = None
    leak_effect: LeakEffect | None = None
    optimism: Optimism | None = None
    learning_curve: LearningCurve | None = None
    overfitting: tuple[Overfitting, ...] = ()
    combinations: tuple[Combination, ...] = ()
    label_doubts: LabelDoubts | None = None
    changes: Changes | None = None
