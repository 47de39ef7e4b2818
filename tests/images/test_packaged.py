"""Packaged sets by name: what the card says is what is loaded."""

import importlib.util
import sys

import pytest

from headstart.base.errors import MissingPackage, UnknownName
from headstart.images.packaged import DATASETS
from headstart.images.scan import scan


@pytest.mark.parametrize("name", ["textiles", "elpv", "digits"])
def test_the_card_says_what_is_loaded(name):
    card = DATASETS[name]
    package = {"textiles": "conformal_clip_data", "elpv": "elpv_dataset", "digits": "sklearn"}[name]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    table = scan(name)
    assert len(table) == card.n_images
    assert table.targets == card.targets
    assert table.classes() == tuple(sorted(card.classes))
    assert table.splits is None
    assert table.problems == ()
    assert card.licence in table.source
    assert package not in sys.modules or name == "digits"


def test_both_labels_of_the_solar_cells_are_kept():
    pytest.importorskip("elpv_dataset", reason="extra elpv")
    table = scan("elpv", label_columns=["probability", "defect"])
    assert table.targets == ("probability", "defect")
    for probability, defect in zip(table.labels["probability"], table.labels["defect"], strict=True):
        assert defect == ("defective" if probability in ("2/3", "1") else "functional")
    assert table.classes("probability") == ("0", "1", "1/3", "2/3")


def test_an_absent_package_is_answered_with_the_install_line(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for name, extra in (("textiles", "demo"), ("elpv", "elpv")):
        with pytest.raises(MissingPackage, match=rf"pip install 'headstart\[{extra}\]'"):
            DATASETS[name].load()


def test_an_unknown_name_is_answered_with_near_ones():
    with pytest.raises(UnknownName, match="textiles"):
        scan("packaged:textile")
