"""The recipe: every setting of a study. Its parts, what they may be, and its form in TOML."""

from headstart.recipe.parts import (
    SMALLEST_SIGMOID,
    Augmentation,
    Candidate,
    DataRules,
    DenseLayer,
    Head,
    Optimizer,
    Phase,
    Protocol,
    PublishedValue,
    Schedule,
    Training,
)
from headstart.recipe.recipe import Recipe

__all__ = [
    "SMALLEST_SIGMOID",
    "Augmentation",
    "Candidate",
    "DataRules",
    "DenseLayer",
    "Head",
    "Optimizer",
    "Phase",
    "Protocol",
    "PublishedValue",
    "Recipe",
    "Schedule",
    "Training",
]
