"""Every option of training, declared once: the estimator, the flags, the spec file and the docs read it here.

The standard library alone is imported, so that `--help` stays quick.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from headstart.base.options import among, between, option

SCENARIOS = ("features", "finetune", "full", "scratch")
TRAINED = ("finetune", "full", "scratch")
DEFAULT_TRAINABLE = "last:2"
DEFAULT_EPOCHS = {"finetune": 8, "full": 4, "scratch": 30}
"""Where the option `epochs` is left open; `own_epochs` has more where `full` has few images."""
FULL_IMAGES, FULL_MOST = 8000, 20
"""`full` sees so many images, in so many epochs at most: 250 steps of 32 images."""
DEFAULT_MIXING = 0.3
"""Of `manifold_mixup`, where the network is cut."""


def own_epochs(scenario: str, n_images: int) -> int:
    """Epochs of a scenario where the option `epochs` is left open.

    Examples
    --------
    >>> [own_epochs("full", n) for n in (80, 400, 800, 3000)], own_epochs("finetune", 80)
    ([20, 20, 10, 4], 8)
    """
    least = DEFAULT_EPOCHS[scenario]
    if scenario != "full":
        return least
    return min(FULL_MOST, max(least, math.ceil(FULL_IMAGES / max(1, n_images))))


@dataclass(kw_only=True)
class TrainingOptions:
    """How a network is trained; the same for `finetune`, `full` and `scratch`."""

    trainable: str | tuple[str, ...] = option(
        DEFAULT_TRAINABLE,
        "what trains in the scenario finetune: head, last:K (stages), a layer and all after it, norm, bias, "
        "or patterns of parameters",
        metavar="CUT",
        search=among("last:1", "last:2", "last:3", "last:4"),
    )
    start: str = option(
        "head-first",
        "head-first: train from the best linear head on frozen features (LP-FT); plain: from a random head",
        choices=("head-first", "plain"),
    )
    epochs: int | None = option(
        None,
        "passes over the training images (default: finetune 8, full 4, with few images up to 20, scratch 30)",
        low=1,
        high=100000,
        metavar="NUMBER",
    )
    batch_size: int = option(32, "images a step", low=1, high=4096, search=among(16, 32, 64))
    steps_per_epoch: int | None = option(
        None,
        "steps that count as an epoch (default: as many as show every image once)",
        low=1,
        high=10**7,
        metavar="NUMBER",
    )
    optimiser: str = option("adamw", "how weights follow gradients", choices=("adamw", "sgd"))
    learning_rate: float | None = option(
        None,
        "largest learning rate (default: found by a range test)",
        low=1e-8,
        high=10.0,
        metavar="NUMBER",
        search=between(1e-5, 1e-1, log=True),
    )
    weight_decay: float = option(
        0.01,
        "decay of what --decayed names",
        low=0.0,
        high=10.0,
        search=between(1e-4, 1.0, log=True),
    )
    decayed: str = option(
        "weights",
        "what weight_decay decays: weights alone, or biases and norms too",
        choices=("weights", "all"),
    )
    rate_batch: int | None = option(
        None,
        "batch size that the learning rate is given or found for; it grows in line with batch_size (linear "
        "scaling; default: batch_size itself)",
        low=1,
        high=4096,
        metavar="NUMBER",
    )
    momentum: float = option(0.9, "momentum of sgd", low=0.0, high=0.999)
    schedule: str = option(
        "one-cycle", "course of the learning rate", choices=("one-cycle", "cosine", "constant")
    )
    warmup: float = option(0.15, "share of the steps in which the rate rises", low=0.0, high=0.9)
    layer_decay: float = option(
        1.0,
        "factor on the rate from each stage to the one before it",
        low=0.01,
        high=1.0,
        search=between(0.3, 1.0),
    )
    l2_sp: float = option(0.0, "pull towards the pretrained weights (L2-SP)", low=0.0, high=10.0)
    unfreeze: str = option(
        "at-once",
        "gradual: one stage more each epoch, from the last (ULMFiT)",
        choices=("at-once", "gradual"),
    )
    batchnorm: str = option(
        "keep",
        "statistics of trained BatchNorm layers: keep the pretrained ones, or update them (scratch always updates)",
        choices=("keep", "update"),
    )
    zero_gamma: str = option(
        "own",
        "scratch: whether the last BatchNorm of each residual path starts at 0, so that each block does nothing; "
        "own: as the architecture draws it",
        choices=("own", "on", "off"),
    )
    stochastic_depth: float = option(
        0.0, "chance that training drops the last residual path; earlier ones less", low=0.0, high=0.9
    )
    dropout: float = option(0.0, "share of the features that the head forgets in training", low=0.0, high=0.9)
    label_smoothing: float = option(
        0.1, "share of a label spread over all classes", low=0.0, high=0.9, search=between(0.0, 0.3)
    )
    mixup: float = option(0.0, "strength (alpha) of mixup on pixels", low=0.0, high=10.0)
    cutmix: float = option(0.0, "strength (alpha) of cutmix on pixels", low=0.0, high=10.0)
    manifold_mixup: float | None = option(
        None,
        "strength (alpha) of mixing at the cut (default: 0.3; 0 without a cut, and where pixels are mixed)",
        low=0.0,
        high=10.0,
    )
    erase: float = option(
        0.0, "chance that a view has a rectangle of noise (random erasing)", low=0.0, high=1.0
    )
    focal: float = option(
        0.0, "strength (gamma) of the focal loss, which counts sure answers less", low=0.0, high=10.0
    )
    teacher: Any = option(
        "",
        "network, or folder of a model, whose answers on the training images are learned beside the labels "
        "(distillation)",
        metavar="TEACHER",
    )
    teacher_by: str = option(
        "features",
        "how the teacher learns first: a classifier on its features, or its last stage fine-tuned",
        choices=("features", "finetune"),
    )
    distill: float = option(0.5, "share of the loss that the teacher's answers have", low=0.0, high=1.0)
    distill_temperature: float = option(
        2.0, "temperature that softens the teacher's answers", low=0.1, high=100.0
    )
    sam: float = option(
        0.0,
        "radius of sharpness-aware minimisation (0: off; two passes a step)",
        low=0.0,
        high=10.0,
    )
    ema: float = option(0.99, "decay of a running average of the weights (0: off)", low=0.0, high=0.99999)
    swa: float = option(
        0.0,
        "share of the epochs, the last ones, whose weights are averaged at a constant rate (0: off; with ema 0)",
        low=0.0,
        high=1.0,
    )
    soup: int = option(
        1,
        "trainings with seeds and rates of their own whose weights are averaged where validation gains (1: one)",
        low=1,
        high=50,
    )
    clip: float = option(1.0, "largest norm of a step's gradient (0: no limit)", low=0.0, high=1e6)
    balance: str = option(
        "none",
        "unequal classes: weigh the loss by 1 / images, by the effective number of images, or sample equally",
        choices=("none", "weights", "effective", "sampling"),
    )
    patience: int = option(
        0, "stop after so many epochs without a better validation accuracy (0: never)", low=0, high=10000
    )
    keep: str = option("best", "which epoch's weights are kept, by validation", choices=("best", "last"))
    dtype: str = option(
        "auto",
        "precision of training; auto measures whether bfloat16 is faster",
        choices=("auto", "float32", "bfloat16"),
    )
    compile: bool = option(False, "compile the trained part with torch.compile")
    views: int = option(
        6,
        "augmented views of each image, each run through the frozen part once",
        low=1,
        high=1000,
        search=between(1, 8, whole=True),
    )
    augment: str = option(
        "medium",
        "how views differ: none; crop; light: crop and mirror; medium: light and brightness, contrast, colour; "
        "heavy, rand_augment, trivial_augment, augmix; or a policy in a file NAME.toml",
        metavar="POLICY",
        search=among("none", "crop", "light", "medium", "heavy"),
    )
    train_size: int | None = option(
        None,
        "side of the training images in pixels (default: 6/7 of the input's where finetune crops and the network "
        "takes any size, else the input's): crops show things larger than evaluation does (FixRes)",
        low=16,
        high=4096,
        metavar="PIXELS",
    )
    progressive: float = option(
        0.0,
        "share of the side of the training images that training begins with; it grows in three steps (0: off)",
        low=0.0,
        high=1.0,
    )
    test_views: str = option(
        "plain",
        "what answers: the image alone, or the mean of its scores and its mirror image's",
        choices=("plain", "mirror"),
    )
    fresh: bool = option(False, "draw new views in each epoch instead of a fixed number of them")
    prefix_precision: str = option(
        "auto",
        "precision of the frozen part; auto measures which engine and precision is fastest and what it costs",
        choices=("auto", "float32", "bfloat16", "int8"),
    )
    temperature: bool = option(True, "scale probabilities by a temperature chosen on the validation images")
    checkpoint_minutes: float = option(
        3.0, "time between checkpoints, from which the same command goes on", low=0.0, high=10000.0
    )


NEWER = (
    "decayed", "rate_batch", "zero_gamma", "stochastic_depth", "dropout", "erase", "focal", "teacher",
    "teacher_by", "distill", "distill_temperature", "sam", "swa", "soup", "progressive", "test_views",
)  # fmt: skip
"""Options that the id of a run leaves out at their defaults: it is the id that the run had before them."""
DEFAULTS = {field.name: field.default for field in fields(TrainingOptions)}


def told(options: dict[str, Any]) -> dict[str, Any]:
    """Options as the id of a run holds them."""
    return {name: value for name, value in options.items() if name not in NEWER or value != DEFAULTS[name]}


def n_steps_of(n_images: int, options: TrainingOptions) -> int:
    """Steps of an epoch."""
    return options.steps_per_epoch or math.ceil(n_images / options.batch_size)
