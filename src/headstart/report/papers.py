"""Which paper stands behind each method, metric and test, by the names that studies use.

A test fails where something that is shipped has neither a paper here nor a reason in `WITHOUT_PAPER`.
"""

from __future__ import annotations

from collections.abc import Mapping

from headstart.methods.tricks.registry import TRICKS as TRICKS_DECLARED

HEADS: Mapping[str, tuple[str, ...]] = {
    "logistic": ("hastie2009",),
    "linear_svm": ("fan2008",),
    "rbf_svm": ("cortes1995",),
    "knn": ("cover1967",),
    "nearest_mean": ("mensink2013",),
    "lda": ("friedman1989",),
    "ridge": ("hoerl1970",),
}
SCENARIOS: Mapping[str, tuple[str, ...]] = {
    "features": ("donahue2014", "razavian2014"),
    "finetune": ("yosinski2014", "kumar2022"),
    "full": ("kornblith2019",),
    "scratch": ("he2018",),
    "retrieval": ("babenko2014",),
}
METRICS: Mapping[str, tuple[str, ...]] = {
    "balanced_accuracy": ("brodersen2010",),
    "macro_f1": ("sokolova2009",),
    "macro_precision": ("sokolova2009",),
    "macro_recall": ("sokolova2009",),
    "ece": ("naeini2015", "guo2017"),
    "ndcg": ("jarvelin2002",),
}
TESTS: Mapping[str, tuple[str, ...]] = {
    "mcnemar": ("mcnemar1947", "fagerland2013"),
    "corrected_t": ("nadeau2003",),
    "correlated_t": ("benavoli2017",),
    "signed_rank": ("benavoli2017",),
    "paired_bootstrap": ("efron1993",),
    "percentile_interval": ("efron1993",),
    "wilson": ("wilson1927",),
    "holm": ("holm1979",),
    "benjamini_hochberg": ("benjamini1995",),
    "friedman": ("demsar2006",),
    "nemenyi": ("demsar2006",),
    "wilcoxon": ("demsar2006", "benavoli2016"),
    "smallest_paired": ("connor1987",),
    "cohens_h": ("cohen1988",),
    "cohens_d": ("cohen1988",),
    "learning_curve": ("hestness2017",),
}
BACKBONES: Mapping[str, tuple[str, ...]] = {
    "efficientnet": ("tan2019",),
    "resnet": ("he2015",),
}
"""By a part of the architecture's name."""
TRAINING: Mapping[str, tuple[str, ...]] = {
    "adamw": ("loshchilov2019",),
    "label_smoothing": ("szegedy2015",),
    "mixup": ("zhang2017",),
    "manifold_mixup": ("verma2019",),
    "rand_augment": ("cubuk2019",),
    "augmix": ("hendrycks2020",),
    "temperature": ("guo2017",),
}
TRICKS: Mapping[str, tuple[str, ...]] = {name: TRICKS_DECLARED[name].papers for name in TRICKS_DECLARED}
DATASETS: Mapping[str, tuple[str, ...]] = {"textiles": ("megahed2025",)}
PRETRAINING: Mapping[str, tuple[str, ...]] = {"imagenet": ("russakovsky2015",)}

WITHOUT_PAPER: Mapping[str, str] = {
    "accuracy": "a share, defined in the report",
    "log_loss": "the negative mean log-likelihood, defined in the report",
    "map": "a textbook measure, defined in the report",
    "precision_at_k": "a share, defined in the report",
    "recall_at_k": "a share, defined in the report",
    "r_precision": "a share, defined in the report",
    "paired_accuracy": "McNemar's test for one run; for several seeds a t interval that the code describes",
    "over_seeds": "a t interval over seeds, defined in the report",
    "hedges_g": "not used in reports",
    "rank_biserial": "the page of its paper was not seen",
    "cliffs_delta": "not used in reports",
    "a12": "not used in reports",
    "discordant_odds": "a ratio of counts",
    **dict.fromkeys(
        ("one_cycle", "stochastic_depth", "ema", "layer_decay", "l2_sp"), "the page of its paper was not seen"
    ),
}


def backbone_papers(architecture: str, trained_on: str) -> tuple[str, ...]:
    """Papers of a backbone and of what it was trained on; () where none is curated."""
    found = [key for part, keys in BACKBONES.items() if part in architecture.casefold() for key in keys]
    found += [key for part, keys in PRETRAINING.items() if part in trained_on.casefold() for key in keys]
    return tuple(found)
