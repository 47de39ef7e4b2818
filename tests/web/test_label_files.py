"""Files that change under a label page: other rows, other pixels, and names that are no text."""

from __future__ import annotations

import csv
import os
import shutil
import sys
from contextlib import contextmanager

import httpx
import pytest

from headstart.base.events import collected_warnings


@contextmanager
def client(served):
    with httpx.Client(base_url=served.origin, headers={"origin": served.origin}, timeout=30) as made:
        assert made.get(served.address).status_code == 303
        yield made


def pictures(asked):
    """Address of each image that the page shows first, by path."""
    rows = asked.get("/batch.json?order=diverse&rows=40&columns=40").json()["rows"]
    return {cell["path"]: f"/image/{cell['row']}/{cell['digest']}" for row in rows for cell in row}


def test_the_address_of_an_image_is_of_no_other_image_in_a_later_session(photos, serve):
    with serve(photos) as served, client(served) as asked:
        before = pictures(asked)
        answer = asked.get(before["disc-001.jpg"])
        assert answer.headers["content-type"] == "image/jpeg" and "max-age" in answer.headers["cache-control"]
    (photos / "disc-000.jpg").unlink()
    with serve(photos) as served, client(served) as asked:
        after = pictures(asked)
        assert len(after) == 59 and not set(after.values()) & set(before.values())
        assert {asked.get(address).status_code for address in before.values()} == {404}
        assert asked.get(after["disc-001.jpg"]).content == answer.content


def test_an_image_that_was_overwritten_is_not_shown_in_place_of_the_listed_one(photos, serve):
    with serve(photos) as served, client(served) as asked:
        address = pictures(asked)["disc-000.jpg"]
        shutil.copy(photos / "square-000.jpg", photos / "disc-000.jpg")
        answer = asked.get(address)
        assert answer.status_code == 404 and "has changed" in answer.json()["detail"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names of files are text")
def test_names_that_are_no_text_are_left_out_of_the_table_aloud(photos, serve):
    os.rename(os.fsencode(photos / "disc-000.jpg"), os.fsencode(photos) + b"/caf\xe9.jpg")  # noqa: PTH104
    with collected_warnings() as warned, serve(photos) as served:
        assert sum("no valid Unicode, caf\\xe9.jpg for one" in said for said in warned) == 1
        paths = served.session.table.paths
        given = {str(row): path.split("-")[0] for row, path in enumerate(paths) if "00" in path}
        given[str(paths.index(os.fsdecode(b"caf\xe9.jpg")))] = "disc"
        with client(served) as asked:
            assert asked.post("/label", json={"labels": given}).status_code == 200
            said = asked.get("/suggestions.json?rows=0&after=0").json()
            assert said["trouble"] == "" and said["model"] is not None
            assert asked.post("/finish", json={}).json()["n_labelled"] == len(given)
    with (photos.with_name("photos-labels") / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(given) - 1 and all(row["path"].startswith(row["label"]) for row in rows)
    os.rename(os.fsencode(photos) + b"/caf\xe9.jpg", photos / "disc-cafe.jpg")  # noqa: PTH104
    with collected_warnings() as warned, serve(photos) as served:
        assert "disc-cafe.jpg" in {served.session.table.paths[row] for row in served.session.labelled()}
        assert not any("Unicode" in said for said in warned)
