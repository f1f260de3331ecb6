"""What a study found, in plain words: the verdict, which candidate to take, and what each interval is about."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from headstart import storage
from headstart.backbones import catalog
from headstart.evaluation.evidence import Baseline, CleanTest, ExpectedTest, Interval
from headstart.evaluation.results import CandidateResult, Comparison, FinalResult
from headstart.recipe import Candidate

NAMED = 3
POOL = "--pool (of a recipe: --set data.pool=true) puts all images together and cuts a new test set."
# What takes at most this share of another one's time is cheaper: single measurements differ by less.
CHEAPER = 0.8
MEASURE_WORDS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "F1, mean of the classes",
    "auc": "AUC, mean of the classes",
    "loss": "loss",
    "cost": "cost",
}


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
        baseline: always naming the commonest class.
        choose_by: the measure that decided in validation.
        alone: whether the study had no other candidate.
        clean: the best on the test images that are not also training images; None where all are.
        expected: what cross-validation predicts for the test accuracy of the best.
        behind: for every other finalist, by how much of its right answers it is behind the best out of fold at most,
            with 95 % confidence (0..1); empty where that was not asked.
        speed: milliseconds an image of the finalists, where they were measured.
        equivalence: differences in accuracy up to this share do not matter.
        cost: mean cost of the best one's answers to the test images, where that is what chooses.
    """

    ranked: Sequence[CandidateResult]
    finals: Sequence[FinalResult]
    comparison: Sequence[Comparison]
    needed: Mapping[str, int | None]
    judged_by: str
    baseline: Baseline
    choose_by: str = "accuracy"
    alone: bool = False
    clean: CleanTest | None = None
    expected: ExpectedTest | None = None
    behind: Mapping[str, float] = field(default_factory=dict)
    speed: Mapping[str, float | None] = field(default_factory=dict)
    equivalence: float = 0.0
    cost: float | None = None

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

    @property
    def test_images(self) -> int:
        """How many test images count: those that are not also training images."""
        if self.clean:
            return self.clean.images - self.clean.contaminated
        return sum(map(sum, self.final().test.confusion_matrix))


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The candidate to take, and why."""

    candidate: str
    sentence: str


def verdict(standing: Standing) -> str:
    """Return who is best and how sure that is, in a few sentences: the honest figure first."""
    sentences = [_result(standing), *_against_prediction(standing)]
    if not standing.test_images:
        return " ".join(sentences)
    alike, ahead, behind = (standing.tested(word) for word in ("undecided", "b", "a"))
    if alike:
        sentences.append(_alike(standing, alike))
    if ahead:
        sentences.append(_ahead(standing, ahead))
    elif behind and standing.baseline.informative:
        sentences.append(_behind(standing, behind))
    return " ".join(sentences)


def _result(standing: Standing) -> str:
    if standing.clean:
        return _clean_result(standing, standing.clean)
    test, baseline, name = standing.final().test, standing.baseline, full_name(standing.best)
    right = sum(row[place] for place, row in enumerate(test.confusion_matrix))
    images = f"{baseline.images:,} sealed test images"
    share = f"{_percent(test.accuracy)} % (95 % interval {_span(test.intervals['accuracy'])})"
    if not baseline.informative:
        return (
            f"{name} came first in {standing.judged_by}, but it was not shown to tell the classes apart: it classified "
            f"{right:,} of {images} right, {share}; always naming the commonest class would have {baseline.right:,}."
        )
    if standing.alone:
        sentence = f"{name}, the only candidate, classified {right:,} of {images} right: {share}"
    else:
        sentence = f"{_who_won(standing)} and then classified {right:,} of {images} right: {share}"
    return f"{sentence}{_by_measure(standing)}.{_beside_commonest(baseline, len(test.confusion_matrix))}"


def _who_won(standing: Standing) -> str:
    control = is_control(standing.best)
    measure = "" if standing.choose_by == "accuracy" else f" by {MEASURE_WORDS[standing.choose_by]}"
    did = "came first" if control else "did best"
    return f"{full_name(standing.best)}{', a control,' if control else ''} {did} in {standing.judged_by}{measure}"


def _by_measure(standing: Standing) -> str:
    """Return the test value of the measure that chose, where it is not the accuracy and stands in the evaluation."""
    test = standing.final().test
    found = {
        "balanced_accuracy": (test.balanced_accuracy, "percent"),
        "macro_f1": (test.averages.macro.f1, "number"),
        "auc": (test.averages.macro.auc, "number"),
        "loss": (test.loss, "number"),
        "cost": (standing.cost, "number"),
    }.get(standing.choose_by)
    if found is None or found[0] is None:
        return ""
    value, kind = float(found[0]), found[1]
    text = f"{_percent(value)} %" if kind == "percent" else f"{value:.3f}"
    return f"; {MEASURE_WORDS[standing.choose_by]} {text}"


def _beside_commonest(baseline: Baseline, classes: int) -> str:
    """Return what is to be said where right answers alone do not show that the classes are told apart."""
    if baseline.beaten:
        return ""
    return (
        f" It tells the classes apart (mean recall {_percent(baseline.recall)} %, where chance gives "
        f"{100 / classes:.0f} %), but right answers alone cannot show that here: always naming the commonest class "
        f"would have {baseline.right:,} of {baseline.images:,} right."
    )


def _clean_result(standing: Standing, clean: CleanTest) -> str:
    """Return the first sentences where test images are also training images: the figure without them leads."""
    share = min(99, max(1, round(100 * clean.contaminated / clean.images)))
    shared = f"{clean.contaminated:,} of {clean.images:,} test images ({share} %)"
    name, everything = full_name(standing.best), _percent(standing.final().test.accuracy)
    if clean.accuracy is None or clean.ci95 is None:
        return (
            f"All {clean.images:,} test images are also training images, so they say nothing about new ones; "
            f"{name} came first in {standing.judged_by}. {POOL}"
        )
    left = clean.images - clean.contaminated
    return (
        f"{shared} are also training images; on the other {left:,}: {_percent(clean.accuracy)} % "
        f"(95 % interval {_span(clean.ci95)}), {clean.right:,} right by {name}, which came first in "
        f"{standing.judged_by}. With the shared images it would be {everything} %, which says little of new ones. "
        + POOL
    )


def _against_prediction(standing: Standing) -> list[str]:
    """Say where the test result is not what cross-validation predicts, and what may be behind it."""
    expected = standing.expected
    accuracy = standing.clean.accuracy if standing.clean else standing.final().test.accuracy
    if expected is None or accuracy is None or expected.low <= accuracy <= expected.high:
        return []
    above = accuracy > expected.high
    behind = (
        "test images that are easier than the training images, or copies of them that were not found"
        if above
        else "test images that differ from the training images, labels that differ, or a training that went astray"
    )
    return [
        f"That is {'more' if above else 'less'} than {standing.judged_by} predicts "
        f"({_span((expected.low, expected.high))} % with {100 * expected.level:.0f} % probability): behind it may be "
        f"{behind}."
    ]


def _alike(standing: Standing, rows: Sequence[Comparison]) -> str:
    """Return the sentence on those that the test images do not tell from the best; who was right more often leads."""
    names, best = standing.names, standing.names[standing.best.id]
    images, more = f"{standing.test_images:,} test images", _more_images(standing, rows)
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


def _more_images(standing: Standing, rows: Sequence[Comparison]) -> str:
    """Return how many more test images would decide, as the end of a sentence."""
    images = standing.test_images
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
    """Return the candidate to take, and why: the best in validation, or a cheaper one that is shown to be as good.

    Cheaper is what takes at most 80 % of the time for an image. As good is what is right at most ``equivalence`` less
    often than the best out of fold, with 95 % confidence, and not shown to be worse on the test images by McNemar's
    test. A test that merely could not tell is no reason to take the cheaper one. A control is never preferred, and a
    finalist that the test images show ahead is not taken either: to choose by the test images would make their accuracy
    look better than it is.
    """
    best, name = standing.best.id, standing.names[standing.best.id]
    if not standing.baseline.informative:
        return Recommendation(best, _hopeless(name, standing.baseline))
    if standing.alone:
        return Recommendation(best, f"{name} was not compared with another candidate.")
    equal = [one for one in standing.ranked[1:] if _is_cheaper_and_equal(standing, one)]
    if equal:
        chosen = min(equal, key=lambda one: _speed(standing, one.id))
        return Recommendation(chosen.id, _cheaper(standing, chosen))
    return Recommendation(best, _best_alone(standing))


def _speed(standing: Standing, candidate: str) -> float:
    found = standing.speed.get(candidate)
    return math.inf if found is None else found


def _is_cheaper_and_equal(standing: Standing, other: CandidateResult) -> bool:
    worse = any(row.b == other.id for row in standing.tested("a"))
    behind = standing.behind.get(other.id, math.inf)
    cheaper = _speed(standing, other.id) <= CHEAPER * _speed(standing, standing.best.id)
    return cheaper and behind <= standing.equivalence and not worse and not is_control(other)


def _hopeless(name: str, baseline: Baseline) -> str:
    if not baseline.decidable:
        return (
            f"Too few test images to be sure that {name} tells the classes apart: not even {baseline.images:,} right "
            "answers would show it. Bring more images of the rarer classes."
        )
    return (
        f"None is worth taking yet: {name}, first in validation, was not shown to do better than chance. Look at the "
        "labels, or bring more images."
    )


def _cheaper(standing: Standing, chosen: CandidateResult) -> str:
    name, best = standing.names[chosen.id], standing.names[standing.best.id]
    most = max(0.0, standing.behind[chosen.id])
    return (
        f"Take {name}: it takes clearly less time for an image than {best} and is as good: at most {100 * most:.1f} "
        "points less often right on images held back (95 % confidence), where up to "
        f"{100 * standing.equivalence:g} do not matter."
    )


def _best_alone(standing: Standing) -> str:
    name, ahead = standing.names[standing.best.id], standing.tested("b")
    first = f"Take {name}: it did best in {standing.judged_by}."
    if ahead:
        return (
            f"{first} To take {_those(ahead, standing.names)} because of the test images would make their accuracy "
            "look better than it is."
        )
    near = standing.tested("undecided")
    controls = [row for row in near if is_control(_result_of(standing, row.b))]
    if controls and not is_control(standing.best):
        return (
            f"Take {name}, but with care: {_those(controls, standing.names)} cannot be told from it, and "
            f"{_was(controls)} meant as a control."
        )
    if not near and len(standing.ranked) > 1:
        return f"{first} Every other finalist was shown to be worse."
    return first


def _result_of(standing: Standing, candidate: str) -> CandidateResult:
    return next(one for one in standing.ranked if one.id == candidate)


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
