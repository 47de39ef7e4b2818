"""Weights from a small server that speaks the hub's file protocol, by the real client in a process of its own."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import pytest
import timm
import torch
from safetensors.torch import save

from headstart.testing.server import LocalServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ARCHITECTURE, CLASSES = "test_resnet", 5


@pytest.fixture(scope="module")
def module():
    torch.manual_seed(0)
    return timm.create_model(ARCHITECTURE, num_classes=CLASSES)


@pytest.fixture(scope="module")
def published(module):
    config = {
        "architecture": ARCHITECTURE,
        "num_classes": CLASSES,
        "pretrained_cfg": {"mean": [0.1, 0.2, 0.3]},
    }
    return {"config.json": json.dumps(config).encode(), "model.safetensors": save(module.state_dict())}


@dataclass
class Hub:
    """Repositories by name, each a dict of file name to bytes; how the server misbehaves; what was asked of it."""

    repositories: dict = field(default_factory=dict)
    promised: dict = field(default_factory=dict)
    no_sha256: bool = False
    break_after: int = 0
    asked: list = field(default_factory=list)

    def __post_init__(self):
        self.server = LocalServer(self.answer)
        self.address = self.server.address

    def stop(self):
        self.server.stop()

    def answer(self, request, *, body):
        path = unquote(urlsplit(request.path).path)
        self.asked.append((request.command, path, request.headers.get("Range")))
        if path.startswith("/api/models/"):
            return self.describe(request, path.removeprefix("/api/models/").partition("/revision/")[0])
        name, _, rest = path.removeprefix("/").partition("/resolve/")
        revision, _, file = rest.partition("/")
        files = self.repositories.get(name)
        if files is None:
            return self.send(request, 404, b"", {"X-Error-Code": "RepoNotFound"}, body)
        if revision not in ("main", COMMIT):
            return self.send(request, 404, b"", {"X-Error-Code": "RevisionNotFound"}, body)
        if file not in files:
            return self.send(request, 404, b"", {"X-Error-Code": "EntryNotFound"}, body)
        return self.serve(request, file, files[file], body)

    def describe(self, request, name):
        files = self.repositories.get(name)
        if files is None:
            return self.send(request, 404, b"{}", {"X-Error-Code": "RepoNotFound"}, True)
        said = {"id": name, "sha": COMMIT, "siblings": [{"rfilename": file} for file in files]}
        return self.send(request, 200, json.dumps(said).encode(), {"Content-Type": "application/json"}, True)

    def serve(self, request, file, data, body):
        sha256 = self.promised.get(file) or hashlib.sha256(data).hexdigest()
        large = file.endswith((".safetensors", ".bin")) and not self.no_sha256
        tag = sha256 if large else hashlib.sha1(data).hexdigest()
        headers = {"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if large:
            headers |= {"X-Linked-Etag": f'"{tag}"', "X-Linked-Size": str(len(data))}
        given, status = data, 200
        if body and (asked := request.headers.get("Range")):
            start = int(asked.removeprefix("bytes=").split("-")[0])
            given, status = data[start:], 206
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        cut = self.break_after if body and large else 0
        self.break_after = 0 if cut else self.break_after
        self.send(request, status, given, headers, body, cut)

    @staticmethod
    def send(request, status, data, headers, body, cut=0):
        request.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            request.send_header(name, value)
        request.end_headers()
        if body:
            request.wfile.write(data[:cut] if cut else data)
        if cut:
            request.close_connection = True

    def gets(self):
        """Files that were asked for whole or in part, with the range, since the last time."""
        found = [
            (path.rsplit("/", 1)[1], part)
            for verb, path, part in self.asked
            if verb == "GET" and "/resolve/" in path
        ]
        self.asked.clear()
        return found


@pytest.fixture
def hub(published):
    played = Hub({"me/tiny": dict(published)})
    yield played
    played.stop()


SCRIPT = """
import hashlib, json, sys
from huggingface_hub import constants
from headstart.base.errors import HeadstartError
from headstart.base.events import collected_warnings
from headstart.backbones.hub import Absent, fetch

def load(name):
    from headstart.backbones.load import load
    found = load(name)
    weight = found.module.fc.weight.double().sum().item()
    return {"sum": weight, "weights": found.card.weights, "classes": found.card.classes}

def file(name):
    repository, _, revision = name.removeprefix("hf-hub:").partition("@")
    found = fetch(name, repository, revision or None)
    held = hashlib.sha256(found.weights.read_bytes()).hexdigest()
    return {"sha256": held, "weights": found.describe(repository)}

constants.DOWNLOAD_CHUNK_SIZE = 1 << 16  # the tests' files are smaller than one of the client's pieces
answers = []
for name in sys.argv[2:]:
    with collected_warnings() as said:
        try:
            answers.append({"load": load, "file": file}[sys.argv[1]](name))
        except (HeadstartError, Absent) as error:
            answers.append({"error": str(error), "kind": type(error).__name__})
    answers[-1]["warnings"] = said
print(json.dumps(answers))
"""


@pytest.fixture
def loaded(hub, tmp_path):
    """Load backbones, or their files alone, in a new process whose hub is the server; one answer a name."""

    def run(*names, what="file", **environment):
        own = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
        kept = {name: value for name, value in own.items() if "proxy" not in name.lower()}
        env = {**kept, "HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "hf"), **environment}
        command = [sys.executable, "-c", SCRIPT, what, *names]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


def kept_files(tmp_path):
    """What the client's cache holds of weights: links of snapshots, and blobs named by a SHA-256."""
    place = tmp_path / "hf" / "hub"
    return [
        *place.rglob("model.safetensors*"),
        *(path for path in place.glob("models--*/blobs/*") if len(path.name) >= 64),
    ]


