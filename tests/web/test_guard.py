"""Who is let in: the browser that was given the token, on loopback, and no page of another site through it."""

from __future__ import annotations

import httpx
import pytest

from headstart.base.errors import UsageError
from headstart.web.serve import LocalServer

GIVE = {"labels": {"0": "disc"}}


@pytest.fixture
def client(served):
    """A client that came by the address and holds the cookie."""
    with httpx.Client(base_url=served.origin, headers={"origin": served.origin}) as made:
        answer = made.get(served.address)
        assert answer.status_code == 303 and answer.headers["location"] == "/"
        yield made


def test_the_token_moves_from_the_address_into_a_cookie_that_scripts_cannot_read(served):
    answer = httpx.get(served.address)
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and served.server.token in cookie


@pytest.mark.parametrize(
    "path", ["/", "/state.json", "/image/0/0", "/static/label.js", "/batch.json", "/docs", "/openapi.json"]
)
def test_without_the_token_nothing_is_shown(served, path):
    assert httpx.get(served.origin + path).status_code == 403
    assert httpx.get(f"{served.origin}{path}?token=wrong").status_code == 403
    assert (
        httpx.get(served.origin + path, cookies={f"headstart-{served.server.port}": "wrong"}).status_code
        == 403
    )


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "0.0.0.0:{port}", ""]
)
def test_another_host_is_refused_even_with_the_token(served, client, host):
    named = {"host": host.format(port=served.server.port)}
    assert client.get("/state.json", headers=named).status_code == 403
    assert client.post("/label", json=GIVE, headers=named).status_code == 403
    assert httpx.get(served.address, headers=named).status_code == 403
    assert served.session.labelled() == {}


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_another_origin_is_refused_even_with_the_cookie(served, client, headers):
    assert client.post("/label", json=GIVE, headers=headers).status_code == 403
    assert client.get("/state.json", headers=headers).status_code == 403
    assert served.session.labelled() == {}


def test_a_change_needs_an_origin_and_json_and_a_bounded_body(served, client):
    del client.headers["origin"]
    assert client.post("/label", json=GIVE).status_code == 403
    client.headers["origin"] = served.origin
    assert client.post("/label", data={"labels": "x"}).status_code == 400
    big = b'{"labels": {"0": "' + b"x" * (1 << 20) + b'"}}'
    assert client.post("/label", content=big, headers={"content-type": "application/json"}).status_code == 413
    assert (
        client.post("/label", content=iter([b"{}"]), headers={"content-type": "application/json"}).status_code
        == 400
    )
    assert client.get("/label").status_code == 405
    assert served.session.labelled() == {}
    assert client.post("/label", json=GIVE).status_code == 200
    assert served.session.labelled() == {0: "disc"}


def test_every_answer_forbids_frames_and_foreign_content(served, client):
    for answer in (client.get("/"), client.get("/image/0/0"), httpx.get(served.origin)):
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../label.py",
        "/static/%2e%2e%2flabel.py",
        "/static/..%2f..%2fbase%2ferrors.py",
        "/static/none.js",
    ],
)
def test_no_other_file_is_served(client, path):
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    "body, said",
    [
        ({"labels": {"0": "cat"}}, "no class is called 'cat'"),
        ({"labels": {"60": "disc"}}, "there is no image 60"),
        ({"labels": {"-1": "disc"}}, "there is no image -1"),
        ({"labels": {}}, "no image was given"),
    ],
)
def test_a_wrong_label_is_refused_whole(served, client, body, said):
    answer = client.post("/label", json={"labels": {"1": "disc", **body["labels"]} if body["labels"] else {}})
    assert answer.status_code == 400 and said in answer.json()["detail"]
    assert served.session.labelled() == {}


@pytest.mark.parametrize(
    "body", [{}, {"labels": []}, {"labels": {"a": "disc"}}, {"labels": {"0": 3}}, {"labels": {}, "x": 1}]
)
def test_what_is_no_label_is_refused(served, client, body):
    assert client.post("/label", json=body).status_code == 422
    assert client.get("/batch.json?order=best").status_code == 400
    assert client.get("/batch.json?rows=0").status_code == 400
    assert client.get("/suggestions.json?rows=1,x").status_code == 400
    assert client.get("/image/999/0").status_code == 404


def test_a_full_disk_is_told_and_the_label_does_not_count(served, client, monkeypatch):
    import os

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    answer = client.post("/label", json=GIVE)
    monkeypatch.undo()
    assert answer.status_code == 507 and "nothing was kept" in answer.json()["detail"]
    assert served.session.labelled() == {}


def test_a_taken_port_is_one_line():
    first = LocalServer()
    first._socket.listen(1)
    try:
        with pytest.raises(UsageError, match="cannot be taken"):
            LocalServer(first.port)
    finally:
        first.close()


def test_it_listens_on_loopback_alone(served):
    assert served.server._socket.getsockname()[0] == "127.0.0.1"
