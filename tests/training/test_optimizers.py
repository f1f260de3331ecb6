import dataclasses

import numpy as np
import pytest

from headstart.backbones.engine import keras_module
from headstart.recipe import Optimizer, Schedule
from headstart.training import optimizers
from headstart.training.optimizers import Layer, Updater, schedule_factor

STEPS_PER_EPOCH, EPOCHS = 7, 6
ALL_STEPS = range(STEPS_PER_EPOCH * EPOCHS)


def factors(schedule):
    return [schedule_factor(schedule, step=step, steps_per_epoch=STEPS_PER_EPOCH, epochs=EPOCHS) for step in ALL_STEPS]


def test_constant_schedule():
    assert factors(Schedule("constant")) == [1.0] * len(ALL_STEPS)


def test_steps_schedule_drops_after_every_so_many_epochs():
    by_epoch = factors(Schedule("steps", factor=0.1, every=2))[::STEPS_PER_EPOCH]
    assert by_epoch == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_inverse_time_schedule_is_that_of_keras():
    keras = keras_module()
    expected = keras.optimizers.schedules.InverseTimeDecay(1.0, decay_steps=1, decay_rate=0.3)
    assert factors(Schedule("inverse_time", factor=0.3)) == pytest.approx(
        [float(expected(step)) for step in ALL_STEPS], rel=1e-5
    )


def test_cosine_schedule_is_that_of_keras():
    keras = keras_module()
    expected = keras.optimizers.schedules.CosineDecay(1.0, decay_steps=len(ALL_STEPS))
    assert factors(Schedule("cosine")) == pytest.approx([float(expected(step)) for step in ALL_STEPS], abs=1e-6)


RULES = [
    Optimizer("adam"),
    Optimizer("adam", beta_1=0.5, beta_2=0.9, epsilon=1e-3),
    Optimizer("sgd"),
    Optimizer("sgd", momentum=0.9),
    Optimizer("sgd", momentum=0.9, nesterov=True),
    Optimizer("sgd", nesterov=True),
    Optimizer("adamw"),
    Optimizer("adamw", weight_decay=0.5, beta_1=0.5, epsilon=1e-3),
    Optimizer("rmsprop"),
    Optimizer("rmsprop", rho=0.5, epsilon=1e-2),
    Optimizer("rmsprop", rho=0.5, momentum=0.9),
]


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("block_values", [2**15, 8])
def test_updates_are_those_of_keras(rule, block_values, monkeypatch):
    monkeypatch.setattr(optimizers, "BLOCK_VALUES", block_values)
    random = np.random.default_rng(0)
    start = random.normal(size=(5, 4)).astype(np.float32)
    gradients = random.normal(size=(40, 5, 4)).astype(np.float32)
    rates = np.array([0.1, 0.1, 0.01, 0.01], np.float32)
    layer = Layer(start.copy(), np.empty_like(start), rates)
    updater = Updater(rule, [layer])
    for gradient in gradients:
        layer.gradient[:] = gradient
        updater.step(0.5)
    for part, rate in ((slice(0, 2), 0.05), (slice(2, 4), 0.005)):
        expected = keras_updates(dataclasses.replace(rule, learning_rate=rate), start[:, part], gradients[..., part])
        assert layer.values[:, part] == pytest.approx(expected, abs=1e-5)


def keras_optimizer(rule):
    optimizers, rate = keras_module().optimizers, rule.learning_rate
    adam = {"beta_1": rule.beta_1, "beta_2": rule.beta_2, "epsilon": rule.epsilon}
    if rule.name == "adam":
        return optimizers.Adam(rate, **adam)
    if rule.name == "adamw":
        return optimizers.AdamW(rate, weight_decay=rule.weight_decay, **adam)
    if rule.name == "rmsprop":
        return optimizers.RMSprop(rate, rho=rule.rho, momentum=rule.momentum, epsilon=rule.epsilon)
    return optimizers.SGD(rate, momentum=rule.momentum, nesterov=rule.nesterov)


def keras_updates(rule, start, gradients):
    keras, optimizer = keras_module(), keras_optimizer(rule)
    variable = keras.Variable(start)
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
    return keras.ops.convert_to_numpy(variable.value)


def test_l2_reaches_kernels_and_not_the_bias():
    layer = Layer(np.full((3, 2), 2, np.float32), np.zeros((3, 2), np.float32), np.array([1, 0.5], np.float32), l2=0.1)
    free = Layer(np.full((3, 1), 2, np.float32), np.zeros((3, 1), np.float32), np.ones(1, np.float32))
    updater = Updater(Optimizer("sgd"), [layer, free])
    updater.step(1.0)
    assert updater.penalties[0] == pytest.approx([0.8, 0.8])  # 0.1 * (4 + 4)
    assert updater.penalties[1] == 0
    assert layer.values == pytest.approx(np.array([[1.6, 1.8], [1.6, 1.8], [2, 2]]))  # less rate * 2 * 0.1 * 2
    assert np.all(free.values == 2)


def test_decay_of_adamw_reaches_the_bias_and_is_scaled_by_the_schedule():
    layer = Layer(np.full((3, 2), 2, np.float32), np.zeros((3, 2), np.float32), np.array([1, 0.5], np.float32))
    Updater(Optimizer("adamw", weight_decay=0.1), [layer]).step(0.5)
    assert layer.values == pytest.approx(np.tile([2 - 2 * 0.1 * 0.5, 2 - 2 * 0.1 * 0.25], (3, 1)))


@pytest.mark.parametrize(
    ("rule", "fades"), [(Optimizer("adam"), False), (Optimizer("rmsprop", momentum=0.9), True)], ids=["adam", "rmsprop"]
)
def test_moments_fade_to_zero_and_not_to_subnormal_numbers(rule, fades):
    layer = Layer(np.zeros((2, 3), np.float32), np.ones((2, 3), np.float32), np.ones(3, np.float32))
    updater = Updater(rule, [layer])
    updater.step(1.0)
    for _ in range(1000):
        layer.gradient.fill(0)
        updater.step(1.0)
    (block,) = updater._blocks
    assert not block.first.any()
    assert block.second.any() != fades
    assert np.isfinite(layer.values).all()
