"""The classic networks under the names that textbooks and Keras give their layers: what is known of each.

LeNet-5, AlexNet, VGG16, VGG19, Inception v1 and ResNet-50. The networks themselves are in
`classic_networks`, where their weights come from is in `classic_weights`; this needs no torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from headstart.backbones.card import BackboneCard, Preprocessing
from headstart.base.errors import BackboneError

PREFIX = "classic:"
"""Begins the architecture on a card, where timm has a network of the same name and other layer names."""

RANDOM = "random (no pretrained weights are published)"


@dataclass(frozen=True)
class Classic:
    """One classic network.

    Attributes
    ----------
    source : str
        "timm:NAME.TAG" or "torchvision:ENUM", where pretrained weights come from; "" where there are none.
    classes : int
        Of its own classifier.
    n_parameters : int
        With its own classifier; running statistics of BatchNorm are not among them.
    """

    name: str
    source: str
    preprocessing: Preprocessing
    n_parameters: int
    paper: str
    classes: int = 1000

    @property
    def available(self) -> str:
        """As `headstart backbones` says it."""
        kind = self.source.partition(":")[0]
        return {"timm": "hub", "torchvision": "download", "": "random only"}[kind]

    @property
    def licence(self) -> str:
        """Of the published weights."""
        return "bsd-3-clause" if self.source else ""

    @property
    def trained_on(self) -> str:
        """What the published weights were trained on."""
        return "ImageNet-1k" if self.source else ""


_IMAGENET = Preprocessing(interpolation="bilinear")
_HALVES = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), interpolation="bilinear")
_SMALL = Preprocessing(32, 32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bilinear", 1.0)
_VGG = "Simonyan and Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, ICLR 2015"

CLASSIC: dict[str, Classic] = {
    each.name: each
    for each in (
        Classic(
            "lenet5", "", _SMALL, 62_006,
            "LeCun, Bottou, Bengio and Haffner, Gradient-Based Learning Applied to Document Recognition, "
            "Proceedings of the IEEE 1998",
            10,
        ),
        Classic(
            "alexnet", "torchvision:AlexNet_Weights", _IMAGENET, 61_100_840,
            "Krizhevsky, One Weird Trick for Parallelizing Convolutional Neural Networks, arXiv:1404.5997, 2014",
        ),
        Classic("vgg16", "timm:vgg16.tv_in1k", _IMAGENET, 138_357_544, _VGG),
        Classic("vgg19", "timm:vgg19.tv_in1k", _IMAGENET, 143_667_240, _VGG),
        Classic(
            "inception_v1", "torchvision:GoogLeNet_Weights", _HALVES, 6_624_904,
            "Szegedy et al., Going Deeper with Convolutions, CVPR 2015",
        ),
        Classic(
            "resnet50", "timm:resnet50.tv_in1k", _IMAGENET, 25_557_032,
            "He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition, CVPR 2016",
        ),
    )
}  # fmt: skip


def require_pretrained(card: BackboneCard) -> None:
    """Refuse a network for which no weights are published, where pretrained ones are to be used.

    Raises
    ------
    BackboneError
    """
    if card.weights == RANDOM:
        raise BackboneError(
            f"{card.name}: no pretrained weights are published for it, so there is nothing to reuse; train it from random "
            f"weights (--scenario scratch) or give a file: {card.name}@FILE"
        )


def is_classic(name: str) -> bool:
    """Whether a name ("vgg16", "vgg16@FILE") or an architecture ("classic:vgg16") is one of these."""
    return name.removeprefix(PREFIX).partition("@")[0] in CLASSIC
