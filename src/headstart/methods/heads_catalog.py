"""The heads by name, with what each is and where it is from: for help texts, plans and reports.

Standard library alone, so that `--help` and a finished study can name heads without loading scikit-learn.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HeadCard:
    """What a head is, in a line.

    `tuned` names what is chosen on validation or inner folds; a fit compares at most `most_tried` settings there.
    """

    name: str
    title: str
    tuned: tuple[str, ...]
    paper: str
    most_tried: int = 1

    @staticmethod
    def uses_seed(has_validation: bool) -> bool:
        """Whether a seed would change a fit: it draws the inner folds, and nothing else, of any head."""
        return not has_validation


HEAD_CARDS: dict[str, HeadCard] = {
    card.name: card
    for card in (
        HeadCard("logistic", "Logistic regression", ("C",), "Hastie et al. 2009, section 4.4", 9),
        HeadCard("linear_svm", "Linear SVM", ("C",), "Fan et al. 2008 (LIBLINEAR)", 9),
        HeadCard("rbf_svm", "RBF SVM", ("gamma", "C"), "Cortes & Vapnik 1995; Chapelle 2007", 11),
        HeadCard("knn", "k nearest neighbours", ("n_neighbors",), "Cover & Hart 1967; Wu et al. 2018", 10),
        HeadCard("nearest_mean", "Nearest class mean", (), "Mensink et al. 2013"),
        HeadCard("lda", "Linear discriminant analysis", ("shrinkage",), "Friedman 1989", 11),
        HeadCard("ridge", "Ridge classifier", ("alpha",), "Hoerl & Kennard 1970", 9),
    )
}
HEAD_NAMES: tuple[str, ...] = tuple(HEAD_CARDS)
