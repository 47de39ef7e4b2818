"""What each number of the report means: one sentence and one formula each."""

from __future__ import annotations

from headstart.report.document import Section, formula_entry, plain_table
from headstart.report.formula import Formula, call, frac, made, row, sign, square, sub, total
from headstart.study.retrieval import K

Told = tuple[str, str, Formula]
"""A metric: its name, a sentence, its formula."""
IMAGE = sign("i")
HAT, TRUE = sub(made("hat", "y"), "i"), sub("y", "i")
GIVEN = call(sub("p", "i"), TRUE)
OFF, SHARE = row(HAT, "−", TRUE), frac("1", "n")
ERRORS = total("i", square(made("group", OFF)))
SPREAD = total("i", square(made("group", row(TRUE, "−", made("bar", "y")))))
BY_CHANCE = total("i", total("j", square(made("group", row(HAT, "−", sub("y", "j"))))))
SAID = (HAT, " what was said of image ", IMAGE, " and ", TRUE, " the truth")
WITHIN = frac(row(square("t"), square("S")), "m")
GAIN, RANK = sub("g", "r"), call(sub("log", "2"), row("r", "+", "1"))

METRICS: tuple[Told, ...] = (
    ("accuracy", "Share of the test images that are named rightly.", (frac("right", "n"),)),
    (
        "balanced accuracy",
        "Mean over classes of recall, so that small classes count as much as large ones.",
        (row(frac("1", "k"), total("c", frac(sub("right", "c"), sub("n", "c")))),),
    ),
    (
        "precision, recall, F1",
        "Of the images called c, the share that is c; of the images that are c, the share that is called c; "
        "the harmonic mean of the two.",
        (
            row(sub("F", "1"), "=", frac(row("2", "P", "R"), row("P", "+", "R"))),
            ", ",
            sign("P"),
            " precision and ",
            sign("R"),
            " recall",
        ),
    ),
    ("macro F1", "Mean of F1 over classes.", (row(frac("1", "k"), total("c", call(sub("F", "1"), "c"))),)),
    (
        "log loss",
        "What the stated probabilities cost: small when the true class was given a high one; "
        "0 is perfect, ln k is what equal probabilities for all classes give.",
        (
            made("minus", row(SHARE, total("i", row("ln", GIVEN)))),
            ", ",
            GIVEN,
            " the probability given for ",
            TRUE,
            ", the class of image ",
            IMAGE,
        ),
    ),
    (
        "ECE",
        "Expected calibration error: how far the stated probability is from the share of right answers, "
        "in 15 bins of equal width.",
        (
            total("b", row(frac(sub("n", "b"), "n"), made("size", row(sub("a", "b"), "−", sub("q", "b"))))),
            ", in bin ",
            sign("b"),
            " of ",
            sub("n", "b"),
            " images: ",
            sub("a", "b"),
            " the share right, ",
            sub("q", "b"),
            " the mean probability",
        ),
    ),
    (
        "95 % interval",
        "Where the score would mostly lie with other test images (and other seeds, where there are several).",
        (
            "one run: Wilson for accuracy, bootstrap over test images for the rest; ",
            sign("m"),
            " seeds: ",
            row("mean", "∓", made("root", row(square("w"), "+", WITHIN))),
            ", ",
            sign("w"),
            " the mean distance to the end of the runs' own intervals, ",
            sign("S"),
            " the standard deviation over seeds, ",
            sign("t"),
            " Student's 97.5 % quantile with ",
            row("m", "−", "1"),
            " degrees of freedom",
        ),
    ),
    (
        "choosing score",
        "Accuracy on the validation split or on inner folds of train. Less one standard error (the lower end of Wilson's "
        "interval at z = 1) it is the only number that picks the best.",
        (frac("right", "n"), ", on images outside test"),
    ),
    (
        "seconds",
        "Wall-clock time: extract is the pass of the backbone over all images, shared by every method on it; "
        "fit and predict are the head's own. Methods are compared by the sum.",
        ("measured",),
    ),
    ("peak memory", "The most memory that the process held during the run.", ("measured",)),
    ("model size", "Bytes of the backbone's weights and of the fitted head.", ("measured",)),
)
MEASURED = ("seconds", "peak memory", "model size")
"""Metrics that no formula gives."""


