"""The figures that lead wherever a study is told: they hold for new images.

On the test images: without those that were also learned from. On images held back: less what choosing the best of
several adds, by the same for all, so that the order stays.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from headstart.evaluation.evidence import CleanTest, Combination, Interval
from headstart.evaluation.results import Evaluation, FinalResult, FoldValues
from headstart.evaluation.summary import Summary

# Below half of the last digit shown a difference is not seen.
UNSEEN = 0.0005


@dataclass(frozen=True, slots=True)
class Figure:
    """An accuracy in 0..1 on so many ``images``, with its 95 % interval."""

    accuracy: float
    ci95: Interval | None
    images: int


def clean_of(summary: Summary, candidate: str) -> CleanTest | None:
    """Return a finalist on the test images that are not also training images; None where no image is shared."""
    return next((one for one in summary.clean if one.candidate == candidate), None)


def figure_of(test: Evaluation, clean: CleanTest | None) -> Figure | None:
    """Return the test accuracy that holds for new images; None where every test image is also a training image."""
    if clean is None:
        return Figure(test.accuracy, test.intervals.get("accuracy"), sum(one.support for one in test.per_class))
    if clean.accuracy is None:
        return None
    return Figure(clean.accuracy, clean.ci95, clean.images - clean.contaminated)


def headline(summary: Summary) -> Figure | None:
    """Return ``figure_of`` the best candidate."""
    return figure_of(summary.test, clean_of(summary, summary.best))


def is_sealed(summary: Summary) -> bool:
    """Tell whether no test image was learned from, as far as is known."""
    return not summary.clean and summary.leak_effect is None


def shared_in_words(clean: CleanTest) -> str:
    """Return how many test images are also training images, and the accuracy on the others."""
    if clean.accuracy is None:
        return f"All {clean.images:,} test images are also training images, so they say nothing about new ones."
    left = clean.images - clean.contaminated
    share = min(99, max(1, round(100 * clean.contaminated / clean.images)))
    return (
        f"{clean.contaminated:,} of {clean.images:,} test images ({share} %) are also training images; on the other "
        f"{left:,}: {100 * clean.accuracy:.1f} %."
    )


def shift_of(score_epoch: str, selection: float | None) -> float:
    """Return by how much accuracies on images held back are shown lower (0..1), since the best was chosen by them.

    Nothing where folds are scored at their best epochs: those are shown as they were published.
    """
    return selection if score_epoch == "last" and selection else 0.0


def shift(summary: Summary) -> float:
    """Return ``shift_of`` a study."""
    return shift_of(summary.protocol.score_epoch, summary.optimism.selection if summary.optimism else None)


def lowered(value: float, by: float) -> float:
    """Return an accuracy, or the end of its interval, lower by so much, in 0..1."""
    return min(1.0, max(0.0, value - by)) if by else value


def lowered_values(values: FoldValues, by: float) -> FoldValues:
    """Return mean and interval of an accuracy lower by so much; what each fold reached stays."""
    if not by:
        return values
    ends = values.ci95 and (lowered(values.ci95[0], by), lowered(values.ci95[1], by))
    return dataclasses.replace(values, mean=lowered(values.mean, by), ci95=ends)


def scored_in_words(summary: Summary) -> str:
    """Return what has to be known of accuracies on images held back, as a sentence that follows ``optimism.sentence``.

    By how much they are lowered; or, where folds are scored at their best epochs, that this flatters; or nothing.
    """
    by = shift(summary)
    if by >= UNSEEN:
        return f"So all accuracies on images held back are shown {100 * by:.1f} points lower; the order stays."
    if summary.protocol.score_epoch == "best" and _several_epochs(summary):
        # studies of earlier versions scored every run so, whatever a report did
        as_published = ", as the report did" if summary.protocol.choose_by and summary.published else ""
        return f"Folds are scored at their own best epochs{as_published}; that flatters."
    return ""


def _several_epochs(summary: Summary) -> bool:
    """Tell whether any candidate was trained in epochs among which one could be best."""
    return any(max(one.cv.best_epochs) > 1 for one in summary.candidates if one.cv)


def kept_combination(summary: Summary) -> Combination | None:
    """Return the combination that is the classifier; None where that is a candidate, as in earlier versions always."""
    if not summary.protocol.choose_by:
        return None
    return next((one for one in summary.combinations if one.id == summary.recommended), None)


def repeated_in_words(final: FinalResult, name: str) -> str:
    """Return that a final training was repeated and why; nothing where the first went well."""
    if final.attempts == 1:
        return ""
    kept = "" if final.loss_ratio is None else f", {final.loss_ratio:.1f} times that of the worst fold"
    return (
        f"The final training of {name} went astray at first and was repeated: of {final.attempts} trainings the one "
        f"with the lowest loss on the training images is kept{kept}."
    )
