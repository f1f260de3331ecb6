"""What every network needs to work: its Keras model, trunk and trainer, built when first needed and kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.backbones import architectures, weights
from headstart.features import trunk
from headstart.features.trunk import Trunk
from headstart.study.networks import TAIL, WHOLE, Network
from headstart.study.workplace import Workplace

if TYPE_CHECKING:
    import keras

    from headstart.training.finetune import FineTuner


def build_network(network: Network) -> keras.Model:
    """Return the Keras backbone with its initial weights: pretrained, or random by the study's seed."""
    model = architectures.build(
        network.backbone, image_size=network.size.height, seed=network.seed, channels=network.preprocessing.channels
    )
    if network.file is not None:
        weights.load(model, network.file)
    elif network.settled:
        architectures.settle_normalization(model, network.preprocessing, seed=network.seed)
    return model


class Workshop:
    """The trunks and trainers of a study's networks."""

    def __init__(self, place: Workplace, *, precision: str, classes: int) -> None:
        self._place, self._precision, self._classes = place, precision, classes
        self._trunks: dict[str, Trunk] = {}
        self._models: dict[str, keras.Model] = {}
        self._tuners: dict[str, FineTuner] = {}

    def trunk(self, network: Network) -> Trunk:
        """Return what computes the features that a network's candidates train on."""
        if network.name not in self._trunks:
            self._trunks[network.name] = self._build_trunk(network, network.start if network.learner == TAIL else None)
        return self._trunks[network.name]

    def forget_trunks(self) -> None:
        """Free what computes features, once all are there."""
        self._trunks.clear()

    def model(self, network: Network) -> keras.Model:
        """Return the Keras backbone that is trained; its weights are those of whatever was trained last."""
        if network.name not in self._models:
            self._models[network.name] = build_network(network)
        return self._models[network.name]

    def parameters(self, network: Network) -> int:
        """Return the number of weights of a network without its classifier."""
        if network.preprocessing.channels == network.backbone.preprocessing.channels:
            return network.backbone.parameters
        return int(self.model(network).count_params())

    def tuner(self, network: Network) -> FineTuner:
        """Return what trains a part of a network, or all of it."""
        if network.name not in self._tuners:
            from headstart.training.finetune import FineTuner

            self._tuners[network.name] = FineTuner(
                self.model(network),
                network.candidates[0].head,
                self._classes,
                preprocessing=network.preprocessing if network.learner == WHOLE else None,
                start=network.start,
            )
        return self._tuners[network.name]

    def milliseconds_per_image(self, network: Network) -> float:
        """Return the whole backbone's time for one image, measured once and kept beside its cached features."""
        space = network.prediction_space(self._place.engine, self._precision)
        known = self._place.cache.milliseconds_per_image(space)
        if known is not None:
            return known
        whole = self._build_trunk(network, None) if network.learner == TAIL else self.trunk(network)
        measured = trunk.milliseconds_per_image(whole, network.size)
        self._place.cache.note_milliseconds_per_image(space, measured)
        return measured

    def _build_trunk(self, network: Network, start: int | None) -> Trunk:
        return trunk.build_trunk(
            build_network(network),
            network.preprocessing,
            network.size,
            engine=self._place.engine,
            precision=self._precision,
            pooling=network.pooling,
            start=start,
        )
