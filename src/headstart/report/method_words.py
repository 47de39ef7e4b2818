"""What each method is, what speaks for it and what against it, in a sentence each; no figures, no promises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class MethodWords:
    """A method in three sentences."""

    title: str
    what: str
    pro: str
    con: str


HEADS: Mapping[str, MethodWords] = {
    "logistic": MethodWords(
        "logistic regression",
        "A linear model of the log-odds of each class, with an L2 penalty.",
        "Its probabilities are a maximum-likelihood fit, and it is convex: one optimum.",
        "It draws flat borders only; C has to be chosen.",
    ),
    "linear_svm": MethodWords(
        "linear SVM",
        "A linear border with the largest margin, with an L2 penalty on its weights.",
        "It looks at the images near the border alone, which suits many features and few images.",
        "Its scores are no probabilities and have to be turned into some; C has to be chosen.",
    ),
    "rbf_svm": MethodWords(
        "RBF SVM",
        "A border of largest margin in the space of a Gaussian kernel.",
        "It can draw curved borders.",
        "Two options have to be chosen, and cost grows with the square of the number of images.",
    ),
    "knn": MethodWords(
        "k nearest neighbours",
        "The vote of the k most similar training images.",
        "Nothing is trained, and each answer can be shown as the images behind it.",
        "All training features are kept, and features of little use count as much as the others.",
    ),
    "nearest_mean": MethodWords(
        "nearest class mean",
        "The class whose mean feature is nearest.",
        "One vector a class: a new class costs one mean.",
        "Classes of several kinds, or of unequal spread, are described badly by their means.",
    ),
    "lda": MethodWords(
        "linear discriminant analysis",
        "Gaussian classes with one shared covariance, shrunk towards a multiple of the identity.",
        "A closed form with probabilities; the covariance takes out what the features have in common.",
        "Its assumption of equal covariances is rarely true; the shrinkage has to be chosen.",
    ),
    "ridge": MethodWords(
        "ridge classifier",
        "Least squares on class indicators, with an L2 penalty.",
        "A closed form; leaving one image out costs next to nothing, so the penalty is chosen quickly.",
        "It fits numbers, not probabilities, and far points pull at the border.",
    ),
}
SCENARIOS: Mapping[str, MethodWords] = {
    "features": MethodWords(
        "features",
        "The pretrained network stays as it is; a classifier is fitted on its features.",
        "The network runs once an image, so that many classifiers cost little more than one.",
        "What the network never learned to see stays unseen.",
    ),
    "finetune": MethodWords(
        "fine-tuning of the last part",
        "The last stages train from pretrained weights; the rest is frozen.",
        "It adapts the features to the images, and the frozen part need not run in each epoch.",
        "More options than a classifier on features, and it can fit few images too closely.",
    ),
    "full": MethodWords(
        "fine-tuning of the whole network",
        "Every weight trains, from pretrained weights.",
        "It can adapt most to images that differ from those of the pretraining.",
        "It costs most, and can lose what was learned before.",
    ),
    "scratch": MethodWords(
        "training from random weights",
        "The same network, without pretrained weights: the honest baseline.",
        "It owes nothing to other images, whatever their licence or bias.",
        "It needs many images and much time.",
    ),
}
RETRIEVAL = MethodWords(
    "retrieval",
    "Images are ranked by the likeness of their features to those of a query.",
    "It needs no classes and no training.",
    "What counts as alike is what the network learned, not what the user means.",
)
