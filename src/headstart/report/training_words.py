"""The techniques that networks are trained with: what each is, what speaks for and against it, and when it is in use.

By the options of a run (`headstart.methods.training_options`), so that the paper names what was used and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from headstart.report.method_words import MethodWords
from headstart.study.records import StudyRecord

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Technique:
    """A way of training: the options that it is set by, whether options use it, and its words."""

    options: tuple[str, ...]
    used: Callable[[Options, str], bool]
    words: MethodWords


def _is(name: str, value: Any) -> Callable[[Options, str], bool]:
    return lambda options, scenario: options.get(name) == value


def _above(name: str, least: float = 0.0) -> Callable[[Options, str], bool]:
    return lambda options, scenario: float(options.get(name) or 0.0) > least


def _head_first(options: Options, scenario: str) -> bool:
    return scenario != "scratch" and options.get("start", "head-first") == "head-first"


def _mixed_at_the_cut(options: Options, scenario: str) -> bool:
    given = options.get("manifold_mixup")
    pixels = bool(options.get("mixup") or options.get("cutmix"))
    return bool(given) if given is not None else scenario == "finetune" and not pixels


TECHNIQUES: Mapping[str, Technique] = {
    "head_first": Technique(
        ("start",),
        _head_first,
        MethodWords(
            "head first (LP-FT)",
            "Training starts from the best linear head on frozen features.",
            "The features are not torn by the large first gradients of a random head.",
            "A head has to be fitted first, and a network that starts there moves less.",
        ),
    ),
    "adamw": Technique(
        ("optimiser", "weight_decay"),
        _is("optimiser", "adamw"),
        MethodWords(
            "AdamW",
            "Steps scaled by running means of the gradients, with weight decay apart from them.",
            "It does well over a wide range of rates, so that little tuning is needed.",
            "It keeps two numbers more for each weight.",
        ),
    ),
    "one_cycle": Technique(
        ("schedule", "warmup"),
        _is("schedule", "one-cycle"),
        MethodWords(
            "one-cycle schedule",
            "The rate rises to its largest value and falls to nearly zero, once.",
            "Large rates train quickly, and the long fall settles.",
            "The number of steps must be known before the start.",
        ),
    ),
    "cosine": Technique(
        ("schedule",),
        _is("schedule", "cosine"),
        MethodWords(
            "cosine schedule",
            "The rate falls as half a cosine.",
            "It has no steps to choose.",
            "The number of steps must be known before the start.",
        ),
    ),
    "range_test": Technique(
        ("learning_rate",),
        lambda options, scenario: options.get("learning_rate") is None,
        MethodWords(
            "learning-rate range test",
            "The rate grows over some steps, and the largest rate at which the loss still falls is taken; at most "
            "0.0001 in runs of fewer than 200 steps from a fitted head, and 0.003 from random weights.",
            "Every scenario gets a rate that fits it, by one rule.",
            "It reads a rate off a noisy curve; a search over rates may find a better one.",
        ),
    ),
    "label_smoothing": Technique(
        ("label_smoothing",),
        _above("label_smoothing"),
        MethodWords(
            "label smoothing",
            "A share of each label is spread over all classes.",
            "The network is not driven to be certain, and wrong labels harm less.",
            "Stated probabilities become too modest, and features may transfer worse.",
        ),
    ),
    "mixup": Technique(
        ("mixup",),
        _above("mixup"),
        MethodWords(
            "mixup",
            "Pairs of images and their labels are blended.",
            "It smooths what lies between the images, and helps against wrong labels.",
            "Blended images look like no image; it needs more epochs.",
        ),
    ),
    "cutmix": Technique(
        ("cutmix",),
        _above("cutmix"),
        MethodWords(
            "CutMix",
            "A patch of one image replaces that of another; labels mix by area.",
            "The network has to use the whole object.",
            "The patch may hold nothing of its class, and then the label is wrong.",
        ),
    ),
    "manifold_mixup": Technique(
        ("manifold_mixup",),
        _mixed_at_the_cut,
        MethodWords(
            "manifold mixup at the cut",
            "Activations of two images are blended where the network is cut.",
            "It works on kept activations, at hardly any cost.",
            "It needs a cut, and more epochs than training without it.",
        ),
    ),
    "ema": Technique(
        ("ema",),
        _above("ema"),
        MethodWords(
            "running average of the weights",
            "What is kept is the exponential mean of the weights over the last steps.",
            "It takes out the noise of the steps for the price of one copy.",
            "With few steps it lags behind.",
        ),
    ),
    "clip": Technique(
        ("clip",),
        _above("clip"),
        MethodWords(
            "clipped gradients",
            "A gradient longer than a limit is shortened to it.",
            "One odd batch cannot throw the weights far off.",
            "Too small a limit makes every step equally long.",
        ),
    ),
    "l2_sp": Technique(
        ("l2_sp",),
        _above("l2_sp"),
        MethodWords(
            "L2-SP",
            "Weights are pulled towards their pretrained values instead of zero.",
            "What was learned before is kept where the images say nothing against it.",
            "A further strength to choose; no use where the images are unlike the pretraining.",
        ),
    ),
    "gradual": Technique(
        ("unfreeze",),
        _is("unfreeze", "gradual"),
        MethodWords(
            "gradual unfreezing",
            "One stage more trains in each epoch, from the last.",
            "Early layers are not disturbed before the late ones have settled.",
            "Needs as many epochs as stages, and gives early stages few steps.",
        ),
    ),
    "layer_decay": Technique(
        ("layer_decay",),
        lambda options, scenario: float(options.get("layer_decay") or 1.0) < 1.0,
        MethodWords(
            "smaller rates for earlier stages",
            "The rate is multiplied by a factor from each stage to the one before it.",
            "General early features change less than special late ones.",
            "A further factor to choose.",
        ),
    ),
    "balance": Technique(
        ("balance",),
        lambda options, scenario: options.get("balance", "none") in ("weights", "sampling"),
        MethodWords(
            "balanced classes",
            "Rare classes weigh more in the loss, or are drawn more often.",
            "Small classes are not drowned.",
            "Stated probabilities no longer follow how frequent the classes are.",
        ),
    ),
    "effective": Technique(
        ("balance",),
        _is("balance", "effective"),
        MethodWords(
            "classes weighed by their effective number of images",
            "Rare classes weigh more in the loss, but less than in proportion.",
            "Many images of one class are worth less each, and the weights say so.",
            "Stated probabilities no longer follow how frequent the classes are.",
        ),
    ),
    "focal": Technique(
        ("focal",),
        _above("focal"),
        MethodWords(
            "focal loss",
            "Answers that are sure and right count less.",
            "Training turns to the hard images.",
            "Wrong labels are the hardest images of all.",
        ),
    ),
    "erase": Technique(
        ("erase",),
        _above("erase"),
        MethodWords(
            "random erasing",
            "Some views have a rectangle of noise.",
            "The network cannot lean on one part alone.",
            "The rectangle may cover what tells the class.",
        ),
    ),
    "dropout": Technique(
        ("dropout",),
        _above("dropout"),
        MethodWords(
            "dropout",
            "The head forgets a share of the features in each step.",
            "No feature is relied on alone.",
            "Training takes longer.",
        ),
    ),
    "stochastic_depth": Technique(
        ("stochastic_depth",),
        _above("stochastic_depth"),
        MethodWords(
            "stochastic depth",
            "Each step leaves out some residual paths at random, late ones more often.",
            "A deep network trains as several shallow ones, and no path is relied on alone.",
            "For networks with residual paths alone; training takes longer.",
        ),
    ),
    "swa": Technique(
        ("swa",),
        _above("swa"),
        MethodWords(
            "stochastic weight averaging",
            "The weights at the ends of the last epochs are averaged, at a constant rate.",
            "The mean lies in a wider valley than each of them.",
            "It needs epochs to spare at a rate that does not settle.",
        ),
    ),
    "sam": Technique(
        ("sam",),
        _above("sam"),
        MethodWords(
            "sharpness-aware minimisation",
            "Each step follows the gradient of the worst point nearby.",
            "Flat valleys are found, which hold on new images.",
            "Two passes a step: twice the time.",
        ),
    ),
    "soup": Technique(
        ("soup",),
        _above("soup", 1),
        MethodWords(
            "greedy soup",
            "Several trainings; weights are averaged where validation does not lose.",
            "One network at the end, often better than each.",
            "As many trainings, and validation images are used for a choice.",
        ),
    ),
    "distillation": Technique(
        ("teacher", "teacher_by", "distill", "distill_temperature"),
        lambda options, scenario: bool(options.get("teacher")),
        MethodWords(
            "distillation",
            "The softened answers of a larger network are learned beside the labels.",
            "They say which classes are alike.",
            "The larger network has to be run, and its mistakes are learned too.",
        ),
    ),
    "progressive": Technique(
        ("progressive",),
        _above("progressive"),
        MethodWords(
            "growing images",
            "Training begins with small images and ends with whole ones.",
            "The first epochs are cheap.",
            "The frozen part runs again for each size.",
        ),
    ),
    "linear_scaling": Technique(
        ("rate_batch",),
        lambda options, scenario: bool(options.get("rate_batch")),
        MethodWords(
            "rates in line with the batch",
            "The rate grows as the batch does.",
            "Large batches take as large a way.",
            "It holds up to some size only.",
        ),
    ),
    "zero_gamma": Technique(
        ("zero_gamma",),
        lambda options, scenario: scenario == "scratch" and options.get("zero_gamma") in (True, "on"),
        MethodWords(
            "zero gamma",
            "The last BatchNorm of each residual path starts at 0.",
            "A deep network begins as a shallow one, which trains easily.",
            "For networks with residual paths and random weights alone.",
        ),
    ),
    "mirrored": Technique(
        ("test_views",),
        _is("test_views", "mirror"),
        MethodWords(
            "mirrored answers",
            "The scores of an image and its mirror image are averaged.",
            "Two looks err less than one.",
            "Twice the time an answer; wrong where left and right matter.",
        ),
    ),
    "fixres": Technique(
        ("train_size",),
        lambda options, scenario: bool(options.get("train_size")),
        MethodWords(
            "smaller training images (FixRes)",
            "Training images have a smaller side than test images.",
            "Things look as large in training as in the test, and steps cost less.",
            "A further size to choose.",
        ),
    ),
    "early_stopping": Technique(
        ("patience",),
        _above("patience"),
        MethodWords(
            "early stopping",
            "Training ends when validation has not improved for some epochs.",
            "It saves time and keeps the network from fitting noise.",
            "It uses up validation images for a choice, and may stop too soon.",
        ),
    ),
    "rand_augment": Technique(
        ("augment",),
        _is("augment", "rand_augment"),
        MethodWords(
            "RandAugment",
            "Each view has some operators drawn at random, at one strength.",
            "Two numbers describe the whole policy.",
            "Some operators may destroy what tells the classes apart.",
        ),
    ),
    "augmix": Technique(
        ("augment",),
        _is("augment", "augmix"),
        MethodWords(
            "AugMix",
            "Several chains of operators are blended into one view.",
            "Views stay near the image, and robustness grows.",
            "Each view costs several.",
        ),
    ),
    "temperature": Technique(
        ("temperature",),
        lambda options, scenario: bool(options.get("temperature", True)),
        MethodWords(
            "temperature scaling",
            "Scores are divided by one number that is fitted on the validation images.",
            "Stated probabilities become honest; answers stay the same.",
            "One number cannot mend classes that err differently.",
        ),
    ),
}


def in_use(options: Options, scenario: str) -> list[str]:
    """The techniques that a run with these options uses, in the order of the table.

    Parameters
    ----------
    options : mapping of str to object
        Options of training by name.
    scenario : {"finetune", "full", "scratch"}
    """
    return [name for name, each in TECHNIQUES.items() if each.used(options, scenario)]


def techniques_of(record: StudyRecord, scenario: str = "") -> list[str]:
    """The techniques of a study's runs (of one scenario, where it is named), in the order of the table."""
    used = {
        name
        for cell in (result.cell for result in record.results)
        if cell.trains and scenario in ("", cell.scenario)
        for name in in_use({**cell.options, "train_size": cell.trained_smaller}, cell.scenario)
    }
    return [name for name in TECHNIQUES if name in used]
