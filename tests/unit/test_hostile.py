# SPDX-License-Identifier: GPL-2.0-only
"""What a Makefile from outside tries, in the real sandbox, on the toy tree."""

import hashlib
import os
import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mmrace.building import checkout as checkout_module
from mmrace.building import directory as directory_module
from mmrace.building import request as request_module
from mmrace.building.build import build_kernel
from mmrace.building.kernel import Kernel
from mmrace.building.request import request_kernel
from mmrace.building.tools import missing_tools
from mmrace.definitions.base import Base, Build
from mmrace.errors import BuildError, InfraError, MmraceError
from mmrace.home import Home
from mmrace.sandbox import Limits, have_bubblewrap, inside_uid

FAKE = Path(__file__).parents[1] / "fakes" / "linux"
MIB = 1 << 20
BASE = Base(name="6.1", versions="~=6.1.0", tested="6.1.192", build=Build())

pytestmark = pytest.mark.skipif(not have_bubblewrap(), reason="needs bubblewrap")


class Lab:
    """A home with a warm cache, a user's directory with a secret, and the toy tree."""

    def __init__(self, top: Path) -> None:
        self.home = Home(top / "cache", top / "data")
        self.user = top / "user"
        self.user.mkdir(mode=0o777)
        (self.user / "secret").write_text("xyzzy-secret\n")
        self.tree = top / "tree"
        self.evil = ""
        self.mark = str(100_000 + os.getpid())  # other tests may run beside
        self.messages: list[str] = []
        shutil.copytree(FAKE, self.tree)

    def checkout(self, _home: Home, _commit: str, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)  # as git does: files may have other names
        shutil.copytree(self.tree, folder)
        makefile = (folder / "Makefile").read_text()
        recipe = "".join(f"\t{line}\n" for line in self.evil.splitlines())
        marker = "\t@cp $< $(O)/arch/x86/boot/bzImage\n"
        assert marker in makefile
        (folder / "Makefile").write_text(makefile.replace(marker, marker + recipe))

    def build(self, evil: str = "", *, outside: bool = True, sandboxed: bool = True) -> Kernel:
        """Build the tree with shell lines at the end of its bzImage rule."""
        self.evil = evil.replace("USER", str(self.user)).replace("MARK", self.mark)
        self.messages.clear()
        tree_hash = hashlib.sha256(self.evil.encode()).hexdigest()
        wanted = request_kernel(
            self.home,
            "commit",
            tree_hash,
            BASE,
            ("migration",),
            outside=outside,
            sandboxed=sandboxed,
        )
        return build_kernel(self.home, wanted, self.messages.append)

    def state(self) -> dict[str, bytes]:
        """All that must not change: the user's files, the cache, and the kernels there are."""
        kept = (self.user, self.home.ccache)
        files = [p for folder in kept for p in sorted(folder.rglob("*")) if p.is_file()]
        # ccache counts what it does in files that are named so.
        return {str(p): p.read_bytes() for p in files if p.name not in ("stats", "CACHEDIR.TAG")}


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    made = Lab(tmp_path)
    small = replace(Limits(), processes=60, file=8 * MIB, scratch=4 * MIB, disk=12 * MIB)
    small = replace(small, memory=300 * MIB, address=1024 * MIB, files=2000)
    monkeypatch.setattr(directory_module, "Limits", lambda: small)
    monkeypatch.setattr(directory_module, "DEADLINE", 20)
    monkeypatch.setattr(checkout_module, "checkout", made.checkout)
    monkeypatch.setattr(request_module, "toolchain", lambda _env: ("gcc 12", "ld 2"))
    return made


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.settimeout(0.2)
        yield made


