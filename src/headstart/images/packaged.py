"""Data sets that arrive as Python packages, by name; their code is not run, only their files are read."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from headstart.base.errors import DataError, MissingPackage
from headstart.base.registry import Registry
from headstart.images.collect import Row, build_table
from headstart.images.table import ImageTable


@dataclass(frozen=True)
class DatasetCard:
    """What is known of a data set before it is loaded.

    Attributes
    ----------
    name, title : str
    n_images : int
    classes : tuple of str
        Of the default target.
    targets : tuple of str
        Label columns; the first is the default.
    licence, citation : str
    extra, package : str
        Extra of Headstart that installs it, and the package that it brings ("" where it is always there).
    load : callable
        Gives the image table.
    """

    name: str
    title: str
    n_images: int
    classes: tuple[str, ...]
    targets: tuple[str, ...]
    licence: str
    citation: str
    extra: str
    load: Callable[[], ImageTable]
    package: str = ""

    @property
    def source(self) -> str:
        """Where the data is from, as one sentence."""
        return f"{self.title}. {self.citation} Licence: {self.licence}."


DATASETS: Registry[DatasetCard] = Registry("data set")


def package_folder(package: str, *, extra: str, purpose: str) -> Path:
    """Folder of an installed package, found without importing it.

    Raises
    ------
    MissingPackage
        With the install line.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingPackage(package, extra, purpose)
    return Path(next(iter(spec.submodule_search_locations)))


def load_textiles() -> ImageTable:
    """Simulated textiles: nominal, local defect, global defect."""
    folder = package_folder("conformal_clip_data", extra="demo", purpose="the data set 'textiles'")
    root = folder / "data" / "textile_images" / "simulated"
    _must_exist(root, "conformal-clip-data")
    rows = [
        Row(path.relative_to(root).as_posix(), (name,))
        for name in DATASETS["textiles"].classes
        for path in sorted((root / name).glob("*.jpg"))
    ]
    return build_table(
        root, rows, (), name="textiles", targets=("label",), on_bad="fail", source=DATASETS["textiles"].source
    )


def load_elpv() -> ImageTable:
    """Solar cells: `defect` (probability above one half), `probability` in thirds, `type` of the module."""
    folder = package_folder("elpv_dataset", extra="elpv", purpose="the data set 'elpv'")
    root = folder / "data"
    _must_exist(root / "labels.csv", "elpv-dataset")
    rows = []
    for line in (root / "labels.csv").read_text(encoding="utf-8").splitlines():
        if not line.strip():
            continue
        path, probability, kind = line.split()
        value = float(probability)
        defect = "defective" if value > 0.5 else "functional"
        rows.append(Row(path, (defect, ("0", "1/3", "2/3", "1")[round(value * 3)], kind)))
    return build_table(
        root,
        rows,
        (),
        name="elpv",
        targets=("defect", "probability", "type"),
        on_bad="fail",
        source=DATASETS["elpv"].source,
    )


def load_digits() -> ImageTable:
    """Handwritten digits of 8 x 8 pixels; their 17 grey levels are spread over 0..255."""
    import numpy as np
    from sklearn.datasets import load_digits as from_sklearn

    from headstart.images.arrays import array_table

    bunch = from_sklearn()
    pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    labels = {"label": tuple(str(digit) for digit in bunch.target)}
    return array_table("digits", {"": pixels}, {"": labels}, source=DATASETS["digits"].source)


def _must_exist(path: Path, package: str) -> None:
    if not path.exists():
        raise DataError(f"{path} is missing; reinstall the package {package}")


DATASETS.add(
    "textiles",
    DatasetCard(
        name="textiles",
        title="Simulated textile images with local and global defects",
        n_images=2000,
        classes=("nominal", "local", "global"),
        targets=("label",),
        licence="MIT",
        citation="Megahed et al. (2025), arXiv:2501.12596 (package conformal-clip-data).",
        extra="demo",
        load=load_textiles,
        package="conformal_clip_data",
    ),
)
DATASETS.add(
    "elpv",
    DatasetCard(
        name="elpv",
        title="Electroluminescence images of functional and defective solar cells",
        n_images=2624,
        classes=("defective", "functional"),
        targets=("defect", "probability", "type"),
        licence="CC-BY-NC-SA-4.0",
        citation="Buerhop-Lutz et al. (2018), EU PVSEC; Deitsch et al. (2019), Solar Energy 185, 455-468.",
        extra="elpv",
        load=load_elpv,
        package="elpv_dataset",
    ),
)
DATASETS.add(
    "digits",
    DatasetCard(
        name="digits",
        title="Optical recognition of handwritten digits, 8 x 8 pixels",
        n_images=1797,
        classes=tuple("0123456789"),
        targets=("label",),
        licence="CC-BY-4.0",
        citation="Alpaydin and Kaynak (1998), UCI Machine Learning Repository (in scikit-learn).",
        extra="",
        load=load_digits,
    ),
)
