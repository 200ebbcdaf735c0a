"""What somebody without the key gets of the Tiled server: nothing but its pages."""

import asyncio
import http.client
import json
import os
import re
import urllib.parse

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from aefi_bluesky.storage.tiled.confined_pages import ConfinedPages
from aefi_bluesky.storage.tiled.server import TiledServer

SECRET = "a secret of the bench"
PUBLIC = {
    "/": "the first page",
    "/healthz": "whether it runs",
    "/favicon.ico": "a picture",
    "/tiled-ui-settings": "settings of the page",
    "/openapi.json": "which routes there are",
    "/docs": "the same to read",
    "/redoc": "the same to read",
    "/docs/oauth2-redirect": "a page of the same",
    "/api/v1/": "version and formats; a client asks before it has the key",
    "/api/v1/auth/logout": "takes cookies away",
    "/api/graphql": "a page; its queries answer nothing without the key",
}
"""What may be had without a key, and what it is."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiled")
    (folder / "secret.txt").write_text(SECRET)
    with TiledServer(folder / "server", folder / "raw") as running:
        yield running


def ask(server, path, method="GET", body=None):
    """Ask for a path as it is: urllib would make it tidy."""
    port = urllib.parse.urlsplit(server.uri).port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    headers = {"Content-Type": "application/json"}
    connection.request(method, path, body=body, headers=headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


def spellings(target):
    """Ways to name a file outside of the pages' folder."""
    up, absolute = "../" * 30 + target.lstrip("/"), target
    for path in (up, absolute, "assets/" + up, "./" + up, "index.html/" + up):
        yield path
        yield urllib.parse.quote(path, safe="")
        yield path.replace("..", "%2e%2e").replace("/", "%2f")
        yield path.replace("..", "%2E.").replace("/", "%2F")
        yield path.replace("/", "%5c")
        yield path.replace("..", ".%2e") + "%00.html"
        yield urllib.parse.quote(urllib.parse.quote(path, safe=""), safe="")


def test_no_spelling_reaches_a_file_outside_of_the_pages(server):
    outside = server.folder.parent / "secret.txt"
    for target, content in (
        (str(outside), SECRET),
        (str(server.key_file), server.api_key),
        (str(server.folder / "tiled.yml"), "authentication"),
        ("/etc/hostname", None),
    ):
        for path in spellings(target):
            for prefix in ("/ui/", "/ui//", "//ui/", "/static/", "/static//", "/"):
                status, found = ask(server, prefix + path)
                if content is not None:
                    assert content.encode() not in found, prefix + path
                pages = b"<!doctype html>" in found.lower()
                assert pages or status >= 300, (status, prefix + path)


def test_the_pages_themselves_are_served(server):
    for path in ("/ui/", "/ui/browse/some/run", "/ui/index.html"):
        status, found = ask(server, path)
        assert (status, b"<html" in found) == (200, True)
    asset = re.search(rb'src="(/ui/assets/[^"]+\.js)"', ask(server, "/ui/")[1])
    assert ask(server, asset[1].decode())[0] == 200


def test_every_route_of_the_running_server_wants_the_key(server):
    paths = json.loads(ask(server, "/openapi.json")[1])["paths"]
    assert len(paths) > 40
    tried = 0
    for path, methods in paths.items():
        filled = re.sub(r"\{[^}]*\}", "x", path)
        for method in methods:
            body = b"{}" if method in ("post", "put", "patch") else None
            status, found = ask(server, filled, method.upper(), body)
            tried += 1
            if path in PUBLIC or path == "/ui/{path}":
                assert status < 500, (method, path)
                continue
            assert status in (401, 403, 404, 422), (method, path, status, found)
            if status in (404, 422):
                # Refused before the key was looked at: with a body that is right too?
                assert not json.loads(found).get("data"), (method, path)
    assert tried > 50


def test_what_is_public_tells_no_run(server):
    for path in PUBLIC:
        status, found = ask(server, path)
        assert status < 500, (path, status)
        assert server.api_key.encode() not in found
    query = json.dumps({"query": "{ entities { id } namespaces { prefix } }"}).encode()
    status, found = ask(server, "/api/graphql", "POST", query)
    assert json.loads(found)["data"] == {"entities": [], "namespaces": []}
    change = {"query": 'mutation { upsertNamespace(prefix: "a", uri: "b") { prefix } }'}
    status, found = ask(server, "/api/graphql", "POST", json.dumps(change).encode())
    assert json.loads(found)["errors"]


@pytest.mark.parametrize("message", ["{}", '{"type": "auth", "api_key": "no"}', "a"])
@pytest.mark.parametrize("key", ["", "&api_key=0123"])
@pytest.mark.parametrize("path", ["", "some/run"])
def test_a_websocket_wants_the_key(server, path, key, message):
    address = server.uri.replace("http://", "ws://") + "/stream/single/" + path

    def first_answer():
        with connect(f"{address}?envelope_format=json{key}") as socket:
            socket.send(message)
            return socket.recv(timeout=10)

    # It is taken, asked for the key, and closed; or not even taken.
    with pytest.raises((ConnectionClosed, InvalidStatus)):
        first_answer()


# -- the layer by itself -----------------------------------------------------


@pytest.fixture
def pages(tmp_path):
    folder = tmp_path / "pages"
    folder.mkdir()
    (folder / "index.html").write_text("index")
    (tmp_path / "secret").write_text(SECRET)
    os.symlink(tmp_path / "secret", folder / "link")
    os.symlink(tmp_path, folder / "up")
    os.symlink(folder / "ring", folder / "ring")
    os.symlink("index.html", folder / "inside")

    async def application(scope, receive, send):
        handed_on.append(scope["path"])

    handed_on = []
    layer = ConfinedPages(application, folder)

    def status_of(path):
        """Return 404 if it was refused, 200 if Tiled was asked."""
        sent = []

        async def send(message):
            sent.append(message)

        handed_on.clear()
        asyncio.run(layer({"type": "http", "path": path}, None, send))
        return 200 if handed_on == [path] else sent[0]["status"]

    return status_of


def test_links_that_lead_outside_are_not_followed(pages):
    for path in ("/ui/index.html", "/ui/inside", "/ui/", "/ui/absent", "/api/../x"):
        assert pages(path) == 200, path
    for path in (
        "link",
        "up/secret",
        "up/pages/../secret",
        "ring",
        "a\0b",
        "../pages2",
    ):
        assert pages(f"/ui/{path}") == 404, path
