"""Situations for tests of the adviser."""

from __future__ import annotations

from headstart.study.situation import Likeness, Probe, Situation, Transfer

LAYERS = ("stage4", "stage5", "stage6", "stage7", "pool")
HEADS = ("logistic", "lda", "linear_svm", "ridge")


def tiny_situation(
    best: str = "stage6",
    *,
    n: int = 600,
    distance: float = 0.3,
    peak: float = 0.85,
    drop: float = 0.05,
    n_measured: int = 0,
    backbone: str = "lite0",
) -> Situation:
    """A situation whose probes fall by `drop` a layer from `best`, the same for every head."""
    probes = tuple(
        Probe(
            backbone,
            layer,
            len(LAYERS) - 1 - at,
            head,
            peak - drop * abs(at - LAYERS.index(best)),
            0.1,
        )
        for at, layer in enumerate(LAYERS)
        for head in HEADS
    )
    return Situation(
        name="tiny",
        target="label",
        n=n,
        n_test=200,
        class_counts=(("<b>cats</b>", n - n // 2), ("dogs", n // 2)),
        n_measured=n_measured or min(n, 1000),
        likeness=Likeness(distance, 0.3, 0.5, 0.1, 160),
        probes=probes,
        transfers=(Transfer(backbone, 0.8, 0.82, 0.1, 1.2, -0.4, -0.5, 0.883, 100.0),),
        curve=((120, 0.78), (240, 0.81), (480, 0.84)),
        slope=0.03,
        seconds=12.0,
    )
