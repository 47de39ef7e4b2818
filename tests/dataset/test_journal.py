"""The journal of labels: whatever happens, whole lines are kept, and a replay gives what was there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.base.errors import Busy, DataError
from headstart.dataset.journal import FILE_NAME, SKIPPED, open_journal

CAT, DOG = ("cat.jpg", "aa"), ("dog.jpg", "bb")


def test_labels_outlive_the_process(tmp_path):
    with open_journal(tmp_path) as journal:
        journal.give(dict.fromkeys([CAT, DOG], "cat"))
        journal.give({DOG: "dog"})
    with open_journal(tmp_path) as journal:
        assert journal.labels == {CAT: "cat", DOG: "dog"} and journal.n_cut == 0


def test_undo_restores_what_was_there_before_even_after_a_restart(tmp_path):
    with open_journal(tmp_path) as journal:
        journal.give({CAT: "cat"})
        journal.give(dict.fromkeys([CAT, DOG], "dog"))
    with open_journal(tmp_path) as journal:
        assert dict(journal.undo().given) == {CAT: "dog", DOG: "dog"}
        assert journal.labels == {CAT: "cat"}
        journal.undo()
        assert journal.labels == {} and journal.undo() is None
    with open_journal(tmp_path) as journal:
        assert journal.labels == {} and journal.steps == []


def test_skipping_and_clearing_are_steps_too(tmp_path):
    with open_journal(tmp_path) as journal:
        journal.give({CAT: SKIPPED})
        journal.give({DOG: "dog"})
        journal.give({DOG: None})
    with open_journal(tmp_path) as journal:
        assert journal.labels == {CAT: SKIPPED}
        journal.undo()
        assert journal.labels == {CAT: SKIPPED, DOG: "dog"}


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_cut_anywhere_it_keeps_every_whole_line(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("labels")
    names = st.sampled_from(["a", "b\n", "ü \u2028", SKIPPED, None])
    steps = data.draw(st.lists(st.one_of(names, st.just("undo")), max_size=8))
    states = []
    with open_journal(folder) as journal:
        ends = [(folder / FILE_NAME).stat().st_size]
        states.append({})
        for at, step in enumerate(steps):
            if step == "undo":
                journal.undo()
            else:
                journal.give({(f"{at % 3}.jpg", "00"): step})
            ends.append((folder / FILE_NAME).stat().st_size)
            states.append(dict(journal.labels))
    cut = round(data.draw(st.floats(0, 1)) * ends[-1])
    os.truncate(folder / FILE_NAME, cut)
    with open_journal(folder) as journal:
        whole = [state for end, state in zip(ends, states, strict=True) if end <= cut]
        assert journal.labels == (whole[-1] if whole else {})
        journal.give({CAT: "cat"})
    with open_journal(folder) as journal:
        assert journal.labels[CAT] == "cat"


def test_a_broken_line_in_the_middle_is_told_with_its_number(tmp_path):
    with open_journal(tmp_path) as journal:
        journal.give({CAT: "cat"})
    path = tmp_path / FILE_NAME
    path.write_text(path.read_text() + "{broken\n" + json.dumps({"undo": True}) + "\n")
    with pytest.raises(DataError, match="line 3"), open_journal(tmp_path):
        pass


def test_an_undo_without_a_step_is_a_broken_line(tmp_path):
    with open_journal(tmp_path):
        pass
    with (tmp_path / FILE_NAME).open("a") as file:
        file.write('{"undo": true}\n')
    with pytest.raises(DataError, match="line 2"), open_journal(tmp_path):
        pass


@pytest.mark.parametrize(
    "line, said",
    [
        ('{"a": 1}\n', "no label journal"),
        ("mine", "no label journal"),
        ('{"kind": "headstart labels", "version": 9}\n', "version 9"),
    ],
)
def test_a_foreign_file_is_left_alone(tmp_path, line, said):
    (tmp_path / FILE_NAME).write_text(line)
    with pytest.raises(DataError, match=said), open_journal(tmp_path):
        pass
    assert (tmp_path / FILE_NAME).read_text() == line


def test_two_writers_are_refused(tmp_path):
    with open_journal(tmp_path), pytest.raises(Busy, match="is using"), open_journal(tmp_path):
        pass


def test_a_step_that_cannot_be_written_does_not_count(tmp_path, monkeypatch):
    with open_journal(tmp_path) as journal:
        journal.give({CAT: "cat"})

        def full(handle):
            raise OSError("no space left")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="no space"):
            journal.give({DOG: "dog"})
        monkeypatch.undo()
        assert journal.labels == {CAT: "cat"}
    with open_journal(tmp_path) as journal:
        assert journal.labels == {CAT: "cat"}


def test_killed_at_any_moment_every_label_that_was_told_is_there(tmp_path):
    code = (
        "import sys\nfrom headstart.dataset.journal import open_journal\n"
        "with open_journal(sys.argv[1]) as journal:\n"
        "    for at in range(10**6):\n"
        "        journal.give({(f'{at}.jpg', '00'): 'cat'})\n"
        "        print(at, flush=True)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    told = [int(child.stdout.readline()) for _ in range(10)]
    time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    told += [int(line) for line in child.stdout.read().splitlines()]
    child.wait()
    with open_journal(tmp_path) as journal:
        assert len(journal.labels) >= told[-1] + 1