@pytest.fixture
def right(published):
    """The SHA-256 of the published weights."""
    return hashlib.sha256(published["model.safetensors"]).hexdigest()


def test_weights_are_fetched_once_checked_and_served_from_the_cache_after(hub, loaded, module, right):
    (first,) = loaded("hf-hub:me/tiny", what="load")
    assert first["sum"] == pytest.approx(module.fc.weight.double().sum().item())
    assert first["classes"] == CLASSES
    assert first["weights"] == f"Hugging Face hub (me/tiny, commit {COMMIT[:12]}, SHA-256 checked)"
    assert first["warnings"] == []
    assert hub.gets() == [("config.json", None), ("model.safetensors", None)]
    again, of_commit = loaded("hf-hub:me/tiny", f"hf-hub:me/tiny@{COMMIT}")
    assert again["sha256"] == of_commit["sha256"] == right
    assert hub.gets() == []
    (offline,) = loaded("hf-hub:me/tiny", HF_HUB_OFFLINE="1")
    assert offline["sha256"] == right
    assert hub.asked == []
    hub.stop()
    gone, never = loaded("hf-hub:me/tiny", "hf-hub:me/never-seen")
    assert gone["sha256"] == right
    assert never["kind"] == "Absent"
    assert "\n" not in never["error"]


def test_a_broken_transfer_is_resumed_where_it_stopped(hub, loaded, published, right):
    hub.break_after = len(published["model.safetensors"]) // 2
    (found,) = loaded("hf-hub:me/tiny")
    assert found["sha256"] == right
    assert "SHA-256 checked" in found["weights"]
    first, second = [part for file, part in hub.gets() if file == "model.safetensors"]
    assert first is None
    assert 0 < int(second.removeprefix("bytes=").rstrip("-")) <= len(published["model.safetensors"]) // 2


def test_a_repository_of_pickle_alone_is_refused_in_one_line(hub, loaded, published):
    hub.repositories["me/pickled"] = {
        "config.json": published["config.json"],
        "pytorch_model.bin": b"\x80\x04.",
    }
    (found,) = loaded("hf-hub:me/pickled")
    assert "pickle alone (pytorch_model.bin), which can run code" in found["error"]
    assert "\n" not in found["error"]
    assert "pytorch_model.bin" not in [file for file, _ in hub.gets()]


def test_a_file_that_is_not_the_hubs_is_refused_and_removed(hub, loaded, published, right, tmp_path):
    data = bytearray(published["model.safetensors"])
    data[-1] ^= 1
    hub.promised["model.safetensors"] = right
    hub.repositories["me/tiny"]["model.safetensors"] = bytes(data)
    (found,) = loaded("hf-hub:me/tiny")
    assert f"the hub says {right[:12]}" in found["error"]
    assert "removed from the cache" in found["error"]
    assert kept_files(tmp_path) == []
    (offline,) = loaded("hf-hub:me/tiny", HF_HUB_OFFLINE="1")
    assert offline["kind"] == "Absent"
    hub.repositories["me/tiny"]["model.safetensors"] = published["model.safetensors"]
    (mended,) = loaded("hf-hub:me/tiny")
    assert mended["sha256"] == right


def test_a_file_that_was_altered_in_the_cache_is_refused_even_offline(loaded, tmp_path):
    loaded("hf-hub:me/tiny")
    (link,) = (tmp_path / "hf" / "hub").rglob("model.safetensors")
    blob = link.resolve()
    data = bytearray(blob.read_bytes())
    data[-1] ^= 1
    blob.chmod(0o644)
    blob.write_bytes(bytes(data))
    (found,) = loaded("hf-hub:me/tiny", HF_HUB_OFFLINE="1")
    assert "removed from the cache" in found["error"]
    assert kept_files(tmp_path) == []


def test_the_card_says_where_there_was_nothing_to_check_by(hub, loaded):
    hub.no_sha256 = True
    (found,) = loaded("hf-hub:me/tiny")
    assert found["weights"].endswith("not checked: the hub gives no SHA-256)")
    assert "could not be checked" in found["warnings"][0]


def test_timm_s_own_names_are_fetched_and_checked_alike(hub, loaded):
    torch.manual_seed(1)
    whole = timm.create_model(ARCHITECTURE)
    hub.repositories["timm/test_resnet.r160_in1k"] = {"model.safetensors": save(whole.state_dict())}
    first, again = loaded("timm:test_resnet.r160_in1k", "timm:test_resnet", what="load")
    assert first["sum"] == again["sum"] == pytest.approx(whole.fc.weight.double().sum().item())
    assert first["weights"].startswith("Hugging Face hub (timm/test_resnet.r160_in1k, commit ")
    assert hub.gets() == [("model.safetensors", None)]


def test_what_is_not_there_is_named(hub, loaded):
    hub.repositories["me/empty"] = {"config.json": hub.repositories["me/tiny"]["config.json"]}
    hub.repositories["me/bare"] = {"model.safetensors": b""}
    absent, revision, empty, bare, odd = loaded(
        "hf-hub:me/absent", "hf-hub:me/tiny@v9", "hf-hub:me/empty", "hf-hub:me/bare", "hf-hub:a/b/c"
    )
    assert "no such repository or revision" in absent["error"]
    assert "no such repository or revision" in revision["error"]
    assert "the repository has no model.safetensors" in empty["error"]
    assert "none of timm's" in bare["error"]
    assert "write hf-hub:OWNER/NAME" in odd["error"]
