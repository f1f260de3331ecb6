"""From networks to learners: features computed or found, pixels decoded, speed measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from headstart.backbones import architectures, weights
from headstart.errors import HeadstartError
from headstart.features import trunk
from headstart.features.extract import Extraction, ImageSet, Request, decode_all, extract
from headstart.features.trunk import Trunk
from headstart.study.learners import Goal, HeadLearner, Learner, WholeLearner
from headstart.study.parts import Parts
from headstart.study.plan import Network, Plan
from headstart.study.workplace import Workplace

if TYPE_CHECKING:
    import keras

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A network that is ready to learn, or the reason why it is not, with what its features cost."""

    network: Network
    learner: Learner | None
    reason: str | None = None
    extraction: Extraction | None = None
    milliseconds_per_image: float | None = None


def build_network(network: Network) -> keras.Model:
    """Return the Keras backbone with its initial weights: pretrained, or random by the study's seed."""
    model = architectures.build(network.backbone, image_size=network.size.height, seed=network.seed)
    if network.file is not None:
        weights.load(model, network.file)
    elif network.trainable == "none":
        architectures.settle_normalization(model, network.backbone.preprocessing, seed=network.seed)
    return model


class TrunkStore:
    """Builds each network's trunk when it is first needed, and keeps it."""

    def __init__(self, place: Workplace, precision: str) -> None:
        self._place, self._precision = place, precision
        self._trunks: dict[str, Trunk] = {}

    def get(self, network: Network) -> Trunk:
        """Return the network's trunk."""
        if network.name not in self._trunks:
            self._trunks[network.name] = trunk.build_trunk(
                build_network(network),
                network.backbone.preprocessing,
                network.size,
                engine=self._place.engine,
                precision=self._precision,
            )
        return self._trunks[network.name]

    def milliseconds_per_image(self, network: Network) -> float:
        """Return the network's time for one image, measured once and kept beside its cached features."""
        space = network.space(self._place.engine, self._precision)
        known = self._place.cache.milliseconds_per_image(space)
        if known is not None:
            return known
        measured = trunk.milliseconds_per_image(self.get(network), network.size)
        self._place.cache.note_milliseconds_per_image(space, measured)
        return measured


class Preparation:
    """Makes every network ready; one that cannot be built or run is reported and does not stop the rest."""

    def __init__(self, plan: Plan, parts: Parts, trunks: TrunkStore, place: Workplace) -> None:
        self._plan, self._parts, self._trunks, self._place = plan, parts, trunks, place
        self._images = ImageSet(
            keys=tuple(row.sha256 for row in parts.rows),
            encoded=lambda position: plan.encoded(parts.rows[position]),
        )

    def all(self) -> list[Prepared]:
        """Return every network of the plan, in its order."""
        ready: dict[str, Prepared] = {}
        for group in _same_size([network for network in self._plan.networks if network.trainable == "none"]):
            ready |= {prepared.network.name: prepared for prepared in self._frozen(group)}
        for network in self._plan.networks:
            if network.trainable != "none":
                ready[network.name] = self._whole(network)
        return [ready[network.name] for network in self._plan.networks]

    def _frozen(self, group: Sequence[Network]) -> list[Prepared]:
        """Fill the features of networks of one input size together; should that fail, each alone."""
        reason, prepared = attempt(lambda: self._filled(group))
        if prepared is not None:
            return prepared
        if len(group) == 1:
            return [Prepared(group[0], None, reason)]
        return [prepared for network in group for prepared in self._frozen([network])]

    def _filled(self, group: Sequence[Network]) -> list[Prepared]:
        place, precision = self._place, self._plan.recipe.precision
        requests = [
            Request(network.space(place.engine, precision), _later(self._trunks.get, network)) for network in group
        ]
        filled = extract(self._images, requests, place.cache, size=group[0].size, progress=place.progress)
        return [
            Prepared(
                network=network,
                learner=HeadLearner(network, features, self._parts.labels, self._goal()),
                extraction=extraction,
                milliseconds_per_image=self._trunks.milliseconds_per_image(network),
            )
            for network, (features, extraction) in zip(group, filled, strict=True)
        ]

    def _whole(self, network: Network) -> Prepared:
        def ready() -> Prepared:
            pixels = decode_all(self._images, network.size, progress=self._place.progress)
            model = build_network(network)
            return Prepared(
                network=network,
                learner=WholeLearner(network, model, pixels, self._parts.labels, self._goal()),
                milliseconds_per_image=self._trunks.milliseconds_per_image(network),
            )

        reason, prepared = attempt(ready)
        return prepared or Prepared(network, None, reason)

    def _goal(self) -> Goal:
        return Goal(classes=len(self._plan.table.classes), monitor=self._plan.recipe.protocol.monitor)


def _same_size(networks: Sequence[Network]) -> list[list[Network]]:
    groups: dict[int, list[Network]] = {}
    for network in networks:
        groups.setdefault(network.size.height, []).append(network)
    return list(groups.values())


def _later(get: Callable[[Network], Trunk], network: Network) -> Callable[[], Trunk]:
    return lambda: get(network)


def attempt(work: Callable[[], Result]) -> tuple[str | None, Result | None]:
    """Return the result of ``work``, or one line on why it failed; what the user can mend is raised as it is."""
    try:
        return None, work()
    except HeadstartError:
        raise
    except Exception as error:
        return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}", None
