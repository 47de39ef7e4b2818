"""What a study could have seen: the smallest difference that its size would find four times in five.

McNemar's test: Connor (1987, Biometrics 43). Resampled t: the non-central t distribution. Signed-rank test
over data sets: simulation. A test that sees nothing means little where it could have seen little.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from headstart.base.errors import UsageError
from headstart.measure.cannot_tell import CannotTell

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ALPHA, POWER = 0.05, 0.8
N_STUDIES = 2000
WIDEST_SHIFT = 16.0


def smallest_paired(
    n_images: int, differing: float, *, alpha: float = ALPHA, power: float = POWER
) -> float | CannotTell:
    """Smallest difference of accuracy that McNemar's test finds with a chance of `power`.

    Parameters
    ----------
    n_images : int
        Test images.
    differing : float
        Share of images that one method has right and the other wrong, 0 to 1.
    alpha, power : float
        Level of the two-sided test; chance of finding the difference.

    Returns
    -------
    float or CannotTell
        `CannotTell` where the methods differ on so few images that even all of them on one side would be
        found less often.

    Raises
    ------
    UsageError
        Numbers out of range.

    Examples
    --------
    >>> round(smallest_paired(1000, 0.1), 4)
    0.028
    """
    _check(alpha, power, n_images=n_images)
    if not 0 <= differing <= 1:
        raise UsageError(f"differing: a share of images, 0 to 1; got {differing}")

    z_alpha, z_power = _normal(alpha, power)
    limit, whole = z_alpha * math.sqrt(differing), n_images + z_power**2
    if differing == 0 or differing * math.sqrt(n_images) < _needed(differing, differing, alpha, power):
        n_differ = round(differing * n_images)
        some = f"only {n_differ}" if n_differ else "none"
        tell = "tells" if n_differ == 0 else "tell"
        return CannotTell(
            f"{some} of {n_images} images {tell} the methods apart, too few to see any difference"
        )
    # the d of d sqrt(n) = z_alpha sqrt(differing) + z_power sqrt(differing - d^2), squared and solved
    return (limit * math.sqrt(n_images) + z_power * math.sqrt(max(0.0, differing * whole - limit**2))) / whole


def images_needed(
    difference: float, differing: float, *, alpha: float = ALPHA, power: float = POWER
) -> int | CannotTell:
    """How many test images it takes to see a difference of accuracy.

    Parameters
    ----------
    difference : float
        Above 0, e.g. 0.02 for two points.
    differing, alpha, power
        As in `smallest_paired`.

    Returns
    -------
    int or CannotTell
        `CannotTell` where the methods differ on a smaller share of images than the difference itself.

    Raises
    ------
    UsageError
        Numbers out of range.

    Examples
    --------
    >>> images_needed(0.02, 0.1)
    1960
    """
    _check(alpha, power)
    if not (0 < difference <= 1 and 0 <= differing <= 1):
        raise UsageError(
            f"a difference above 0 and a share up to 1 are needed; got {difference}, {differing}"
        )
    if differing < difference:
        return CannotTell(
            f"methods that differ on {100 * differing:.1f} % of images cannot be {100 * difference:.1f} "
            "points apart"
        )
    return math.ceil((_needed(difference, differing, alpha, power) / difference) ** 2)


def _needed(difference: float, differing: float, alpha: float, power: float) -> float:
    z_alpha, z_power = _normal(alpha, power)
    return z_alpha * math.sqrt(differing) + z_power * math.sqrt(max(0.0, differing - difference**2))


def _normal(alpha: float, power: float) -> tuple[float, float]:
    """Standard errors to the limit of a two-sided test, and from there to the mean that reaches it with `power`."""
    from scipy.special import ndtri

    return -float(ndtri(alpha / 2)), float(ndtri(power))


def smallest_of_error(
    standard_error: float, degrees: float, *, alpha: float = ALPHA, power: float = POWER
) -> float:
    """Smallest difference that a t-test with this standard error finds with a chance of `power`.

    Parameters
    ----------
    standard_error : float
        Of the difference, 0 or more.
    degrees : float
        Degrees of freedom, above 0; infinite for a normal distribution.
    """
    _check(alpha, power)
    if standard_error < 0 or not degrees > 0:
        raise UsageError(
            f"a standard error and degrees of freedom are needed; got {standard_error}, {degrees}"
        )
    if math.isinf(degrees) or degrees > 1000:
        return standard_error * sum(_normal(alpha, power))
    from scipy.optimize import brentq
    from scipy.stats import nct, t

    limit = float(t.isf(alpha / 2, degrees))
    # the far side adds to the chance only where the shift is next to nothing
    found = brentq(lambda shift: float(nct.sf(limit, degrees, shift)) - power, 0.0, 4 * limit + 10)
    return standard_error * float(found)


def smallest_resampled(
    spread: float, n_splits: int, test_over_train: float, *, alpha: float = ALPHA, power: float = POWER
) -> float | CannotTell:
    """Smallest mean difference that the corrected resampled t-test finds with a chance of `power`.

    Parameters
    ----------
    spread : float
        Standard deviation over splits of the difference between the methods.
    n_splits : int
    test_over_train : float
        Test images over training images of a split.
    """
    _check(alpha, power)
    if n_splits < 2:
        return CannotTell("one split shows no spread over splits; two or more are needed")
    if spread < 0 or test_over_train <= 0:
        raise UsageError(f"spread of 0 or more, ratio above 0; got {spread} and {test_over_train}")
    error = spread * math.sqrt(1 / n_splits + test_over_train)
    return smallest_of_error(error, n_splits - 1.0, alpha=alpha, power=power)


def smallest_over_datasets(
    n_datasets: int, spread: float, generator: np.random.Generator, *, alpha: float = ALPHA,
    power: float = POWER, n_studies: int = N_STUDIES,
) -> float | CannotTell:  # fmt: skip
    """Smallest mean difference that the signed-rank test over data sets finds with a chance of `power`.

    Simulated: normal differences with a standard deviation of `spread` between data sets, the same
    `n_studies` draws shifted until the share of p-values below `alpha` reaches `power`.

    Returns
    -------
    float or CannotTell
        `CannotTell` for so few data sets that even full agreement has a p-value above `alpha`: fewer than 6 at
        0.05.

    Raises
    ------
    UsageError
        Numbers out of range.
    """
    _check(alpha, power, n_datasets=n_datasets)
    if spread < 0 or n_studies < 100:
        raise UsageError(f"spread of 0 or more, 100 studies or more; got {spread} and {n_studies}")
    if 2.0 ** (1 - n_datasets) >= alpha:
        return CannotTell(
            f"the signed-rank test over {n_datasets} data sets cannot reach p < {alpha:.3g} even where all agree"
        )
    noise = generator.normal(size=(n_studies, n_datasets))
    low, high = 0.0, WIDEST_SHIFT
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (low, middle) if _share_found(noise + middle, alpha) >= power else (middle, high)
    return spread * high


def _share_found(differences: Floats, alpha: float) -> float:
    from scipy.stats import wilcoxon

    return float((wilcoxon(differences, axis=1).pvalue < alpha).mean())


def _check(alpha: float, power: float, **counts: int) -> None:
    if not (0 < alpha < 1 and 0 < power < 1):
        raise UsageError(f"alpha and power lie between 0 and 1; got {alpha} and {power}")
    for name, n in counts.items():
        if n < 1:
            raise UsageError(f"{name}: at least 1 is needed, got {n}")
