"""What a study found, in plain words: the verdict, which candidate to take, and what each interval is about."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headstart import storage
from headstart.backbones import catalog
from headstart.evaluation.evidence import Interval
from headstart.evaluation.results import CandidateResult, Comparison, FinalResult
from headstart.evaluation.significance import mcnemar_mid_p
from headstart.recipe import Candidate

LEVEL = 0.05
NAMED = 3


@dataclass(frozen=True, slots=True)
class Standing:
    """What the verdict is drawn from.

    Attributes:
        ranked: the finalists, best in validation first.
        finals: their evaluations.
        comparison: the best against the others, on the test images and on the folds.
        needed: for every other finalist how many test images would tell it from the best, None where they do not
            differ.
        judged_by: such as "5-fold cross-validation".
        monitor: what decided in validation, ``accuracy`` or ``loss``.
        alone: whether the study had no other candidate.
    """

    ranked: Sequence[CandidateResult]
    finals: Sequence[FinalResult]
    comparison: Sequence[Comparison]
    needed: Mapping[str, int | None]
    judged_by: str
    monitor: str = "accuracy"
    alone: bool = False

    @property
    def best(self) -> CandidateResult:
        """The finalist that did best in validation."""
        return self.ranked[0]

    @property
    def names(self) -> dict[str, str]:
        """Names of the finalists as short as they are clear."""
        short = {one.id: network_title(one) for one in self.ranked}
        times = Counter(short.values())
        return {one.id: short[one.id] if times[short[one.id]] == 1 else full_name(one) for one in self.ranked}

    def tested(self, verdict: str) -> list[Comparison]:
        """Return McNemar's comparisons on the test images with this verdict."""
        return [
            one
            for one in self.comparison
            if one.on == "test" and one.method.startswith("McNemar") and one.verdict == verdict
        ]

    def final(self) -> FinalResult:
        """Return the evaluations of the best."""
        return next(one for one in self.finals if one.candidate == self.best.id)


@dataclass(frozen=True, slots=True)
class Baseline:
    """Always naming the class that is commonest among the training images, judged on the test images."""

    right: int
    images: int
    beaten: bool


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The candidate to take, and why."""

    candidate: str
    sentence: str


def verdict(standing: Standing) -> str:
    """Return who is best and how sure that is, in one to three sentences."""
    baseline = commonest(standing.final())
    sentences = [_result(standing, baseline)]
    alike, ahead, behind = (standing.tested(word) for word in ("undecided", "b", "a"))
    if alike:
        sentences.append(_alike(standing, alike))
    if ahead:
        sentences.append(_ahead(standing, ahead))
    elif behind and baseline.beaten:
        sentences.append(_behind(standing, behind))
    return " ".join(sentences)


def commonest(final: FinalResult) -> Baseline:
    """Return how the commonest class alone would do; ``beaten`` by McNemar's mid-p below 5 % on the same images."""
    totals = [sum(row) for row in final.train.confusion_matrix]
    place = totals.index(max(totals))
    matrix = final.test.confusion_matrix
    only_best = sum(row[index] for index, row in enumerate(matrix) if index != place)
    only_class = sum(matrix[place]) - matrix[place][place]
    beaten = only_best > only_class and mcnemar_mid_p(only_best, only_class) < LEVEL
    return Baseline(right=sum(matrix[place]), images=sum(map(sum, matrix)), beaten=beaten)


def _result(standing: Standing, baseline: Baseline) -> str:
    test = standing.final().test
    right = sum(row[place] for place, row in enumerate(test.confusion_matrix))
    name, images = full_name(standing.best), f"{baseline.images:,} sealed test images"
    share = f"{_percent(test.accuracy)} % (95 % interval {_span(test.intervals['accuracy'])})"
    if not baseline.beaten:
        return (
            f"{name} came first in {standing.judged_by}, but it was not shown to beat always naming the commonest "
            f"class: it classified {right:,} of {images} right, {share}; the commonest class alone would have "
            f"{baseline.right:,}."
        )
    if standing.alone:
        return f"{name}, the only candidate, classified {right:,} of {images} right: {share}."
    did = "came first" if is_control(standing.best) else "did best"
    control = ", a control," if is_control(standing.best) else ""
    return f"{name}{control} {did} in {standing.judged_by} and then classified {right:,} of {images} right: {share}."


