"""The ground floor: errors that help, files whole or absent, one writer a folder, options declared once."""

import json
import subprocess
import sys
from dataclasses import dataclass

import pytest

from headstart.base.errors import BadOptions, Busy, HeadstartError, MissingPackage, UnknownName, UsageError
from headstart.base.events import Progress, collected_warnings, emit, listening, warn
from headstart.base.files import (
    folder_lock,
    folder_written_aside,
    plain_name,
    source_name,
    write_text,
    written_aside,
)
from headstart.base.hashing import digest_bytes, digest_file, digest_json
from headstart.base.optional import installed, require
from headstart.base.options import check, mistakes, option
from headstart.base.registry import Registry
from headstart.base.runtime import cache_folder, n_threads, peak_memory_bytes, versions


def test_an_unknown_name_brings_the_nearest_ones():
    error = UnknownName("head", "logistc", ["logistic", "knn"])
    assert "did you mean 'logistic'?" in str(error)
    assert isinstance(error, ValueError) and isinstance(error, HeadstartError)
    assert "known: a, b" in str(UnknownName("head", "zzz", ["b", "a"]))
    assert "20 are known" in str(UnknownName("head", "zzz", [f"name{i}" for i in range(20)]))


def test_a_missing_package_says_how_to_install_it():
    with pytest.raises(MissingPackage, match=r"pip install 'headstart\[turbo\]'") as caught:
        require("no_such_package_here", extra="turbo", purpose="the engine")
    assert isinstance(caught.value, ImportError) and isinstance(caught.value, UsageError)
    assert installed("json") and not installed("no_such_package_here")


def test_a_file_written_aside_is_whole_or_absent(tmp_path):
    path = write_text(tmp_path / "new" / "a.txt", "first")
    with pytest.raises(RuntimeError), written_aside(path) as aside:
        aside.write_text("half")
        raise RuntimeError
    assert path.read_text() == "first"
    assert [each.name for each in path.parent.iterdir()] == ["a.txt"]


def test_a_folder_written_aside_replaces_the_old_one_whole(tmp_path):
    place = tmp_path / "model"
    for content in ("one", "two"):
        with folder_written_aside(place) as aside:
            (aside / "card").write_text(content)
    with pytest.raises(RuntimeError), folder_written_aside(place) as aside:
        raise RuntimeError
    assert (place / "card").read_text() == "two"
    assert [each.name for each in tmp_path.iterdir()] == ["model"]


def test_a_folder_has_one_writer(tmp_path):
    code = "import sys\nfrom headstart.base.files import folder_lock\nwith folder_lock(sys.argv[1]): pass"
    with folder_lock(tmp_path):
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
        assert done.returncode and "another run (process" in done.stderr
        with pytest.raises(Busy), folder_lock(tmp_path):
            pass
    with folder_lock(tmp_path):
        assert json.loads((tmp_path / ".lock").read_text())["pid"]


def test_hashes_depend_on_content_alone(tmp_path):
    assert digest_bytes(b"ab", b"c") != digest_bytes(b"a", b"bc")
    assert digest_json({"a": 1, "b": 2}) == digest_json({"b": 2, "a": 1})
    for name in ("x", "y"):
        (tmp_path / name).write_bytes(b"same")
    assert digest_file(tmp_path / "x") == digest_file(tmp_path / "y")


def test_events_reach_every_listener_of_the_block_and_no_one_after():
    heard = []
    with listening(heard.append), collected_warnings() as warnings:
        emit(Progress("work", 1, 2))
        warn("twice")
        warn("twice")
    emit(Progress("work", 2, 2))
    assert len(heard) == 3 and warnings == ["twice"]


def test_all_mistakes_of_a_set_of_options_come_at_once():
    @dataclass(frozen=True)
    class Options:
        head: str = option("knn", "which head", choices=("knn", "lda"))
        seeds: int = option(3, "runs", low=1, high=5)
        sizes: tuple = option((), "sizes", low=16)
        nothing: str = option(None, "not set", choices=("a",))

    check(Options())
    wrong = mistakes(Options(head="kn", seeds=9, sizes=(4, 32)))
    assert len(wrong) == 3 and "did you mean 'knn'?" in wrong[0]
    with pytest.raises(BadOptions, match="seeds: 0 is below 1"):
        check(Options(seeds=0))
    with pytest.raises(TypeError):
        option([], "mutable")


def test_a_registry_takes_a_name_once():
    shapes = Registry("shape")
    shapes.register("square")(4)
    with pytest.raises(ValueError, match="registered already"):
        shapes.add("square", 5)
    with pytest.raises(UnknownName):
        shapes["sqare"]
    assert (
        "square" in shapes
        and shapes.names() == ("square",)
        and len(shapes) == 1
        and list(shapes) == ["square"]
    )


def test_the_machine_is_described(monkeypatch, tmp_path):
    assert n_threads() >= 1 and peak_memory_bytes() > 1e6
    assert {"python", "headstart", "torch"} <= set(versions())
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("HEADSTART_CACHE")
    assert cache_folder().name == "headstart"


def test_importing_headstart_loads_nothing_heavy():
    code = "import headstart, sys; print([n for n in ('torch', 'numpy', 'sklearn') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_of_the_package_can_be_had():
    import headstart

    for name in headstart.__all__:
        assert getattr(headstart, name)
    assert set(headstart.__all__) <= set(dir(headstart))
    with pytest.raises(AttributeError):
        headstart.no_such_name  # noqa: B018 - reading it is what is refused


def test_a_source_names_the_folder_of_its_runs(tmp_path, monkeypatch):
    (tmp_path / "my photos (2)").mkdir()
    monkeypatch.chdir(tmp_path / "my photos (2)")
    assert source_name(".") == source_name("../my photos (2)/") == "my-photos-2"
    assert plain_name("é b") == "é-b" and plain_name("é b", ascii_only=True) == "b" and plain_name("..") == ""
