"""The bag of tricks, each declared once; the order is that in which a bag is filled.

The standard library alone is imported: the command line and the plan of a study read it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from headstart.base.registry import Registry
from headstart.methods.tricks.trick import Base, Trick, same, side, times

TRICKS: Registry[Trick] = Registry("trick")
ALL = "all"
ANEW = "run on every new batch"


def _trick(
    name: str, title: str, what: str, papers: str, on: dict[str, Any], off: dict[str, Any], **more: Any
) -> None:
    TRICKS.add(name, Trick(name, title, what, tuple(papers.split()), on, off, **more))


_trick("linear_scaling", "linear rate scaling",
       "Batches are four times as large and the learning rate with them.", "he2019",
       {"batch_size": times("batch_size", 4), "rate_batch": same("batch_size")}, {"rate_batch": None},
       cost="fewer steps")  # fmt: skip
_trick("warmup", "warm-up", "The learning rate rises over the first 15 % of the steps.", "he2019",
       {"warmup": 0.15}, {"warmup": 0.0}, excludes=("one_cycle",))  # fmt: skip
_trick("zero_gamma", "zero gamma", "The last BatchNorm of each residual path starts at 0.", "he2019",
       {"zero_gamma": "on"}, {"zero_gamma": "off"}, needs=("random", "norm"))  # fmt: skip
_trick("no_bias_decay", "no decay of biases and norms", "Weight decay leaves biases and norms alone.", "he2019",
       {"decayed": "weights"}, {"decayed": "all"})  # fmt: skip
_trick("cosine", "cosine decay", "The learning rate falls to nearly 0 along a cosine.", "he2019",
       {"schedule": "cosine"}, {"schedule": "constant"}, excludes=("one_cycle",))  # fmt: skip
_trick("one_cycle", "one cycle", "The learning rate rises from 1/25 and falls to nearly 0.", "smith2017",
       {"schedule": "one-cycle", "warmup": 0.15}, {"schedule": "constant", "warmup": 0.0},
       excludes=("cosine", "warmup"))  # fmt: skip
_trick("label_smoothing", "label smoothing", "A tenth of each label is spread over all classes.", "szegedy2015",
       {"label_smoothing": 0.1}, {"label_smoothing": 0.0})  # fmt: skip
_trick("mixup", "mixup", "Pixels and labels of two images are mixed (alpha 0.2).", "zhang2017",
       {"mixup": 0.2}, {"mixup": 0.0}, excludes=("manifold_mixup",), prefix=ANEW,
       cost="the frozen part runs in every step")  # fmt: skip
_trick("cutmix", "cutmix", "A box of another image is pasted in, labels by its area (alpha 1).", "yun2019",
       {"cutmix": 1.0}, {"cutmix": 0.0}, excludes=("manifold_mixup",), prefix=ANEW,
       cost="the frozen part runs in every step")  # fmt: skip
_trick("manifold_mixup", "manifold mixup", "Activations at the cut are mixed, and labels (alpha 0.3).", "verma2019",
       {"manifold_mixup": 0.3}, {"manifold_mixup": 0.0}, needs=("cut",), excludes=("mixup", "cutmix"))  # fmt: skip
_trick("random_erasing", "random erasing", "A quarter of the views has a rectangle of noise.", "zhong2020",
       {"erase": 0.25}, {"erase": 0.0}, prefix="kept, of other views")  # fmt: skip
_trick("rand_augment", "RandAugment", "Two operations drawn at random change each view.", "cubuk2019",
       {"augment": "rand_augment"}, {"augment": same("augment")}, prefix="kept, of other views")  # fmt: skip
_trick("stochastic_depth", "stochastic depth", "Training drops residual paths, the last of them with a chance of 0.2.",
       "huang2016", {"stochastic_depth": 0.2}, {"stochastic_depth": 0.0}, needs=("path",))  # fmt: skip
_trick("dropout", "dropout", "The head forgets a fifth of the features in each step.", "srivastava2014",
       {"dropout": 0.2}, {"dropout": 0.0})  # fmt: skip
_trick("ema", "average of the weights", "A running average of the weights (decay 0.99) is kept.", "polyak1992",
       {"ema": 0.99}, {"ema": 0.0}, excludes=("swa",), cost="a copy of the weights")  # fmt: skip
_trick("swa", "stochastic weight averaging",
       "The ends of the last half of the epochs are averaged, at a constant rate.", "izmailov2018",
       {"swa": 0.5}, {"swa": 0.0}, excludes=("ema",), cost="a copy of the weights")  # fmt: skip
_trick("sam", "sharpness-aware minimisation", "Each step follows the gradient of the worst point nearby (rho 0.05).",
       "foret2021", {"sam": 0.05}, {"sam": 0.0}, cost="two passes a step")  # fmt: skip
_trick("layer_decay", "layer-wise rates", "Each stage learns at 0.65 of the rate of the one behind it.",
       "howard2018",
       {"layer_decay": 0.65}, {"layer_decay": 1.0}, needs=("pretrained", "body"))  # fmt: skip
_trick("l2_sp", "L2-SP", "Weights are pulled towards their pretrained values (0.01).", "li2018",
       {"l2_sp": 0.01}, {"l2_sp": 0.0}, needs=("pretrained", "body"))  # fmt: skip
_trick("distillation", "knowledge distillation", "Half of the loss is of a teacher's softened answers.", "hinton2015",
       {"teacher": same("teacher")}, {"teacher": ""}, cost="the teacher's features and its classifier")  # fmt: skip
_trick("progressive_resizing", "progressive resizing", "Images grow from about 0.57 of their side.", "tan2021",
       {"progressive": 0.57}, {"progressive": 0.0}, needs=("sizes",), cost="smaller images at first",
       prefix="run on every batch of the smaller sizes")  # fmt: skip
_trick("test_augmentation", "test-time augmentation", "The scores of an image and its mirror image are averaged.",
       "krizhevsky2012", {"test_views": "mirror"}, {"test_views": "plain"}, cost="two passes an answer",
       answers=True)  # fmt: skip
_trick("fixres", "smaller training images (FixRes)", "Training images have 6/7 of the side of test images.",
       "touvron2019", {"train_size": side(6 / 7)}, {"train_size": side(1)}, needs=("sizes",),
       cost="smaller images", prefix="kept, at that size")  # fmt: skip
_trick("greedy_soup", "greedy soup", "Three trainings; weights are averaged where validation does not lose.",
       "wortsman2022", {"soup": 3}, {"soup": 1}, cost="three trainings")  # fmt: skip
_trick("balanced_loss", "class-balanced loss", "Classes weigh by the effective number of their images.", "cui2019",
       {"balance": "effective"}, {"balance": "none"})  # fmt: skip
_trick(
    "focal_loss",
    "focal loss",
    "Sure answers count less (gamma 2).",
    "lin2017",
    {"focal": 2.0},
    {"focal": 0.0},
)
_trick("low_precision", "low precision", "Training in bfloat16.", "he2019",
       {"dtype": "bfloat16"}, {"dtype": "float32"}, needs=("bfloat16",))  # fmt: skip


def owned() -> frozenset[str]:
    """Options that some trick sets, so that a study of tricks cannot have them too."""
    shared = {"batch_size", "augment", "teacher"}
    return frozenset(name for each in TRICKS for name in (*TRICKS[each].on, *TRICKS[each].off)) - shared


def bag(names: Iterable[str]) -> tuple[str, ...]:
    """Of these tricks those that go together: in the registry's order, each unless an earlier one excludes it."""
    wanted, kept = set(names), list[str]()
    for name in TRICKS:
        if name in wanted and not any(name in TRICKS[other].excludes for other in kept):
            kept.append(name)
    return tuple(kept)