SEVERAL: tuple[Told, ...] = (
    (
        "all right at once",
        "Share of the images with every label whose outputs are all right; several labels are right where each is.",
        (frac("right in every output", "n"),),
    ),
    (
        "micro F1",
        "F1 of all yes-or-no answers of a multi-label output at once.",
        (frac(row("2", "hits"), row("labels", "+", "said")),),
    ),
    (
        "mAP",
        "Mean over labels of average precision, whatever the thresholds.",
        (
            total(
                "j",
                row(sub("P", "j"), made("group", row(sub("R", "j"), "−", sub("R", row("j", "−", "1"))))),
            ),
            ", ",
            sub("P", "j"),
            " precision and ",
            sub("R", "j"),
            " recall at threshold ",
            sign("j"),
        ),
    ),
    ("Hamming loss", "Share of labels that are wrong.", (frac("wrong", row("n", "k")),)),
    (
        "levels off",
        "Mean absolute error of the most probable level of an ordinal output, in levels.",
        (row(SHARE, total("i", made("size", OFF))), ", ", *SAID),
    ),
    (
        "weighted kappa",
        "Agreement of ordered levels beyond chance, far errors counting more; 0 is chance, 1 perfect.",
        (row("1", "−", frac(row("n", ERRORS), BY_CHANCE)),),
    ),
    (
        "MAE, RMSE",
        "Mean absolute and root mean squared error, in the unit of the column.",
        (
            row(SHARE, total("i", made("size", OFF))),
            " and ",
            made("root", row(SHARE, ERRORS)),
        ),
    ),
    (
        "R²",
        "Share of the variance of a number that is explained.",
        (row("1", "−", frac(ERRORS, SPREAD)),),
    ),
    (
        "Spearman",
        "Correlation of ranks.",
        (
            frac(call("cov", "r", "s"), row(call("sd", "r"), call("sd", "s"))),
            ", ",
            sign("r"),
            " and ",
            sign("s"),
            " the ranks of truth and answer, ties at their mean",
        ),
    ),
    (
        "slope, bias",
        "Calibration of numbers: truth regressed on the answer, and mean error; 1 and 0 if calibrated.",
        (
            frac(call("cov", made("hat", "y"), "y"), call("var", made("hat", "y"))),
            " and ",
            row(SHARE, total("i", made("group", OFF))),
        ),
    ),
    (
        "errors together",
        "Whether errors of two outputs fall on the same images: odds of an error in one where the other errs, over "
        "those elsewhere.",
        (
            "conditional estimate of ",
            frac(row(sub("n", "11"), sub("n", "00")), row(sub("n", "10"), sub("n", "01"))),
            ", counts of images wrong in both, in none and in one alone; exact interval, Fisher's exact test",
        ),
    ),
)
FOUND = (
    ", ",
    sub("h", "r"),
    " the hits among the first ",
    sign("r"),
    ", ",
    sign("R"),
    " the images of the class",
)
SEARCH: dict[str, Formula] = {
    "map": (
        row(frac("1", "R"), total("r", row(GAIN, frac(sub("h", "r"), "r")))),
        ", ",
        GAIN,
        " is 1 where image ",
        sign("r"),
        " of the ranking is a hit, else 0",
        *FOUND,
    ),
    "precision_at_k": (frac(sub("h", str(K)), str(K)),),
    "recall_at_k": (frac(sub("h", str(K)), "R"),),
    "r_precision": (frac(sub("h", "R"), "R"),),
    "ndcg": (frac(total("r", frac(GAIN, RANK)), total(row("r", "≤", "R"), frac("1", RANK))),),
}
"""The formulas of a search, by the names of `headstart.measure.retrieval.METRICS`."""


def metrics_section(*, several: bool = False) -> Section:
    """Each metric in one sentence with its formula; those of several outputs too, where there are some."""
    caption = "By formula, for n images of k classes."
    rows = [
        (name, said, formula_entry(formula))
        for name, said, formula in (*METRICS, *(SEVERAL if several else ()))
    ]
    table = plain_table("formulas", caption, ("metric", "meaning", "formula"), rows)
    return Section("metrics", "Notes on metrics", (table,))