def _alike(standing: Standing, rows: Sequence[Comparison]) -> str:
    """Return the sentence on those that the test images do not tell from the best; who was right more often leads."""
    names, best = standing.names, standing.names[standing.best.id]
    images, more = f"{_test_images(standing):,} test images", _more_images(standing, rows)
    if len(rows) == 1:
        [row] = rows
        first, second = (best, names[row.b]) if row.difference >= 0 else (names[row.b], best)
        return f"{first} and {second} cannot be told apart on {images} ({_points(row)}){more}."
    return f"{best} cannot be told apart from {_those(rows, names)} on {images} ({_points_of_all(rows)}){more}."


def _ahead(standing: Standing, rows: Sequence[Comparison]) -> str:
    """Return the sentence on those that the test images show ahead of the best."""
    names = standing.names
    return (
        f"On the test images {_those(rows, names)} {_was(rows)} right more often than {names[standing.best.id]}, by "
        f"more than chance explains ({_points_of_all(rows)}); the choice was made before they were opened, and stays."
    )


def _behind(standing: Standing, rows: Sequence[Comparison]) -> str:
    """Return the sentence on those that the test images show behind the best."""
    others = len(standing.ranked) - 1
    who = f"All {others} other finalists" if len(rows) == others > NAMED else _those(rows, standing.names)
    return f"{who} {_was(rows)} right less often there, by more than chance explains ({_points_of_all(rows)})."


def _test_images(standing: Standing) -> int:
    return sum(map(sum, standing.final().test.confusion_matrix))


def _more_images(standing: Standing, rows: Sequence[Comparison]) -> str:
    """Return how many more test images would decide, as the end of a sentence."""
    images = _test_images(standing)
    needed = [standing.needed.get(row.b) for row in rows]
    more = sorted(_about(max(1, one - images)) for one in needed if one is not None)
    if not more:
        return ""
    span = f"{more[0]:,}" if more[0] == more[-1] else f"{more[0]:,} to {more[-1]:,}"
    return f"; about {span} more test images would be needed"


def _about(number: int) -> int:
    """Return a number with its first two digits: the forecast is no better than that."""
    step = int(10 ** max(0, len(str(number)) - 2))
    return math.ceil(number / step) * step


def _points(row: Comparison) -> str:
    """Return the size of a difference and its interval, seen from whoever is ahead."""
    sign = -1 if row.difference < 0 else 1
    text = f"difference {100 * abs(row.difference):.1f} points"
    if row.ci95 is None:
        return text
    low, high = sorted(100 * sign * end for end in row.ci95)
    return f"{text}, 95 % interval {low:.1f} to {high:.1f}".replace("-0.0", "0.0") + contradiction(row)


def contradiction(row: Comparison) -> str:
    """Return, where a test and the interval of its difference disagree, which of them counts; else nothing.

    McNemar's test and the interval are different formulas, and part a little where few images differ.
    """
    if row.ci95 is None or row.p_adjusted is None:
        return ""
    is_decided, excludes = row.verdict in ("a", "b"), row.ci95[0] > 0 or row.ci95[1] < 0
    if is_decided == excludes:
        return ""
    touches = "leaves 0 out" if excludes else "holds 0"
    return f", which just {touches}, but the test decides: p is {row.p_adjusted:.2g}"


def _points_of_all(rows: Sequence[Comparison]) -> str:
    """Return one difference with its interval, or the range of several."""
    if len(rows) == 1:
        return _points(rows[0])
    sizes = [100 * abs(row.difference) for row in rows]
    low, high = f"{min(sizes):.1f}", f"{max(sizes):.1f}"
    return f"differences of {low} points" if low == high else f"differences of {low} to {high} points"


def _those(rows: Sequence[Comparison], names: Mapping[str, str]) -> str:
    return listed([names[row.b] for row in rows])


def _was(rows: Sequence[Comparison]) -> str:
    return "was" if len(rows) == 1 else "were"


