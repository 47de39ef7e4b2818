"""Imports in another thread, and imports that do not find some modules."""

from __future__ import annotations

import sys
import threading
from importlib import import_module
from pathlib import Path

import pytest

from headstart.base.early import import_without, meanwhile


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wished_for.py").write_text("here = True\n")
    (tmp_path / "asks_for_it.py").write_text(
        "import threading\n"
        "try:\n    import wished_for\nexcept ImportError:\n    wished_for = None\n"
        "from elsewhere import found\n"
    )
    (tmp_path / "elsewhere.py").write_text(
        "import threading\nfound = []\n"
        "def look():\n    import wished_for\n    found.append(wished_for.here)\n"
        "other = threading.Thread(target=look)\nother.start()\nother.join()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in ("wished_for", "asks_for_it", "elsewhere"):
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("packages")
def test_a_module_is_hidden_from_the_importing_thread_alone_and_only_while_it_imports():
    before = list(sys.meta_path)
    module = import_without("asks_for_it", "wished_for")
    assert module.wished_for is None
    assert module.found == [True]
    assert sys.meta_path == before
    assert import_module("wished_for").here


@pytest.mark.usefixtures("packages")
def test_what_is_loaded_already_is_not_taken_away():
    wanted = import_module("wished_for")
    assert import_without("asks_for_it", "wished_for").wished_for is wanted


def test_an_import_that_fails_leaves_no_finder_behind():
    before = list(sys.meta_path)
    with pytest.raises(ModuleNotFoundError):
        import_without("no_such_module_anywhere", "torch")
    assert sys.meta_path == before


def test_what_is_loaded_beside_the_block_may_fail_and_is_left_to_whoever_wants_the_module():
    started, threads = threading.Event(), []

    def load() -> None:
        threads.append(threading.get_ident())
        started.set()
        import_module("no_such_module_anywhere")

    with meanwhile(load):
        assert started.wait(30)
    assert threads != [threading.get_ident()]