def processes(marker: str) -> list[str]:
    """Command lines on this host with a word in them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return [line for line in found if marker in line]


HARMLESS = {
    "writes to the home": "-echo x > USER/planted; echo x > $$HOME/planted; echo x > /root/planted",
    "reads the home": "-cat USER/secret /root/.ssh/* /etc/shadow /etc/passwd > $(O)/loot",
    "plants in the cache": "-find /ccache -type f -exec cp /bin/sh {} \\; ; "
    "echo x > /ccache/planted; mkdir /ccache/0",
    "caches another object": "-cd /tmp; echo 'int evil;' > e.c; "
    "env -u CCACHE_READONLY CCACHE_DIR=/ccache ccache gcc -c e.c",
    "writes to the source": "-echo x >> /src/Makefile; rm -rf /src/mm",
    "writes to the system": "-echo x > /usr/bin/evil; echo x > /evil; echo x > /dev/evil",
    "kills everybody": "-(kill -9 -1 &) ; sleep 0.1",
    "becomes root": "-unshare -Ur sh -c 'mount -t tmpfs none /usr; echo x > USER/planted'",
    "leaves a process": "-(setsid sleep MARK &)",
}


@pytest.mark.parametrize("evil", HARMLESS.values(), ids=HARMLESS)
def test_what_a_makefile_tries_changes_and_learns_nothing(lab: Lab, evil: str) -> None:
    lab.build(outside=False)
    before = lab.state()
    try:
        learnt = lab.build(evil).image.read_bytes()
    except MmraceError as error:
        learnt = f"{error.message} {error.detail}".encode()
    assert b"xyzzy" not in learnt
    assert lab.state() == before
    assert not list(lab.home.builds.glob("*-outside"))
    assert not processes(f"sleep {lab.mark}")


def test_a_makefile_reaches_no_network(lab: Lab, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    lab.build(f"-bash -c 'echo hello > /dev/tcp/127.0.0.1/{port}'; true")
    with pytest.raises(TimeoutError):
        listener.accept()


EXCESSIVE = {
    "forks without end": ("bash -c 'f() { f | f & f; }; f'; sleep MARK", None),
    "fills the disk": (
        "for n in 1 2 3 4 5 6 7 8 9; do head -c 5M /dev/urandom > $(O)/f$$n; done; sleep 9",
        "it wrote more than the 0.0 GiB that are allowed",
    ),
    "makes a file without end": ("cat /dev/zero > $(O)/big", "the kernel did not build"),
    "makes files without end": (
        "mkdir $(O)/d; n=0; while true; do n=$$((n+1)); : > $(O)/d/$$n; done",
        "it made more than the 2000 files",
    ),
    "fills the memory": (
        "for n in 1 2 3; do perl -e '$$x = \"x\" x 150000000; sleep 9' & done; wait",
        "of memory, 0.3 GiB are allowed",
    ),
    "fills one process": ("perl -e '$$x = \"x\" x 3000000000'", "the kernel did not build"),
    "fills its own /tmp": (
        "head -c 6M /dev/zero > /tmp/x",
        "the disk is full|the kernel did not build",
    ),
    "prints without end": ("yes", "did not build: make"),
    "prints past make's back": ("yes > /proc/1/fd/1", "printed more than|did not build"),
    "prints a line without end": ("cat /dev/zero", r"did not build: \?{1000}\.\.\.$"),
    "prints what is slow to read": (
        'perl -e \'for (1..99) { print "ld: " x 30000, "\\n", "a" x 120000, "\\n" }\'; false',
        "the kernel did not build",
    ),
    "makes a link of its result": ("ln -sf USER/secret $(O)/arch/x86/boot/bzImage", "no arch|link"),
    "makes a link of its directory": (
        "rm -rf $(O)/arch; ln -s / $(O)/arch; ln -s $(O)/arch/etc/passwd $(O)/x",
        "made no arch/x86/boot/bzImage",
    ),
    "makes a link to what is there": (
        "ln -sf /proc/self/exe $(O)/System.map; ln -sf /bin/sh $(O)/System.map",
        "System.map a link out of its directory",
    ),
    "makes a pipe of its result": ("rm $(O)/vmlinux; mkfifo $(O)/vmlinux", "made no vmlinux"),
}


@pytest.mark.parametrize(("evil", "words"), EXCESSIVE.values(), ids=EXCESSIVE)
def test_what_takes_too_much_is_stopped(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, evil: str, words: str | None
) -> None:
    lab.build(outside=False)
    before = lab.state()
    # A fork bomb may come to its end, or to the build's; the others not, on a busy host either.
    monkeypatch.setattr(directory_module, "DEADLINE", 4 if words is None else 30)
    started = time.monotonic()
    with pytest.raises((BuildError, InfraError), match=words):
        lab.build(f"{evil}; false" if words is None else evil)
    assert time.monotonic() - started < 60
    assert lab.state() == before
    assert not list(lab.home.builds.glob("*-outside"))
    end = time.monotonic() + 5  # the kernel ends a namespace's processes one after the other
    while processes(f"sleep {lab.mark}") and time.monotonic() < end:
        time.sleep(0.1)
    assert not processes(f"sleep {lab.mark}")


def test_a_clean_tree_is_built_bit_for_bit_as_before(lab: Lab, tmp_path: Path) -> None:
    """In a home that has seen attacks, and in one that has not."""
    for evil in HARMLESS.values():
        try:
            lab.build(evil)
        except MmraceError:
            continue
    after = [lab.build(outside=outside) for outside in (True, False)]
    lab.home = Home(tmp_path / "fresh", tmp_path / "fresh")
    fresh = lab.build(outside=False)
    for name in ("bzImage", "vmlinux", "System.map", "config"):
        expected = (fresh.folder / name).read_bytes()
        assert [(built.folder / name).read_bytes() for built in after] == [expected, expected]
    assert {built.id for built in after} == {fresh.id}


def test_the_user_inside_is_nobody_of_the_host(lab: Lab) -> None:
    lines = "id -u > $(O)/System.map; grep Cap... /proc/self/status >> $(O)/System.map"
    output = (lab.build(lines).folder / "System.map").read_text().splitlines()
    expected = inside_uid() if os.geteuid() == 0 else os.geteuid()
    assert output[0] == str(expected)
    assert "CapEff:\t0000000000000000" in output
    assert "CapPrm:\t0000000000000000" in output


def test_without_bubblewrap_it_is_refused_unless_the_user_wants_it(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = shutil.which
    monkeypatch.setattr(
        missing_tools,
        "__defaults__",
        (lambda tool: None if tool == "bwrap" else there(tool),),
    )
    with pytest.raises(InfraError, match=r"bwrap missing; install: bubblewrap; or --no-sandbox"):
        lab.build()
    bare = lab.build("id -u > $(O)/System.map", sandboxed=False)
    assert (bare.folder / "System.map").read_text() == f"{os.geteuid()}\n"
    monkeypatch.undo()


def test_a_kernel_built_without_a_sandbox_is_another_one(lab: Lab) -> None:
    assert lab.build(sandboxed=False).id != lab.build().id