def recommend(standing: Standing) -> Recommendation:
    """Return the finalist with the fewest parameters among the best and those that nothing tells from it, and why.

    Nothing tells a finalist from the best where McNemar's test on the test images leaves it undecided and no test on
    the folds, of the area under the ROC curve or, where the loss decides, of the loss shows it worse. A control is
    never preferred. A finalist that the test images show ahead is not taken either: to choose by the test images would
    make their accuracy look better than it is.
    """
    best, names = standing.best.id, standing.names
    if not commonest(standing.final()).beaten:
        return Recommendation(best, _hopeless(names[best]))
    if standing.alone:
        return Recommendation(best, f"{names[best]} was not compared with another candidate.")
    if len(standing.ranked) == 1:
        return Recommendation(best, f"Take {names[best]}: it did best in {standing.judged_by}.")
    alike = [one for one in standing.ranked if _is_alike(standing, one)]
    if len(alike) == 1:
        return Recommendation(best, _alone(standing))
    chosen = min(alike, key=lambda one: (_parameters(one), one.id != best))
    reason = _smallest(alike) if chosen.id == best else _smaller(standing, chosen, alike)
    return Recommendation(chosen.id, f"Take {names[chosen.id]}: {reason}.")


def _is_alike(standing: Standing, other: CandidateResult) -> bool:
    """Tell whether a finalist is the best or cannot be told from it."""
    if other.id == standing.best.id:
        return True
    undecided = any(row.b == other.id for row in standing.tested("undecided"))
    worse = bool(_where_worse(standing, other.id))
    return undecided and not worse and (not is_control(other) or is_control(standing.best))


def _where_worse(standing: Standing, other: str) -> list[str]:
    """Return where a finalist is shown to be worse than the best, other than by right answers on the test images."""
    rows = [one for one in standing.comparison if one.b == other and one.verdict == "a"]
    shown = {
        f"in {standing.judged_by}": any(one.on == "folds" for one in rows),
        "in how its probabilities order the test images (AUC)": any(one.measure == "auc" for one in rows),
        "in its loss on the test images": any(one.measure == standing.monitor == "loss" for one in rows),
    }
    return [where for where, worse in shown.items() if worse]


def _result_of(standing: Standing, candidate: str) -> CandidateResult:
    return next(one for one in standing.ranked if one.id == candidate)


def _hopeless(name: str) -> str:
    return (
        f"None is worth taking yet: {name}, first in validation, was not shown to beat always naming the commonest "
        "class. Look at the labels, or bring more images."
    )


def _alone(standing: Standing) -> str:
    name, ahead = standing.names[standing.best.id], standing.tested("b")
    if ahead:
        return (
            f"Take {name}: it did best in {standing.judged_by}. To take {_those(ahead, standing.names)} because of the "
            "test images would make their accuracy look better than it is."
        )
    controls = [row for row in standing.tested("undecided") if is_control(_result_of(standing, row.b))]
    if controls:
        return (
            f"Take {name}, but with care: {_those(controls, standing.names)} cannot be told from it, and "
            f"{_was(controls)} meant as a control."
        )
    close = [row for row in standing.tested("undecided") if _where_worse(standing, row.b)]
    if close:
        where = dict.fromkeys(place for row in close for place in _where_worse(standing, row.b))
        return (
            f"Take {name}: {_those(close, standing.names)} cannot be told from it by right answers on the test images, "
            f"but {_was(close)} shown to be worse {' and '.join(where)}."
        )
    return f"Take {name}: every other finalist was shown to be worse."


def _smallest(alike: Sequence[CandidateResult]) -> str:
    others = f"the {len(alike) - 1} finalists that" if len(alike) > 2 else "the finalist that"
    return f"{others} cannot be told from it {'have' if len(alike) > 2 else 'has'} no fewer parameters"


def _smaller(standing: Standing, chosen: CandidateResult, alike: Sequence[CandidateResult]) -> str:
    """Return why a smaller finalist is taken, and what it may cost."""
    best = standing.best
    counts = f"with {_millions(chosen)} parameters (against {_millions(best)})"
    which = "it is the smaller of two" if len(alike) == 2 else f"it is the smallest of {len(alike)}"
    return (
        f"{counts} {which} finalists that cannot be told apart, {standing.names[best.id]} among them"
        f"{_cost(best, chosen, standing.judged_by)}"
    )


def _cost(best: CandidateResult, chosen: CandidateResult, judged_by: str) -> str:
    """Return the difference in validation, as the end of a sentence."""
    assert best.cv is not None and chosen.cv is not None, "finalists have finished their rounds"
    points = 100 * (best.cv.accuracy.mean - chosen.cv.accuracy.mean)
    if f"{abs(points):.1f}" == "0.0":
        return f"; in {judged_by} both were right equally often"
    return f"; in {judged_by} it was right {abs(points):.1f} points {'less' if points > 0 else 'more'} often"


