"""Every option of training, declared once: the estimator, the flags, the spec file and the docs read it here.

The standard library alone is imported, so that `--help` stays quick.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from headstart.base.options import among, between, option

SCENARIOS = ("features", "finetune", "full", "scratch")
TRAINED = ("finetune", "full", "scratch")
DEFAULT_TRAINABLE = "last:2"
DEFAULT_EPOCHS = {"finetune": 8, "full": 4, "scratch": 30}
"""Where the option `epochs` is left open."""
DEFAULT_MIXING = 0.3
"""Of `manifold_mixup`, where the network is cut."""


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
        "passes over the training images (default: finetune 8, full 4, scratch 30)",
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
        "decay of weights (not of biases and norms)",
        low=0.0,
        high=10.0,
        search=between(1e-4, 1.0, log=True),
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
    ema: float = option(0.99, "decay of a running average of the weights (0: off)", low=0.0, high=0.99999)
    clip: float = option(1.0, "largest norm of a step's gradient (0: no limit)", low=0.0, high=1e6)
    balance: str = option(
        "none",
        "unequal classes: weigh the loss, or sample them equally",
        choices=("none", "weights", "sampling"),
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
    fresh: bool = option(False, "draw new views in each epoch instead of a fixed number of them")
    prefix_precision: str = option(
        "auto",
        "precision of the frozen part; auto tries int8 and measures what it costs",
        choices=("auto", "float32", "int8"),
    )
    temperature: bool = option(True, "scale probabilities by a temperature chosen on the validation images")
    checkpoint_minutes: float = option(
        3.0, "time between checkpoints, from which the same command goes on", low=0.0, high=10000.0
    )


def n_steps_of(n_images: int, options: TrainingOptions) -> int:
    """Steps of an epoch."""
    return options.steps_per_epoch or math.ceil(n_images / options.batch_size)
