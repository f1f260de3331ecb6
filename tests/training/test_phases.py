import pytest

from headstart.backbones.engine import keras_module
from headstart.errors import UsageError
from headstart.recipe import Optimizer, Phase, Schedule, Training
from headstart.training.phases import cuts, stage_at, stages

NAMES = ["image", "first", "second", "third", "last"]
HEAD_THEN_TAIL = Training(
    epochs=3,
    optimizer=Optimizer("adam", 0.01),
    phases=(
        Phase(2, "last 2", batch_normalization="inference", optimizer_state="keep"),
        Phase(4, "from first", learning_rate=0.001, schedule=Schedule("steps", factor=0.5, every=2)),
    ),
)


def test_phases_follow_each_other_and_epochs_count_on():
    first, second, third = stages(HEAD_THEN_TAIL, 9, NAMES)
    assert [(one.number, one.first_epoch, one.last_epoch) for one in (first, second, third)] == [
        (1, 1, 3),
        (2, 4, 5),
        (3, 6, 9),
    ]
    assert [one.cut for one in (first, second, third)] == [5, 3, 1]
    assert [one.learning_rate for one in (first, second, third)] == [0.01, 0.01, 0.001]
    assert [one.settled for one in (first, second, third)] == [False, True, False]
    assert [one.keeps_state for one in (first, second, third)] == [False, True, False]
    assert cuts(HEAD_THEN_TAIL, NAMES) == (5, 3, 1)


@pytest.mark.parametrize(
    ("epochs", "lengths"), [(1, [1]), (3, [3]), (4, [3, 1]), (5, [3, 2]), (8, [3, 2, 3]), (11, [3, 2, 6])]
)
def test_epochs_cut_the_last_phase_short_or_let_it_go_on(epochs, lengths):
    found = stages(HEAD_THEN_TAIL, epochs, NAMES)
    assert [one.epochs for one in found] == lengths
    numbers = [stage_at(found, epoch).number for epoch in range(1, epochs + 1)]
    assert numbers == [number for number, length in enumerate(lengths, start=1) for _ in range(length)]


def test_one_phase_takes_the_epochs_of_the_job():
    [only] = stages(Training(epochs=20), 7, NAMES)
    assert (only.epochs, only.cut, only.learning_rate) == (7, 5, 1e-3)


def test_schedules_count_from_the_start_of_their_phase():
    third = stages(HEAD_THEN_TAIL, 9, NAMES)[2]
    rates = [third.rates(epoch, 2) for epoch in (6, 7, 8, 9)]
    assert rates == [[0.001, 0.001], [0.001, 0.001], [0.0005, 0.0005], [0.0005, 0.0005]]


def test_cosine_and_inverse_time_are_keras_schedules_of_the_phase():
    keras = keras_module()
    cosine = Phase(2, learning_rate=0.1, schedule=Schedule("cosine"))
    inverse = Phase(2, learning_rate=0.2, schedule=Schedule("inverse_time", factor=0.3))
    found = stages(Training(epochs=1, phases=(cosine, inverse)), 5, NAMES)
    schedules = keras.optimizers.schedules
    for stage, schedule in (
        (found[1], schedules.CosineDecay(0.1, decay_steps=6)),
        (found[2], schedules.InverseTimeDecay(0.2, decay_steps=1, decay_rate=0.3)),
    ):
        rates = [*stage.rates(stage.first_epoch, 3), *stage.rates(stage.first_epoch + 1, 3)]
        assert rates == pytest.approx([float(schedule(step)) for step in range(6)], rel=1e-6)


def test_an_unknown_layer_is_named_with_its_key():
    with pytest.raises(UsageError, match=r"train\.trainable = 'from thrid': .*Did you mean 'third'"):
        stages(Training(trainable="from thrid"), 1, NAMES)
    with pytest.raises(UsageError, match=r"train\.phases\[0\]\.trainable = 'last 9': the network has 5 layers"):
        cuts(Training(phases=(Phase(1, "last 9"),)), NAMES)


def test_layers_that_are_not_there_cannot_train():
    assert stages(Training(trainable="last 2"), 1, NAMES, start=3)[0].cut == 3
    with pytest.raises(ValueError, match="phase 1 trains from layer 3, but layers before 4"):
        stages(Training(trainable="last 2"), 1, NAMES, start=4)
