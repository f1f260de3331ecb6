"""From a recipe and images to a plan: splits, networks, weights. Problems are found before work starts."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart import storage
from headstart.backbones.engine import backend_name
from headstart.data import augment, decode
from headstart.data.audit import Audit, audit
from headstart.data.images import ImageRow, ImageTable
from headstart.data.split import Splits, split_table
from headstart.errors import DataError, ImageError, UsageError
from headstart.evaluation.choosing import Measure
from headstart.evaluation.operating import cost_matrix
from headstart.features.trunk import Engine, choose_engine
from headstart.machine import package_versions
from headstart.recipe import Protocol, Recipe
from headstart.study.asked import check_decisions, check_nested, targets_and_costs, unknown_images
from headstart.study.earlier import check_same_images
from headstart.study.networks import HEADS, Network, learner_of, make_networks, network_problems, resolved
from headstart.version import __version__

FOLDS, MANY_FOLDS, FEW_IMAGES = 5, 10, 1000


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a study needs to start; ``study_id`` is the identity of its numbers.

    ``unknown_images`` are files that belong to no class, for judging the answer "unknown".
    """

    recipe: Recipe
    table: ImageTable
    splits: Splits
    networks: tuple[Network, ...]
    engine: Engine
    audit: Audit
    unknown_images: tuple[Path, ...]
    study_id: str

    @property
    def measure(self) -> Measure:
        """The measure that chooses, with the costs of errors where it is the cost."""
        protocol, classes = self.recipe.protocol, self.table.classes
        if protocol.choose_by != "cost":
            return Measure(protocol.choose_by)
        _, costs = targets_and_costs(protocol.decide, classes)
        return Measure("cost", tuple(map(tuple, cost_matrix(costs, classes).tolist())))

    def default_folder(self) -> Path:
        """Return ``runs/<data>-<hash of data and settings>``."""
        return Path("runs") / f"{self.table.name}-{self.study_id[:10]}"

    def encoded(self, row: ImageRow) -> bytes | NDArray[np.uint8]:
        """Return the bytes (or decoded pixels) of an image.

        Raises:
            DataError: the file is gone, or is no longer the one that the table describes.
        """
        try:
            encoded = self.table.encoded(row)
        except ImageError as error:
            raise DataError(f"{row.path}: {error}. Give the same command again to read all images anew.") from error
        if isinstance(encoded, bytes) and hashlib.sha256(encoded).hexdigest() != row.sha256:
            raise DataError(f"{row.path} changed since it was read. Give the same command again to read it anew.")
        return encoded


def make_plan(table: ImageTable, recipe: Recipe, *, weights_dir: Path | None, folds_asked: bool) -> Plan:
    """Return the plan of a study, or say everything that stands in its way.

    Raises:
        UsageError: a candidate's network cannot be what the recipe says (every problem, one line each); or the
            corrected list is of other images.
        DataError: the images do not allow the protocol.
        WeightsError: weights are missing (all of them named).
    """
    problems = network_problems(recipe.candidates)
    if problems:
        raise UsageError("\n".join(problems))
    recipe = dataclasses.replace(recipe, candidates=resolved(recipe.candidates))
    recipe = dataclasses.replace(recipe, protocol=_with_folds(recipe, table))
    splits = split_table(table, recipe.protocol, folds_asked=folds_asked)
    check_nested(recipe.protocol, splits)
    check_decisions(recipe.protocol.decide, table.classes)
    check_same_images(recipe.data, table)
    unknown = unknown_images(recipe.protocol.unknown_images)
    engine = _engine(recipe)
    networks = make_networks(recipe, weights_dir)
    installed = package_versions(("keras", "tensorflow", "tensorflow-cpu"))
    versions = [f"{package} {version}" for package, version in installed.items()]
    identity = {
        "version": __version__,
        "recipe": _deciding(recipe),
        "data": table.fingerprint,
        "weights": [network.weights_key for network in networks],
        "arithmetic": [engine.label, backend_name(), decode.decoders(), augment.VERSION, *versions],
        "splits": [(row.path, row.split) for row in splits.rows],
        "rounds": [(one.repeat, one.fold, one.validation) for one in splits.rounds],
        "unknown": [storage.sha256_of(file) for file in unknown],
    }
    return Plan(
        recipe=recipe,
        table=table,
        splits=splits,
        networks=networks,
        engine=engine,
        audit=audit(table, splits),
        unknown_images=unknown,
        study_id=storage.digest_of(identity),
    )


def _with_folds(recipe: Recipe, table: ImageTable) -> Protocol:
    """Return the protocol with a number of folds where it leaves that open.

    Folds learn from fewer images than the final training, which of few images shows: 8 of 10 a class were right 1.5
    points less often (MobileNet, four data sets, 40 splits), 9 of 10 0.8. Heads on features are trained so quickly that
    ten folds are no matter.
    """
    protocol = recipe.protocol
    if protocol.folds:
        return protocol
    images = sum(row.ok and row.split in ("", "train") for row in table.rows)
    quick = all(learner_of(one) == HEADS for one in recipe.candidates)
    return dataclasses.replace(protocol, folds=MANY_FOLDS if quick and images < FEW_IMAGES else FOLDS)


def _deciding(recipe: Recipe) -> Recipe:
    """Return a recipe without what decides no number of the study itself, and its lists in an order of their own."""
    data = dataclasses.replace(
        recipe.data,
        remove=tuple(sorted(set(recipe.data.remove))),
        corrected_from=recipe.data.corrected_run,
    )
    return dataclasses.replace(recipe, data=data, title="", source="", unknown=(), published=())


def _engine(recipe: Recipe) -> Engine:
    """Return what computes features on this machine; refuse what it cannot do."""
    if backend_name() != "tensorflow":
        raise UsageError(
            f"A study needs Keras' TensorFlow backend: others cannot write the classifier's graph yet. "
            f"Received: KERAS_BACKEND={backend_name()}."
        )
    engine = choose_engine()
    if engine.name == "keras" and recipe.precision != "f32":
        raise UsageError("precision bf16 needs the OpenVINO engine; here Keras computes features. Use f32.")
    return engine