def clashes(names: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of these that cannot be on together."""
    wanted = [name for name in TRICKS if name in set(names)]
    return [(a, b) for at, a in enumerate(wanted) for b in wanted[at + 1 :] if b in TRICKS[a].excludes]


def options_with(names: Iterable[str], options: dict[str, Any], side: int) -> dict[str, Any]:
    """Options of training with these tricks on and all others off.

    Parameters
    ----------
    names : iterable of str
    options : dict
        Of the study; its `teacher` is that of distillation.
    side : int
        Of the input, in pixels; 0 where it is not square.
    """
    base, chosen = Base(options, side), set(names)
    bare = dict(options)
    for name in TRICKS:
        bare.update(TRICKS[name].switched(base, on=False))
    for name in TRICKS:
        if name in chosen:
            bare.update(TRICKS[name].switched(base, on=True))
    return bare


def idle(names: Iterable[str], options: dict[str, Any], side: int) -> dict[str, str]:
    """Tricks that change nothing over these options, each with the reason; see `options_with`."""
    base, bare, found = Base(options, side), options_with((), options, side), dict[str, str]()
    for name in names:
        if options_with((name,), options, side) == bare:
            same = ", ".join(f"{key} {value}" for key, value in TRICKS[name].switched(base, on=True).items())
            found[name] = f"it changes nothing here: training without it has {same} too"
    return found
