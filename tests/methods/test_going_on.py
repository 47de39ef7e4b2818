"""A run that is killed goes on and ends as if nothing had happened; two processes train as one."""

import os
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file

from headstart.images.scan import scan
from headstart.images.split import split_table
from headstart.methods.finetune import FineTuneClassifier
from headstart.methods.kept import finished, kept_until_done
from headstart.methods.loop import Loop
from headstart.testing.backbones import tiny_backbone
from headstart.testing.images import class_folders

PROGRAM = [sys.executable, "-W", "ignore", "-m", "headstart.testing.training"]
SMALL = ("ema=0.9", "batch_size=7")
"""22 images in batches of 7, 7, 7 and 1: two processes never have equal shares, and in the end one has none."""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return class_folders(tmp_path_factory.mktemp("going") / "on", n_per_class=12)


def run(cache, *words, program=PROGRAM):
    environment = {**os.environ, "HEADSTART_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*program, *map(str, words)], env=environment, capture_output=True, text=True, timeout=240
    )
    return done


@pytest.fixture(scope="module")
def uninterrupted(data, tmp_path_factory):
    place = tmp_path_factory.mktemp("whole")
    done = run(place / "cache", data, place / "w.safetensors", *SMALL)
    assert done.returncode == 0, done.stderr
    return load_file(place / "w.safetensors")


def test_killed_three_times_at_random_steps_it_ends_with_the_same_weights(data, tmp_path, uninterrupted):
    steps = sorted(int(step) for step in np.random.default_rng().choice(np.arange(1, 12), 3, replace=False))
    out = tmp_path / "w.safetensors"
    for step in steps:
        done = run(tmp_path / "cache", data, out, *SMALL, f"kill_at={step}")
        assert done.returncode == -signal.SIGKILL, (steps, done.stderr)
        assert not out.exists()
    done = run(tmp_path / "cache", data, out, *SMALL)
    assert done.returncode == 0, done.stderr
    found = load_file(out)
    assert set(found) == set(uninterrupted)
    for name, tensor in uninterrupted.items():
        assert np.array_equal(found[name], tensor), (name, steps)
    assert list((tmp_path / "cache" / "runs").iterdir()) == [], "a finished run leaves no checkpoint"


def torchrun():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-addr=127.0.0.1",
        f"--master-port={port}", "-m", "headstart.testing.training",
    ]  # fmt: skip


def test_two_processes_train_as_one(data, tmp_path, uninterrupted):
    done = run(tmp_path / "cache", data, tmp_path / "w.safetensors", *SMALL, program=torchrun())
    assert done.returncode == 0, done.stderr[-3000:]
    found = load_file(tmp_path / "w.safetensors")
    for name, tensor in uninterrupted.items():
        assert np.allclose(found[name], tensor, atol=2e-5), name


def test_processes_that_measure_differently_do_as_the_first_and_share_its_folder(data, tmp_path):
    """Each process measures another time of an epoch; the folder of kept activations is held by another run."""
    done = run(
        tmp_path / "cache", data, tmp_path / "w.safetensors", "seconds=2.0", "epochs=null", "learning_rate=null",
        "uneven=true", program=torchrun(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    told = [line for line in done.stdout.splitlines() if line.startswith("process ")]
    assert len(told) == 2 and len({line.partition(": ")[2] for line in told}) == 1, told
    assert "aside True" in told[0]


def test_a_finished_run_is_kept_until_what_follows_it_is_done(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with pytest.raises(OSError, match="full"), kept_until_done():
        assert finished(folder)
        raise OSError("the disk is full")
    assert folder.exists()
    with kept_until_done():
        finished(folder)
        assert folder.exists()
    assert not folder.exists()
    folder.mkdir()
    assert not finished(folder) and not folder.exists()


@pytest.mark.parametrize(
    "when", ["in a step", "while validating", "twice, while validating", "as it stops early"]
)
def test_ctrl_c_in_the_middle_of_something_ends_with_the_same_weights(data, tmp_path, monkeypatch, when):
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    table = split_table(scan(data), seed=0)
    options = {"trainable": "last:1", "epochs": 3, "views": 2, "batch_size": 8, "learning_rate": 1e-3}
    options |= {"manifold_mixup": 0.0, "dtype": "float32", "ema": 0.9}
    if when == "as it stops early":
        monkeypatch.setattr(Loop, "_worn_out", lambda self, epoch: epoch == 1)
    whole = FineTuneClassifier(backbone=tiny_backbone(), **options).fit_table(table).network_.state_dict()
    method = "_gradient" if when == "in a step" else "_validate"
    plain, calls = getattr(Loop, method), []

    def stopping(self, *given):
        if self.checkpoints is not None and self.step:
            calls.append(self.step)
            if len(calls) == 2:
                for _ in range(2 if "twice" in when else 1):
                    signal.getsignal(signal.SIGINT)(signal.SIGINT, None)
        return plain(self, *given)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # background shells have it ignored
    with monkeypatch.context() as stopped:
        stopped.setattr(Loop, method, stopping)
        with pytest.raises(KeyboardInterrupt):
            FineTuneClassifier(backbone=tiny_backbone(), **options).fit_table(table)
    signal.signal(signal.SIGINT, before)
    assert len(calls) == 2
    again = FineTuneClassifier(backbone=tiny_backbone(), **options).fit_table(table).network_.state_dict()
    for name, tensor in whole.items():
        assert tensor.equal(again[name]), name
