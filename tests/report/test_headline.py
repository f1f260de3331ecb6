"""The first screen and the tables lead with the figures that hold for new images."""

import dataclasses
import html
import re

import pytest

from headstart.evaluation.metrics import fold_values
from headstart.evaluation.results import ProtocolSummary
from headstart.recipe.parts import PublishedValue
from headstart.report.page import render
from headstart.report.several import render as side_by_side


def first_numbers(text):
    """Return value and pointer of the numbers of the first screen, in order."""
    hero = text.partition('id="winner"')[2].partition("</div>\n</div>")[0]
    return [
        (float(value), pointer) for value, pointer in re.findall(r'<data value="([^"]+)" data-from="([^"]+)"', hero)
    ]


def test_the_test_without_shared_images_leads(build_run):
    folder = build_run(shared=20)
    summary, text = folder.summary(), render(folder)
    clean = next(one for one in summary.clean if one.candidate == summary.best)
    place = summary.clean.index(clean)
    expected = [(clean.accuracy, f"summary/clean/{place}/accuracy")]
    expected += [(end, f"summary/clean/{place}/ci95/{n}") for n, end in enumerate(clean.ci95)]
    assert first_numbers(text)[:3] == expected
    words = " ".join(text.replace("\u202f", " ").split())
    assert "of 40 test images that are not also training images classified right." in words
    assert f"<title>MobileNet, {100 * clean.accuracy:.1f} % on" in words
    assert "on all <data" in words and "With the shared images</dt>" in words
    for sealed in ("sealed", "Sealed", "took no part"):
        # the made-up verdict says so
        assert sealed not in text.replace(summary.verdict, "")


def test_where_all_test_images_are_shared_cross_validation_leads(build_run):
    folder = build_run(evidence=True, shared=60)
    summary, text = folder.summary(), render(folder)
    best = next(place for place, one in enumerate(summary.candidates) if one.id == summary.best)
    value, pointer = first_numbers(text)[0]
    assert pointer == f"summary/candidates/{best}/cv/accuracy/mean"
    assert value == summary.candidates[best].cv.accuracy.mean - summary.optimism.selection
    assert "All 60 test images are also training images, so they say nothing about new ones." in text
    assert "predicted" not in text.partition("</dl>")[0].partition("<body>")[2]


def test_a_sealed_test_is_called_so_beside_what_was_predicted(build_run):
    folder = build_run(clean=True)
    summary, text = folder.summary(), render(folder)
    words = " ".join(html.unescape(re.sub("<[^>]+>", "", text)).replace("\u202f", " ").split())
    low, high = summary.expected_test.low, summary.expected_test.high
    assert f"Cross-validation predicted {100 * low:.1f} to {100 * high:.1f} %, with 99 % probability." in words
    assert "of 60 sealed test images classified right." in words and "On the sealed test images" in words


def test_folds_are_shown_less_what_choosing_adds_in_their_order(evidence_run):
    folder, text = evidence_run
    summary = folder.summary()
    ranking = text.partition('id="ranking"')[2].partition("</table>")[0]
    pattern = r'<data value="([^"]+)" data-from="summary/candidates/(\d+)/cv/accuracy/mean" data-less="([^"]+)"'
    found = re.findall(pattern, ranking)
    assert {pointer for _, _, pointer in found} == {"summary/optimism/selection"} and len(found) == 4
    means = [float(value) for value, _, _ in found]
    assert means == sorted(means, reverse=True)
    for value, place, _ in found:
        assert float(value) == summary.candidates[int(place)].cv.accuracy.mean - summary.optimism.selection
    assert "Means and intervals are shown lower by" in ranking and "at the end of training" in ranking
    assert "Best<br>epoch" not in text


@pytest.mark.parametrize("as_published", [True, False])
def test_folds_at_their_best_epochs_are_shown_as_they_are(build_run, as_published):
    published = (PublishedValue("mobilenet-lr0.001", "test", "accuracy", 0.9),) if as_published else ()
    folder = build_run(evidence=True, before=True, published=published)
    summary = folder.summary()
    # a recipe of one's own may score folds so too
    protocol = dataclasses.replace(summary.protocol, choose_by="accuracy")
    folder.write_summary(dataclasses.replace(summary, protocol=protocol))
    text = render(folder)
    said = f"Folds are scored at their own best epochs{', as the report did' if as_published else ''}; that flatters."
    assert f"{summary.optimism.sentence} {said}" in text
    assert "data-less" not in text and "Best<br>epoch" in text and "by accuracy at the best epoch" in text


def test_the_measure_that_chose_has_its_column(build_run):
    folder = build_run()
    summary = folder.summary()
    values = fold_values([0.71, 0.73], [0.71, 0.73])
    done = [dataclasses.replace(one, cv=dataclasses.replace(one.cv, chosen=values)) for one in summary.candidates]
    protocol: ProtocolSummary = dataclasses.replace(summary.protocol, choose_by="auc", monitor="loss")
    folder.write_summary(dataclasses.replace(summary, candidates=tuple(done), protocol=protocol))
    text = render(folder)
    assert "All candidates, by AUC, mean of the classes at the end of training" in text
    assert '<th scope="col">AUC, mean of the classes</th>' in text
    assert len(re.findall(r"summary/candidates/\d/cv/chosen/mean", text)) == len(done)


def test_a_repeated_final_training_is_said(build_run):
    folder = build_run()
    summary = folder.summary()
    assert "went astray" not in render(folder)
    finals = (dataclasses.replace(summary.finals[0], attempts=2, loss_ratio=1.2), *summary.finals[1:])
    folder.write_summary(dataclasses.replace(summary, finals=finals))
    assert "The final training of MobileNet, rate 0.001 went astray at first and was repeated" in render(folder)


def test_several_runs_say_which_test_images_count(build_run):
    shared, sound = build_run("shared", shared=20), build_run("sound", seed=1, evidence=True)
    sound.write_summary(dataclasses.replace(sound.summary(), recommended="average"))
    text = side_by_side([shared.path, sound.path])
    clean = shared.summary().clean[0]
    assert "shared: 20 of 60 test images (33 %) are also training images; on the other 40:" in text
    assert re.search(rf'<data value="{clean.accuracy}" data-from="runs/0/summary/clean/0/accuracy"', text)
    assert 'data-less="runs/1/summary/optimism/selection"' in text
    assert re.search(r"recommended there: [^<]*rate 0.001, answers averaged", text)
    assert side_by_side([build_run("none", shared=60).path, sound.path])
