"""Which engine and precision run the frozen part: the fastest of those that may serve, by measurement.

Every one is compared with torch when its graph is made; what fewer bits cost in accuracy is measured on the
validation images, from the fitted head, before they are used.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from headstart.base.errors import EngineError
from headstart.base.events import unheard
from headstart.base.optional import installed
from headstart.base.runtime import has_bfloat16, has_int8
from headstart.features.engines.prepare import Ready, Wish
from headstart.methods.batches import PLAIN_EPOCH
from headstart.methods.sources import PixelBatches, StreamedBatches

LEAST_IMAGES_TRIED = 2000
"""Runs of the frozen part below which preparing another engine costs more time than it saves."""
MAY_LOSE = 0.005
FASTER = 1.1
TIMED_IMAGES = 64

Rightness = Callable[[Ready], np.ndarray]
"""A frozen part to how right each validation image is behind it, 0 to 1 (n,)."""


def named(wish: Wish) -> str:
    """Engine and precision in one word."""
    return f"{wish.engine}/{wish.precision}"


def candidates(engine: str, wished: str) -> tuple[list[Wish], dict[str, str]]:
    """What could serve in place of `engine` in float32, and why the rest could not.

    Parameters
    ----------
    engine : str
        That serves in float32; a GPU, or torch where a network cannot be exported, has no rival.
    wished : {"auto", "float32"}
        "float32": no fewer bits.
    """
    if engine != "onnxruntime":
        return [], {"others": f"the engine is {engine}"}
    turbo, why = installed("openvino"), {}
    if not turbo:
        why["openvino"] = "it is not installed (extra turbo)"
    found = [Wish("openvino", "float32")] if turbo else []
    if wished == "float32":
        return found, why
    if turbo and has_bfloat16():
        found.append(Wish("openvino", "bfloat16"))
    elif turbo:
        why["bfloat16"] = "this processor has no bfloat16"
    if has_int8():
        found += [Wish(each, "int8") for each in ("onnxruntime", *(["openvino"] if turbo else []))]
    else:
        why["int8"] = "this processor has no int8 arithmetic that is quick and exact (VNNI)"
    return found, why


def fastest(
    ready: Ready,
    wished: str,
    open_runner: Callable[[Wish], Ready],
    pixels: PixelBatches,
    rightness: Rightness | None,
) -> dict[str, Any]:
    """The fastest engine and precision that may serve.

    Parameters
    ----------
    ready : Ready
        Serves in float32.
    wished : {"auto", "float32"}
    open_runner : callable
        A wish to its runner, compared with torch; EngineError where it misses its bound or cannot be made.
    pixels : PixelBatches
        Images for the rates.
    rightness : callable, optional
        None where there are no validation images or no fitted head: then fewer bits are not tried.

    Returns
    -------
    dict
        JSON-like: `used` ("engine/precision"), `images_per_second`, `accuracy` on the validation images, `refused`
        (why), `seconds`.
    """
    start = time.perf_counter()
    own = Wish(ready.facts.engine, "float32")
    wishes, why = candidates(own.engine, wished)
    if rightness is None and any(each.precision != "float32" for each in wishes):
        why["fewer bits"] = "without validation images and a fitted head their cost cannot be measured"
        wishes = [each for each in wishes if each.precision == "float32"]
    found: dict[Wish, Ready] = {}
    for wish in wishes:
        try:
            with unheard():
                found[wish] = open_runner(wish)
        except (EngineError, RuntimeError) as error:
            why[named(wish)] = str(error)
    rates = {own: rate_of(ready, pixels)} if found else {}
    rates |= {wish: rate_of(each, pixels) for wish, each in found.items()}
    facts: dict[str, Any] = {
        "images_per_second": {named(wish): rate for wish, rate in rates.items()}, "accuracy": {}, "refused": why,
    }  # fmt: skip
    used = _first_allowed(own, {own: ready, **found}, rates, rightness, facts)
    return {"used": named(used), **facts, "seconds": time.perf_counter() - start}


def _first_allowed(
    own: Wish,
    found: dict[Wish, Ready],
    rates: dict[Wish, float],
    rightness: Rightness | None,
    facts: dict[str, Any],
) -> Wish:
    """From the fastest down: the first that costs no accuracy, and is worth its preparation."""
    fine: np.ndarray | None = None
    for wish in sorted(rates, key=lambda each: -rates[each]):
        if wish == own or rates[wish] <= FASTER * rates[own]:
            return own
        if wish.precision == "float32":
            return wish
        assert rightness is not None
        if fine is None:
            fine = rightness(found[own])
            facts["accuracy"][named(own)] = float(fine.mean())
        coarse = float(rightness(found[wish]).mean())
        facts["accuracy"][named(wish)] = coarse
        if float(fine.mean()) - coarse <= max(MAY_LOSE, 1 / len(fine)):
            return wish
        facts["refused"][named(wish)] = "it costs accuracy on the validation images"
    return own


def rate_of(ready: Ready, pixels: PixelBatches) -> float:
    """Images a second of a frozen part on some images in memory."""
    sample = pixels.pixels(np.arange(min(TIMED_IMAGES, pixels.n)), PLAIN_EPOCH)
    stream = StreamedBatches(pixels, ready.runner, ())
    stream.run(sample)  # every worker has its own request, made at its first call
    start = time.perf_counter()
    stream.run(sample)
    return len(sample) / (time.perf_counter() - start)
