"""What each number of the report means: one sentence and one formula each, in plain text."""

from __future__ import annotations

from headstart.report.document import Section, plain_table

METRICS = (
    ("accuracy", "Share of the test images that are named rightly.", "right / n"),
    (
        "balanced accuracy",
        "Mean over classes of recall, so that small classes count as much as large ones.",
        "(1/k) sum over classes c of right_c / n_c",
    ),
    (
        "precision, recall, F1",
        "Of the images called c, the share that is c; of the images that are c, the share that is called c; "
        "the harmonic mean of the two.",
        "F1 = 2 precision recall / (precision + recall)",
    ),
    ("macro F1", "Mean of F1 over classes.", "(1/k) sum over classes c of F1_c"),
    (
        "log loss",
        "What the stated probabilities cost: small when the true class was given a high one; "
        "0 is perfect, ln k is what equal probabilities for all classes give.",
        "-(1/n) sum over images i of ln p_i(true class)",
    ),
    (
        "ECE",
        "Expected calibration error: how far the stated probability is from the share of right answers, "
        "in 15 bins of equal width.",
        "sum over bins b of (n_b / n) |share right in b - mean probability in b|",
    ),
    (
        "95 % interval",
        "Where the score would mostly lie with other test images (and other seeds, where there are several).",
        "one run: Wilson for accuracy, bootstrap over test images for the rest; m seeds: mean -/+ "
        "sqrt(w^2 + t^2 S^2 / m), w the mean distance to the end of the runs' own intervals, S the standard "
        "deviation over seeds, t Student's 97.5 % quantile with m - 1 degrees of freedom",
    ),
    (
        "choosing score",
        "Accuracy on the validation split or on inner folds of train. Less one standard error (the lower end of Wilson's "
        "interval at z = 1) it is the only number that picks the best.",
        "right / n, on images outside test",
    ),
    (
        "seconds",
        "Wall-clock time: extract is the pass of the backbone over all images, shared by every method on it; "
        "fit and predict are the head's own. Methods are compared by the sum.",
        "measured",
    ),
    ("peak memory", "The most memory that the process held during the run.", "measured"),
    ("model size", "Bytes of the backbone's weights and of the fitted head.", "measured"),
)


SEVERAL = (
    (
        "all right at once",
        "Share of the images with every label whose outputs are all right; several labels are right where each is.",
        "right in every output / n",
    ),
    ("micro F1", "F1 of all yes-or-no answers of a multi-label output at once.", "2 hits / (labels + said)"),
    (
        "mAP",
        "Mean over labels of average precision, whatever the thresholds.",
        "sum of precision x gained recall",
    ),
    ("Hamming loss", "Share of labels that are wrong.", "wrong / (n k)"),
    (
        "levels off",
        "Mean absolute error of the most probable level of an ordinal output, in levels.",
        "(1/n) sum |said - true|",
    ),
    (
        "weighted kappa",
        "Agreement of ordered levels beyond chance, far errors counting more; 0 is chance, 1 perfect.",
        "1 - sum of squared distances / the same of answers that know only the shares",
    ),
    ("MAE, RMSE", "Mean absolute and root mean squared error, in the unit of the column.", "see the names"),
    (
        "R2",
        "Share of the variance of a number that is explained.",
        "1 - sum of squared errors / sum of squares",
    ),
    ("Spearman", "Correlation of ranks.", "Pearson's of the ranks, ties at their mean"),
    (
        "slope, bias",
        "Calibration of numbers: truth regressed on the answer, and mean error.",
        "1 and 0 if calibrated",
    ),
    (
        "errors together",
        "Whether errors of two outputs fall on the same images: odds of an error in one where the other errs, over "
        "those elsewhere.",
        "conditional odds ratio, exact interval; Fisher's exact test",
    ),
)


def metrics_section(*, several: bool = False) -> Section:
    """Each metric in one sentence with its formula; those of several outputs too, where there are some."""
    caption = "n images, k classes; p_i(c) is the probability that image i was given for class c."
    rows = (*METRICS, *(SEVERAL if several else ()))
    table = plain_table("formulas", caption, ("metric", "meaning", "formula"), rows)
    return Section("metrics", "Notes on metrics", (table,))
