"""From networks to learners: features computed or found, pixels decoded, speed measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.data.decode import Resize
from headstart.features.arrays import joined
from headstart.features.extract import Extraction, ImageSet, Request, decode_all, extract
from headstart.features.trunk import Trunk
from headstart.study.attempt import attempt
from headstart.study.learners import Goal, HeadLearner, Learner, TunedLearner
from headstart.study.networks import HEADS, WHOLE, Network
from headstart.study.parts import Parts
from headstart.study.plan import Plan
from headstart.study.views import Copies
from headstart.study.workplace import Workplace
from headstart.study.workshop import Workshop

# The view of an image in a mirror, as augmentations call it: the two share their features.
MIRRORED = "flip"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A network that is ready to learn, or the reason why it is not, with what its features cost."""

    network: Network
    learner: Learner | None
    reason: str | None = None
    extraction: Extraction | None = None
    milliseconds_per_image: float | None = None


class Preparation:
    """Makes every network ready; one that cannot be built or run is reported and does not stop the rest."""

    def __init__(self, plan: Plan, parts: Parts, workshop: Workshop, place: Workplace) -> None:
        self._plan, self._parts, self._workshop, self._place = plan, parts, workshop, place
        self._goal = Goal(len(plan.table.classes), plan.measure)
        self._pixels: dict[Resize, NDArray[np.uint8]] = {}
        self._images = ImageSet(
            keys=tuple(row.sha256 for row in parts.rows),
            encoded=lambda position: plan.encoded(parts.rows[position]),
        )

    def ready(self, networks: Sequence[Network]) -> list[Prepared]:
        """Return some networks of the plan ready to learn, in their order."""
        ready: dict[str, Prepared] = {}
        for group in _same_size([network for network in networks if network.learner != WHOLE]):
            ready |= {prepared.network.name: prepared for prepared in self._from_features(group)}
        for network in networks:
            if network.learner == WHOLE:
                ready[network.name] = self._from_pixels(network)
        self._workshop.forget_trunks()
        return [ready[network.name] for network in networks]

    def mirrored(self, network: Network) -> NDArray[np.float32]:
        """Return the pooled features ``(images, values)`` of all images seen in a mirror, kept in the cache too."""
        plan, place = self._plan, self._place
        copies = Copies(self._parts, (MIRRORED,), network.seed)
        space = network.space(place.engine, plan.recipe.precision, MIRRORED)
        request = Request(space, _later(self._workshop.trunk, network), view=copies.change(MIRRORED))
        [(features, _)] = extract(self._images, [request], place.cache, size=network.size, progress=place.progress)
        self._workshop.forget_trunks()
        return features.astype(np.float32, copy=False)

    def _from_features(self, group: Sequence[Network]) -> list[Prepared]:
        """Fill the features of networks of one input size together; should that fail, each alone."""
        reason, prepared = attempt(lambda: self._filled(group))
        if prepared is not None:
            return prepared
        if len(group) == 1:
            return [Prepared(group[0], None, reason)]
        return [prepared for network in group for prepared in self._from_features([network])]

    def _filled(self, group: Sequence[Network]) -> list[Prepared]:
        """Decode each image once for all networks, and for the changed copies that some of them want."""
        place = self._place
        requests = [self._requests(network) for network in group]
        flat = [request for ours in requests for request in ours]
        filled = iter(extract(self._images, flat, place.cache, size=group[0].size, progress=place.progress))
        return [
            self._prepared(network, [next(filled) for _ in ours]) for network, ours in zip(group, requests, strict=True)
        ]

    def _requests(self, network: Network) -> list[Request]:
        engine, precision = self._place.engine, self._plan.recipe.precision
        build = _later(self._workshop.trunk, network)
        copies = self._copies(network)
        rows = copies.source.tolist()
        changed = [
            Request(network.space(engine, precision, view), build, view=copies.change(view), rows=rows)
            for view in copies.views
        ]
        return [Request(network.space(engine, precision), build), *changed]

    def _prepared(self, network: Network, filled: Sequence[tuple[NDArray[np.float32], Extraction]]) -> Prepared:
        copies = self._copies(network)
        features = joined([values for values, _ in filled])
        kinds = [extraction for _, extraction in filled]
        return Prepared(
            network=network,
            learner=self._learner(network, features, copies),
            extraction=Extraction(
                images=sum(one.images for one in kinds),
                cached=sum(one.cached for one in kinds),
                seconds=sum(one.seconds for one in kinds),
            ),
            milliseconds_per_image=self._workshop.milliseconds_per_image(network),
        )

    def _learner(self, network: Network, images: NDArray[np.generic], copies: Copies) -> Learner:
        if network.learner == HEADS:
            features = images.astype(np.float32, copy=False)
            return HeadLearner(network, features, copies, self._goal, frozen=self._workshop.parameters(network))
        return TunedLearner(network, self._workshop, images, copies, self._goal)

    def _from_pixels(self, network: Network) -> Prepared:
        def ready() -> Prepared:
            copies = self._copies(network)
            return Prepared(
                network=network,
                learner=self._learner(network, copies.with_pixels(self._decoded(network.size)), copies),
                milliseconds_per_image=self._workshop.milliseconds_per_image(network),
            )

        reason, prepared = attempt(ready)
        return prepared or Prepared(network, None, reason)

    def _decoded(self, size: Resize) -> NDArray[np.uint8]:
        """Return the pixels of all images, decoded once for all networks of one size."""
        if size not in self._pixels:
            self._pixels[size] = decode_all(self._images, size, progress=self._place.progress)
        return self._pixels[size]

    def _copies(self, network: Network) -> Copies:
        return Copies(self._parts, network.views, network.seed)


def _same_size(networks: Sequence[Network]) -> list[list[Network]]:
    groups: dict[int, list[Network]] = {}
    for network in networks:
        groups.setdefault(network.size.height, []).append(network)
    return list(groups.values())


def _later(get: Callable[[Network], Trunk], network: Network) -> Callable[[], Trunk]:
    return lambda: get(network)
