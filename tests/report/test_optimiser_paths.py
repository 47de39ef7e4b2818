"""The walks of the optimisers as a moving picture: one mark an optimiser, each on its own path."""

from __future__ import annotations

import re

import numpy as np
import pytest

from headstart.explain.optimisers import race
from headstart.report.explain_figures import optimiser_paths


@pytest.fixture(scope="module")
def moving():
    found = race("beale")
    return found, optimiser_paths(found, animated=True)


def test_six_marks_move_without_end_one_for_each_optimiser(moving):
    found, svg = moving
    marks = re.findall(r"<circle [^>]*><animateMotion [^>]*/></circle>", svg)
    assert len(marks) == len(found.paths) == 6
    assert all('repeatCount="indefinite"' in mark for mark in marks)
    assert len(set(re.findall(r' fill="(var\(--hue\d\))"', "".join(marks)))) == 6


def test_each_mark_takes_every_step_of_its_own_walk_all_in_step(moving):
    found, svg = moving
    walks = re.findall(r'<animateMotion [^>]* path="([^"]+)" keyPoints="([^"]+)" keyTimes="([^"]+)"', svg)
    assert len({path for path, _, _ in walks}) == 6
    for (path, points, times), walk in zip(walks, found.paths.values(), strict=True):
        places = np.array([[float(each) for each in part.split()] for part in re.split("[ML]", path)[1:]])
        share, when = (np.array([float(each) for each in text.split(";")]) for text in (points, times))
        assert len(places) == len(share) == len(when) == len(walk)
        assert (share[0], when[0], when[-1]) == (0, 0, 1) and share[-1] == pytest.approx(1)
        assert (np.diff(share) >= 0).all() and (np.diff(when) > 0).all()
    starts = {path.split("L")[0] for path, _, _ in walks}
    assert len(starts) == 1


def test_a_still_picture_has_no_moving_marks(moving):
    assert "animateMotion" not in optimiser_paths(moving[0])
