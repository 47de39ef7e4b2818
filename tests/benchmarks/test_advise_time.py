"""The benchmark of the adviser's time runs on any folder and says its bar."""

import sys
from pathlib import Path

import pytest

from headstart.testing.images import class_folders

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def advise_time(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    for name in ("advise_time", "bars"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import advise_time

    yield advise_time
    for name in ("advise_time", "bars"):
        sys.modules.pop(name, None)


def test_it_times_the_whole_command_and_says_its_bar(advise_time, tmp_path, monkeypatch, capfd):
    photos = class_folders(tmp_path / "photos", n_per_class=4)
    monkeypatch.setattr(advise_time, "reference_rate", lambda: 16.0)
    monkeypatch.setattr(sys, "argv", ["advise_time.py", "--data", str(photos)])
    with pytest.raises(SystemExit):  # how long it takes says how busy the machine is
        advise_time.main()
    said = capfd.readouterr().out
    assert "12 images to learn from, measured on 12" in said and "s by its own clock" in said
    assert "plain bar 120 s" in said and "bar: <= 120 s" in said
