"""What every command has in common: help, errors in one line, exit status, no heavy imports."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import headstart
from headstart.cli import main as entry
from headstart.cli.main import main

VERBS = ("study", "fit", "evaluate", "predict", "export", "features", "datasets", "backbones")
HEAVY = ("torch", "numpy", "sklearn", "timm", "onnxruntime", "PIL", "pyarrow", "rich")


def python(code: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, **options
    )


def test_help_of_every_verb_loads_no_heavy_package():
    code = f"""
import sys
from headstart.cli.main import main
for verb in {VERBS!r}:
    assert main([verb, "--help"]) == 0
assert main(["--help"]) == main(["cache", "--help"]) == main(["cache", "clear", "--help"]) == main([]) == 0
print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    ran = python(code)
    assert ran.stderr == "[]\n"


@pytest.mark.parametrize("verb", [*((each,) for each in VERBS), ("cache", "list"), ("cache", "clear")])
def test_every_verb_shows_an_example(run, verb):
    ran = run(*verb, "--help")
    assert ran.status == 0
    assert f"  headstart {' '.join(verb)}" in ran.out.split("Examples:")[1]
    assert "--json" in ran.out


def test_version_is_printed(run):
    assert run("--version").out == f"headstart {headstart.__version__}\n"


def test_without_a_verb_the_help_is_shown(run):
    assert "Commands:" in run().out


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["fit", "--nonsense"], ["predict"], ["study", "--seeds", "x"]]
)
def test_a_mistyped_command_is_one_line_and_status_2(run, arguments):
    ran = run(*arguments)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("headstart: error: ")
    assert ran.err.count("\n") == 1
    assert "--help" in ran.err


def test_a_fault_of_headstart_is_one_line_and_status_1(run, monkeypatch):
    monkeypatch.setattr("headstart.backbones.catalog.list_backbones", lambda pattern: 1 / 0)
    ran = run("backbones")
    assert ran.status == 1
    assert (
        ran.err == "headstart: error: ZeroDivisionError: division by zero (run with --debug to see where)\n"
    )


def test_debug_shows_the_traceback_wherever_it_stands(run, tmp_path):
    for arguments in (
        ("--debug", "evaluate", tmp_path, tmp_path),
        ("evaluate", tmp_path, tmp_path, "--debug"),
    ):
        ran = run(*arguments)
        assert ran.status == 2
        assert "Traceback" in ran.err
        assert ran.err.splitlines()[-1].startswith("headstart: error: ")


def test_ctrl_c_is_one_line_and_status_130(run, monkeypatch):
    def stop(pattern):
        raise KeyboardInterrupt

    monkeypatch.setattr("headstart.backbones.catalog.list_backbones", stop)
    ran = run("backbones")
    assert ran.status == 130
    assert ran.err.strip().splitlines() == ["headstart: stopped; the same command goes on with what is kept"]


def test_a_reader_who_leaves_ends_the_command_quietly():
    code = "import sys\nfrom headstart.cli.main import main\nsys.exit(main(['backbones', '--json']))"
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        ran = subprocess.run(
            [sys.executable, "-c", code], stdout=pipe, stderr=subprocess.PIPE, text=True, timeout=300
        )
    assert ran.returncode == 141
    assert ran.stderr == ""


def test_a_warning_is_told_once(capsys):
    from headstart.base.events import warn
    from headstart.cli.screen import shown

    with shown():
        warn("low \x1b[31mlight")
        warn("low \x1b[31mlight")
    assert capsys.readouterr().err == "headstart: warning: low \\x1b[31mlight\n"


def test_the_installed_command_is_this_one():
    ran = subprocess.run(
        [Path(sys.executable).parent / "headstart", "--version"], capture_output=True, text=True, timeout=300
    )
    assert ran.stdout == f"headstart {headstart.__version__}\n"
    assert entry.main is main


def test_the_package_as_a_command_has_the_same_exit_status():
    done = subprocess.run(
        [sys.executable, "-m", "headstart", "fit", "nowhere"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith("headstart: error: ")
