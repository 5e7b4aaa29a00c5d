# SPDX-License-Identifier: GPL-2.0-only
"""Objects that compiler caches of several homes share by a server of the user's."""

import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mmrace.building.build import build_kernel
from mmrace.building.request import request_kernel
from mmrace.definitions.base import Base, Build
from mmrace.home import Home, write_file
from mmrace.sandbox import have_bubblewrap
from mmrace.sources.tree import add_tree

FAKE = Path(__file__).parents[1] / "fakes" / "linux"
BASE = Base(name="6.1", versions="~=6.1.0", tested="6.1.192", build=Build())

pytestmark = pytest.mark.skipif(
    not (have_bubblewrap() and shutil.which("ccache")), reason="needs bubblewrap and ccache"
)


class Server(ThreadingHTTPServer):
    """Keeps what is put, by path; ``served`` counts requests that found one."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Objects)
        self.objects: dict[str, bytes] = {}
        self.requests = self.served = 0


class Objects(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        found = self.server.objects.get(self.path)
        self.server.requests += 1
        self.server.served += found is not None
        self.send_response(200 if found is not None else 404)
        self.send_header("Content-Length", str(len(found or b"")))
        self.end_headers()
        self.wfile.write(found or b"")

    def do_PUT(self) -> None:
        self.server.objects[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.end_headers()

    def log_message(self, *_words: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


def build(top: Path, conf: str, *, outside: bool = False) -> None:
    home = Home(top / "cache", top / "data")
    shutil.copytree(FAKE, top / "tree")
    makefile = top / "tree" / "Makefile"
    makefile.write_text(makefile.read_text().replace("\t@gcc -Wall -c -o $@", "\t@$(CC) -c -o $@"))
    if conf:
        write_file(home.ccache / "ccache.conf", conf)
    tree = add_tree(home, "toy", str(top / "tree"), None, str)
    wanted = request_kernel(
        home, tree.commit, tree.tree_hash, BASE, ("migration",), outside=outside
    )
    build_kernel(home, wanted, str)


def test_homes_share_objects_by_a_server_that_the_user_named(
    server: Server, tmp_path: Path
) -> None:
    conf = f"remote_storage = http://127.0.0.1:{server.server_port}\n"
    build(tmp_path / "one", conf)
    kept = dict(server.objects)
    assert kept
    assert not server.served
    build(tmp_path / "two", conf)
    assert server.served
    assert server.objects == kept


@pytest.mark.parametrize(("named", "outside"), [(True, True), (False, False)])
def test_builds_have_no_network_for_it_where_they_are_not_trusted_or_none_is_named(
    server: Server, tmp_path: Path, named: bool, outside: bool
) -> None:
    conf = f"remote_storage = http://127.0.0.1:{server.server_port}\n"
    build(tmp_path, conf if named else "# " + conf, outside=outside)
    assert not server.objects
    assert not server.requests
