"""`headstart label` as a process: killed, stopped, started twice; and its mistakes, each one line."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from contextlib import contextmanager

import httpx
import pytest

from headstart.cli.main import main

QUICK = ("--layer", "stage5", "--input-size", "48", "--engine", "torch")


@pytest.fixture
def start():
    """`start(photos, ...)`: the command, once it serves, as process and address; killed when the test ends."""
    running = []

    def begin(photos, *more):
        child, address = started(photos, *more)
        running.append(child)
        return child, address

    yield begin
    for child in running:
        child.kill()
        child.wait()


def started(photos, *more):
    command = [sys.executable, "-m", "headstart.cli.main", "label", str(photos), *QUICK, *more]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in child.stderr:
        if found := re.search(r"label page: (\S+)", line):
            return child, found[1]
    raise AssertionError(f"no address; exit status {child.wait()}")


@contextmanager
def client(address):
    origin = address.split("/?")[0]
    with httpx.Client(base_url=origin, headers={"origin": origin}, timeout=30) as made:
        assert made.get(address).status_code == 303
        yield made


def test_killed_while_a_label_comes_in_nothing_that_was_told_is_lost(photos, start):
    child, address = start(photos, "--classes", "disc,square,stripes")
    with client(address) as asked:
        for row in range(25):
            assert asked.post("/label", json={"labels": {str(row): "disc"}}).status_code == 200
        second = subprocess.run(
            [sys.executable, "-m", "headstart.cli.main", "label", str(photos), "--classes", "a,b", "--out", f"{photos}-2"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert second.returncode == 2 and "is using" in second.stderr and second.stderr.count("\n") == 1
        child.send_signal(signal.SIGKILL)
        child.wait()
    child, address = start(photos, "--json", "--classes", "disc,square")
    with client(address) as asked:
        state = asked.get("/state.json").json()
        assert state["n_labelled"] == 25 and state["classes"] == ["disc", "square"]
        assert asked.post("/undo", json={}).status_code == 200
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=30)
    facts = json.loads(out)
    assert child.returncode == 0 and facts["n_labelled"] == 24 and facts["n"] == 60
    table = (photos.with_name("photos-labels") / "labels.csv").read_text()
    assert len(table.splitlines()) == 25
    assert (
        sorted(path.name for path in photos.iterdir())[0].endswith(".jpg")
        and len(list(photos.iterdir())) == 60
    )


@pytest.mark.parametrize(
    "given, said",
    [
        ((), "names no classes yet"),
        (("--classes", "cat"), "two or more are needed"),
        (("--classes", "Cat,cat"), "differ in case, spaces, hyphens or underscores alone"),
        (("--classes", "t-shirt,T Shirt"), "differ in case, spaces, hyphens or underscores alone"),
        (("--classes", "cat,cat,dog"), "given twice"),
        (("--classes", "a" * 201 + ",b"), "longer than 200"),
        (("--classes", "a\x07b,c"), "cannot be shown"),
        (("--classes", "a,b", "--classes-file", "x.txt"), "not from both"),
        (("--classes-file", "{tmp}/none.txt"), "none.txt"),
        (("--classes-file", "{photos}/disc-000.jpg"), "not UTF-8"),
        (("--classes", "a,b", "--out", "{photos}/labels"), "in the folder of the images"),
        (("--classes", "a,b", "--out", "{photos}/disc-000.jpg"), "disc-000.jpg"),
        (("--classes", "a,b", "--port", "70000"), "above 65535"),
    ],
)
def test_mistakes_are_one_line(photos, tmp_path, capsys, given, said):
    status = main(["label", str(photos), *[each.format(tmp=tmp_path, photos=photos) for each in given]])
    err = capsys.readouterr().err
    assert status == 2 and said in err and err.count("\n") == 1, err
    assert len(list(photos.iterdir())) == 60


def test_no_folder_and_no_images_are_one_line(tmp_path, capsys):
    for folder, said in ((tmp_path / "none", "no such folder"), (tmp_path, "no readable image")):
        assert main(["label", str(folder), "--classes", "a,b", "--out", str(tmp_path.with_name("out"))]) == 2
        assert said in capsys.readouterr().err
