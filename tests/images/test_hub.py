"""`hf:OWNER/NAME` against a small server that plays the hub."""

import hashlib
import io
import json
from urllib.parse import unquote, urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headstart.base.errors import DataError
from headstart.base.events import collected_warnings
from headstart.images.hub import parse_address, part_of
from headstart.images.scan import scan
from headstart.testing.images import tiny_image
from headstart.testing.server import LocalServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"
RNG = np.random.default_rng(0)


def picture(kind):
    buffer = io.BytesIO()
    tiny_image(kind, RNG).save(buffer, "PNG")
    return buffer.getvalue()


def parquet(cells, labels, *, names=("cat", "<b>dog</b>")):
    features = {"image": {"_type": "Image"}, "label": {"names": list(names), "_type": "ClassLabel"}}
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(cells, kind), "label": pa.array(labels, pa.int64())})
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def cell(kind, path="x.png"):
    return {"bytes": picture(kind), "path": path}


class Hub:
    """Repositories by name; each a dict of file name to bytes."""

    def __init__(self):
        self.repositories = {}
        self.converted = {}
        self.requests = []
        self.server = LocalServer(self.answer)
        self.address = self.server.address

    def answer(self, request, *, body):
        path = unquote(urlsplit(request.path).path)
        self.requests.append(path)
        if path.startswith("/api/datasets/"):
            name = path.removeprefix("/api/datasets/")
            name, _, revision = name.partition("/revision/")
            files = (self.converted if "convert" in revision else self.repositories).get(name)
            if files is None:
                return self.send(request, 404, b"{}", {"X-Error-Code": "RepoNotFound"}, body)
            siblings = [{"rfilename": file, "size": len(data)} for file, data in files.items()]
            said = json.dumps({"id": name, "sha": COMMIT, "siblings": siblings}).encode()
            return self.send(request, 200, said, {"Content-Type": "application/json"}, body)
        name, _, rest = path.removeprefix("/datasets/").partition("/resolve/")
        file = rest.partition("/")[2]
        data = {**self.converted.get(name, {}), **self.repositories.get(name, {})}.get(file)
        if data is None:
            return self.send(request, 404, b"", {"X-Error-Code": "EntryNotFound"}, body)
        tag = hashlib.sha256(data).hexdigest()
        return self.send(request, 200, data, {"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT}, body)

    @staticmethod
    def send(request, status, data, headers, body):
        request.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            request.send_header(name, value)
        request.end_headers()
        if body:
            request.wfile.write(data)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    played = Hub()
    monkeypatch.setenv("HF_ENDPOINT", played.address)
    monkeypatch.setattr(
        "huggingface_hub.constants.HF_HUB_OFFLINE", False
    )  # whatever was set when it was imported
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    yield played
    played.server.stop()


def test_splits_and_class_names_come_from_the_parquet_files(hub):
    hub.repositories["me/pets"] = {
        "README.md": b"hello",
        "data/train-00000-of-00002.parquet": parquet([cell(0), cell(1)], [0, 1]),
        "data/train-00001-of-00002.parquet": parquet([cell(0), cell(1)], [0, 1]),
        "data/test-00000-of-00001.parquet": parquet([cell(0)], [1]),
    }
    table = scan("hf:me/pets")
    assert len(table) == 5
    assert table.classes() == ("<b>dog</b>", "cat")
    assert table.splits.count("train") == 4
    assert table.splits.count("test") == 1
    assert "me/pets" in table.source
    n_requests = len(hub.requests)
    again = scan("hf:me/pets")
    assert again.digest() == table.digest()
    assert not any("resolve" in path for path in hub.requests[n_requests:])


def test_it_works_from_the_cache_when_the_hub_is_gone(hub, monkeypatch):
    hub.repositories["me/pets"] = {"data/train-00000-of-00001.parquet": parquet([cell(0), cell(1)], [0, 1])}
    first = scan("hf:me/pets")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with collected_warnings() as warnings:
        assert scan("hf:me/pets").digest() == first.digest()
    assert "cannot be reached" in warnings[0]
    with pytest.raises(DataError, match=r"cannot be reached.*connect to the network once") as caught:
        scan("hf:me/never-seen")
    assert "\n" not in str(caught.value)


def test_the_hubs_own_conversion_is_used_where_there_is_no_parquet(hub):
    hub.repositories["me/raw"] = {"images.zip": b"zip"}
    hub.converted["me/raw"] = {"default/validation/0000.parquet": parquet([cell(0), cell(1)], [0, 1])}
    assert scan("hf:me/raw").splits == ("validation", "validation")


def test_one_of_several_configurations_must_be_named(hub):
    hub.repositories["me/two"] = {
        "small/train-00000-of-00001.parquet": parquet([cell(0)], [0]),
        "large/train-00000-of-00001.parquet": parquet([cell(0), cell(1)], [0, 1]),
    }
    with pytest.raises(DataError, match=r"several configurations.*large, small"):
        scan("hf:me/two")
    assert len(scan("hf:me/two:small")) == 1
    assert len(scan("hf:me/two@main:large")) == 2


def test_paths_that_a_data_set_gives_are_never_written_to(hub, tmp_path):
    evil = [cell(0, "../../../evil.png"), cell(1, str(tmp_path / "evil.png"))]
    hub.repositories["me/evil"] = {
        "data/train-00000-of-00001.parquet": parquet(evil, [0, 1]),
        "../../evil.parquet": b"x",
    }
    table = scan("hf:me/evil")
    assert len(table) == 2
    assert not list(tmp_path.rglob("evil*"))


def test_missing_bytes_labels_and_broken_images_are_problems(hub):
    same = cell(0)
    cells = [same, same, {"bytes": None, "path": "a.png"}, cell(1), {"bytes": b"no image", "path": None}]
    hub.repositories["me/odd"] = {
        "data/train-00000-of-00001.parquet": parquet(cells, [0, 0, 1, -1, 1]),
        "data/unlabelled-00000-of-00001.parquet": parquet([cell(0)], [0]),
    }
    table = scan("hf:me/odd")
    assert len(table) == 2
    assert len(set(table.paths)) == 2
    assert len(set(table.digests)) == 1
    reasons = " ".join(problem.reason for problem in table.problems)
    for reason in (
        "no image bytes",
        "no label",
        "not an image of a known format",
        "no split is called 'unlabelled'",
    ):
        assert reason in reasons


def test_an_absent_data_set_and_a_broken_file_say_so_in_one_line(hub):
    with pytest.raises(DataError, match="no such data set"):
        scan("hf:me/absent")
    hub.repositories["me/broken"] = {"data/train-00000-of-00001.parquet": b"PAR1 not really"}
    with pytest.raises(DataError, match="cannot be read"):
        scan("hf:me/broken")
    hub.repositories["me/text"] = {"README.md": b""}
    with pytest.raises(DataError, match=r"no such data set|Parquet"):
        scan("hf:me/text")


@pytest.mark.parametrize("text", ["", "../x", "a/b/c", "a/..", "a/b@", "a b", "a/b:c:d", "/etc/passwd"])
def test_malformed_addresses_are_refused(text):
    with pytest.raises(DataError, match="OWNER/NAME"):
        parse_address(text)


def test_where_a_file_lies_says_configuration_and_split():
    assert part_of("data/validation-00000-of-00001-ab12.parquet").split == "validation"
    assert part_of("train.parquet").split == "train"
    assert part_of("en/test/0000.parquet").config == "en"
    assert part_of("cfg/partial-train/0000.parquet").split == "train"
