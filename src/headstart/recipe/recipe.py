"""The recipe as a whole: every setting of a study, frozen, typed and checked."""

from __future__ import annotations

from dataclasses import dataclass, field

from headstart.errors import UsageError
from headstart.recipe import check
from headstart.recipe.parts import Candidate, DataRules, Protocol, PublishedValue


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides a study's numbers, except the images and the pretrained weights.

    ``name``, ``title``, ``classes``, ``source``, ``unknown`` and ``published`` say what is repeated here: the classes
    of the original images in their order, who published the numbers, what was left unsaid, and the numbers.
    """

    candidates: tuple[Candidate, ...]
    data: DataRules = field(default_factory=DataRules)
    protocol: Protocol = field(default_factory=Protocol)
    precision: str = "f32"
    name: str = ""
    title: str = ""
    classes: tuple[str, ...] = ()
    source: str = ""
    unknown: tuple[str, ...] = ()
    published: tuple[PublishedValue, ...] = ()

    def __post_init__(self) -> None:
        problems = [
            *check.data_problems(self.data),
            *check.protocol_problems(self.protocol),
            *check.precision_problems(self.precision),
            *check.candidates_problems(self.candidates),
            *check.average_problems(self.protocol, self.candidates),
        ]
        if problems:
            raise UsageError("\n".join(dict.fromkeys(problems)))
