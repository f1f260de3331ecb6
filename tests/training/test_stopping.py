import pytest

from headstart.training.heads import EpochMetrics
from headstart.training.stopping import BestEpoch


def metrics(value):
    return EpochMetrics(loss=-value, accuracy=value, precision=None, recall=None, top_k=None)


@pytest.mark.parametrize("monitor", ["accuracy", "loss"])
def test_first_of_equals_is_the_best(monitor):
    best = BestEpoch(monitor, patience=0)
    kept = [best.see(epoch, metrics(value), finite=True) for epoch, value in enumerate([0.1, 0.5, 0.5, 0.4], start=1)]
    assert kept == [True, True, False, False]
    assert best.epoch == 2
    assert not best.stopped


def test_patience_counts_epochs_since_the_best():
    best, stopped = BestEpoch("accuracy", patience=2), []
    for epoch, value in enumerate([0.5, 0.4, 0.6, 0.6, 0.2], start=1):
        best.see(epoch, metrics(value), finite=True)
        stopped.append(best.stopped)
    assert stopped == [False, False, False, False, True]


def test_epochs_that_are_not_finite_are_passed_over():
    best = BestEpoch("accuracy", patience=0)
    assert not best.see(1, metrics(0.9), finite=False)
    assert not best.found
    assert best.see(2, metrics(0.3), finite=True)
    assert not best.see(3, metrics(0.8), finite=False)
    assert (best.epoch, best.found) == (2, True)


def test_without_validation_the_last_epoch_is_the_best_and_nothing_stops():
    best = BestEpoch("loss", patience=1)
    for epoch in range(1, 5):
        assert best.see(epoch, None, finite=True)
    assert best.epoch == 4
    assert not best.stopped
