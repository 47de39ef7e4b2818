"""Which paper stands behind each method, metric and test, by the names that studies use.

A test fails where something that is shipped has neither a paper here nor a reason in `WITHOUT_PAPER`.
"""

from __future__ import annotations

import re
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
    "kappa": ("cohen1968",),
}
TESTS: Mapping[str, tuple[str, ...]] = {
    "mcnemar": ("mcnemar1947", "fagerland2013"),
    "corrected_t": ("nadeau2003", "bouckaert2004"),
    "over_splits": ("bouthillier2021",),
    "over_folds": ("nadeau2003",),
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
    "rank_biserial": ("kerby2014",),
    "learning_curve": ("hestness2017",),
}
BACKBONES: Mapping[str, tuple[str, ...]] = {
    r"lenet": ("lecun1998",),
    r"alexnet": ("krizhevsky2012",),
    r"vgg\d": ("simonyan2015",),
    r"inception_?v1|googlenet": ("szegedy2014",),
    r"inception_?v3": ("szegedy2015",),
    r"efficientnet_(?!v2)": ("tan2019",),
    r"resnet\d": ("he2015",),
    r"vit_(?!so)": ("dosovitskiy2021",),
    r"swin_": ("liu2021",),
    r"convnext_": ("liu2022",),
}
"""By how the architecture's name begins, less "classic:" and "tf_" (a regular expression)."""
TRAINING: Mapping[str, tuple[str, ...]] = {
    "head_first": ("kumar2022",),
    "adamw": ("loshchilov2019",),
    "one_cycle": ("smith2017",),
    "cosine": ("loshchilov2016",),
    "range_test": ("smith2015",),
    "label_smoothing": ("szegedy2015",),
    "mixup": ("zhang2017",),
    "cutmix": ("yun2019",),
    "manifold_mixup": ("verma2019",),
    "ema": ("polyak1992",),
    "clip": ("pascanu2013",),
    "l2_sp": ("li2018",),
    "gradual": ("howard2018",),
    "layer_decay": ("howard2018",),
    "balance": ("buda2018",),
    "effective": ("cui2019",),
    "focal": ("lin2017",),
    "erase": ("zhong2020",),
    "dropout": ("srivastava2014",),
    "stochastic_depth": ("huang2016",),
    "swa": ("izmailov2018",),
    "sam": ("foret2021",),
    "soup": ("wortsman2022",),
    "distillation": ("hinton2015",),
    "progressive": ("tan2021",),
    "linear_scaling": ("he2019",),
    "zero_gamma": ("he2019",),
    "mirrored": ("krizhevsky2012",),
    "fixres": ("touvron2019",),
    "early_stopping": ("prechelt1998",),
    "rand_augment": ("cubuk2019",),
    "augmix": ("hendrycks2020",),
    "temperature": ("guo2017",),
}
"""By the names of `headstart.report.training_words.TECHNIQUES`."""
TRICKS: Mapping[str, tuple[str, ...]] = {name: TRICKS_DECLARED[name].papers for name in TRICKS_DECLARED}
RACES: Mapping[str, tuple[str, ...]] = {"successive_halving": ("jamieson2016",)}
"""What cuts methods under a budget."""
TUNERS: Mapping[str, tuple[str, ...]] = {
    "tpe": ("bergstra2011",),
    "hyperband": ("li2017",),
    "asha": ("li2020",),
}
SHARING: Mapping[str, tuple[str, ...]] = {"hard": ("caruana1997",), "soft": ("duong2015",)}
"""How several outputs share a network."""
WEIGHTING: Mapping[str, tuple[str, ...]] = {"uncertainty": ("kendall2018",), "dwa": ("liu2019",)}
"""What the loss of each output counts."""
OUTPUTS: Mapping[str, tuple[str, ...]] = {"ordinal": ("cao2020",)}
"""Kinds of output that have a network of their own design."""
SHIFTS: Mapping[str, tuple[str, ...]] = {"corruptions": ("hendrycks2019",), "folder": ("newcombe1998",)}
"""Other test images: how they are made, or how the loss on them gets its interval."""
TRANSFERABILITY: Mapping[str, tuple[str, ...]] = {
    "logme": ("you2021",),
    "h_score": ("bao2019", "ibrahim2021"),
    "nce": ("tran2019",),
    "leep": ("nguyen2020",),
}
POOLING: Mapping[str, tuple[str, ...]] = {"gem": ("radenovic2017",)}
SEARCH: Mapping[str, tuple[str, ...]] = {
    "whitened": ("jegou2012",),
    "expand": ("chum2007",),
    "hnsw": ("malkov2018",),
    "ivfpq": ("jegou2011",),
}
CLUSTERING: Mapping[str, tuple[str, ...]] = {
    "kmeans": ("arthur2007",),
    "quick_kmeans": ("arthur2007", "sculley2010", "newling2016"),
    "hdbscan": ("campello2013",),
    "agglomerative": ("ward1963",),
    "spectral": ("luxburg2007",),
}
CLUSTER_NUMBER: Mapping[str, tuple[str, ...]] = {
    "modularity": ("newman2004",),
    "silhouette": ("rousseeuw1987",),
    "gap": ("tibshirani2001",),
    "stability": ("benhur2002",),
}
CLUSTER_SCORES: Mapping[str, tuple[str, ...]] = {
    "silhouette": ("rousseeuw1987",),
    "davies_bouldin": ("davies1979",),
    "stability": ("benhur2002",),
    "nmi": ("rosenberg2007",),
    "ari": ("hubert1985",),
    "v_measure": ("rosenberg2007",),
    "homogeneity": ("rosenberg2007",),
    "completeness": ("rosenberg2007",),
}
MAPS: Mapping[str, tuple[str, ...]] = {
    "umap": ("mcinnes2018",),
    "tsne": ("maaten2008",),
    "trustworthiness": ("venna2001",),
    "continuity": ("venna2001",),
}
EXPLANATIONS: Mapping[str, tuple[str, ...]] = {
    "gradcam": ("selvaraju2017",),
    "gradcam++": ("chattopadhyay2018",),
    "layercam": ("jiang2021",),
    "eigencam": ("muhammad2020",),
    "integrated_gradients": ("sundararajan2017",),
    "occlusion": ("zeiler2014",),
    "random_weights": ("adebayo2018",),
    "deletion": ("petsiuk2018",),
    "channels": ("zeiler2014",),
    "cka": ("kornblith2019b",),
    "landscape": ("li2018b",),
}
DATASETS: Mapping[str, tuple[str, ...]] = {
    "textiles": ("megahed2025",),
    "elpv": ("deitsch2019",),
    "fashion_mnist": ("xiao2017",),
    "mnist": ("lecun1998",),
}
"""By the names of `headstart.report.published.identity`."""
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
    "cliffs_delta": "not used in reports",
    "a12": "not used in reports",
    "discordant_odds": "a ratio of counts",
    "separate": "a network an output: the baseline",
    "fixed": "weights that the user gives",
    "none": "no trial is given up",
    "avg": "a mean",
    "max": "a maximum",
    "avg+std": "a mean and a standard deviation",
    "flat": "every position as it is",
    "pca": "principal components, in every textbook",
    "purity": "a share, defined on the page",
}


def backbone_papers(architecture: str, trained_on: str) -> tuple[str, ...]:
    """Papers of a backbone and of what it was trained on; () where none is curated."""
    name = re.sub(r"^(classic:|tf_)+", "", architecture.casefold())
    found = [key for begin, keys in BACKBONES.items() if re.match(begin, name) for key in keys]
    found += [key for part, keys in PRETRAINING.items() if part in trained_on.casefold() for key in keys]
    return tuple(found)