def _parameters(result: CandidateResult) -> float:
    return result.parameters.total if result.parameters else math.inf


def _millions(result: CandidateResult) -> str:
    count = _parameters(result)
    return f"{count / 1e6:.1f} million" if count >= 1e6 else f"{count:,.0f}"


def full_name(result: CandidateResult) -> str:
    """Return a candidate's own name, or its network and learning rate."""
    candidate = _candidate(result)
    if candidate.name:
        return candidate.name
    if candidate.head.output == "logistic":
        return f"{network_title(result)} (logistic regression)"
    return f"{network_title(result)} (learning rate {candidate.train.optimizer.learning_rate:g})"


def network_title(result: CandidateResult) -> str:
    """Return a candidate's own name, or the title of its network, and whether its weights are random."""
    candidate = _candidate(result)
    if candidate.name:
        return candidate.name
    return catalog.find(result.backbone).title + (" with random weights" if candidate.is_control else "")


def is_control(result: CandidateResult) -> bool:
    """Tell whether a candidate is a frozen backbone with random weights."""
    return _candidate(result).is_control


def _candidate(result: CandidateResult) -> Candidate:
    candidate: Candidate = storage.from_plain(Candidate, result.settings)
    return candidate


def listed(names: Sequence[str]) -> str:
    """Return names as a list in words; of more than four the first three and the number of the others."""
    if len(names) > NAMED + 1:
        return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} others"
    return "".join(names) if len(names) < 2 else f"{', '.join(names[:-1])} and {names[-1]}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _span(interval: Interval) -> str:
    return f"{_percent(interval[0])} to {_percent(interval[1])}"


@dataclass(frozen=True, slots=True)
class Sizes:
    """Rounds of validation, and images: of a round's training and validation (rounded means), of the test set.

    ``alike_in_validation`` (of a hold-out) and ``alike_in_test`` count the images that share a group with another image
    of the same part.
    """

    rounds: int
    training: int
    validation: int
    test: int
    alike_in_validation: int = 0
    alike_in_test: int = 0


def estimands(sizes: Sizes) -> dict[str, str]:
    """Return what each kind of 95 % interval is about, a few sentences each.

    The keys: ``cv`` (intervals of validation), ``test`` (accuracy and the shares of single classes on the test images),
    ``bootstrap`` (every other measure on the test images) and ``difference`` (comparisons). Where images share a group
    it is said that they count as independent.
    """
    alike = _alike_images(sizes.alike_in_test, f"of the {sizes.test:,} test images")
    if sizes.rounds == 1:
        validation = (
            f"The share that the classifier trained on {sizes.training:,} images would get right of all images like "
            f"the {sizes.validation:,} that validated it. How much another choice of training images would change is "
            f"not in it.{_alike_images(sizes.alike_in_validation, 'of them')}"
        )
    else:
        validation = (
            f"The mean over classifiers that are trained in this way on about {sizes.training:,} images, each on "
            f"images it has not seen; not the value of any one of them. The {sizes.rounds} rounds share training "
            "images, and the interval is widened for that."
        )
    return {
        "cv": validation,
        "test": (
            f"The share that this one finished classifier would get right of all images like the {sizes.test:,} test "
            f"images. Another training could give another classifier; that is not in it.{alike}"
        ),
        "bootstrap": (
            "The value that this one finished classifier would have on all images like the test images, with the "
            f"classes as frequent as they are there. The test images were drawn again, class by class.{alike}"
        ),
        "difference": (
            "On the test images: how much two finished classifiers differ on all images like these, both having judged "
            "the same ones. On folds: how much two ways of training differ on average, with training images of about "
            "that number. An interval is of its pair alone; the verdict follows the test, which is adjusted for the "
            f"number of pairs.{alike}"
        ),
    }


def _alike_images(images: int, whose: str) -> str:
    """Return what images of one group do to an interval; nothing where there are none."""
    if not images:
        return ""
    return (
        f" {images:,} {whose} share a group with another one (such as pictures of one object); they count as "
        "independent images, so intervals on them are too narrow and p-values too small."
    )
