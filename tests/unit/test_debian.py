# SPDX-License-Identifier: GPL-2.0-only
"""Debian's kernel sources, by the real apt from a signed archive in a directory."""

import os
from pathlib import Path

import pytest

from fakes.debianarchive import Archive
from mmrace.errors import UserError
from mmrace.home import Home
from mmrace.sources import debian
from mmrace.sources.debian import find_packages, tarball
from mmrace.sources.tree import find_tree


def quiet(_: str) -> None:
    pass


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    made = Archive(tmp_path_factory.mktemp("archive"))
    made.add("oldstable", "bookworm", "6.1.190", "6.1.190-1")
    made.add("oldstable", "bookworm", "6.1.170", "6.1.170-3")
    made.add("oldstable-security", "bookworm-security", "6.1.192", "6.1.192-3")
    made.add("stable", "trixie", "6.12.117", "6.12.117-1")
    made.add("stable-backports", "trixie-backports", "7.3.4", "7.3.4-1~bpo13+1")
    made.add("experimental", "rc-buggy", "7.3.0-rc7", "7.3~rc7-1~exp1")
    return made


@pytest.fixture
def host(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    monkeypatch.setenv("APT_CONFIG", str(archive.apt_config))
    monkeypatch.setattr(debian, "KEYRING", archive.keyring)
    monkeypatch.setattr(debian, "INSTALLED", tmp_path / "usr/src")
    archive.host("bookworm", "security/bookworm-security")
    return archive


def test_what_the_host_lacks_comes_from_other_suites(host: Archive, tmp_path: Path) -> None:
    before = host.host_state()
    notes: list[str] = []
    home = Home(tmp_path / "cache", tmp_path / "data")
    assert find_tree(home, "debian:6.1", notes.append).version == "6.1.192"
    assert notes[0] == "downloading linux-source-6.1 6.1.192-3 from bookworm-security"
    assert not (home.cache / "debian/apt").exists()
    notes.clear()
    assert find_tree(home, "debian:7.3", notes.append).version == "7.3.4"
    assert notes[:2] == [
        "asking Debian for its other suites",
        "downloading linux-source-7.3 7.3.4-1~bpo13+1 from trixie-backports",
    ]
    notes.clear()
    assert find_tree(home, "debian:7.3", notes.append).version == "7.3.4"
    assert notes == []
    assert host.host_state() == before


def test_point_releases_stand_side_by_side(host: Archive, tmp_path: Path) -> None:
    home = Home(tmp_path / "cache", tmp_path / "data")
    names = ("debian:6.1=6.1.170-3", "debian:6.1", "debian:6.1=6.1.190-1")
    versions = [find_tree(home, name, quiet).version for name in names]
    assert versions == ["6.1.170", "6.1.192", "6.1.190"]
    assert find_tree(home, names[0], quiet).version == "6.1.170"


def test_all_that_there_is(host: Archive, tmp_path: Path) -> None:
    found = find_packages(tmp_path, quiet)
    assert {name: one.suite for name, one in found.items()} == {
        "debian:7.3": "trixie-backports",
        "debian:7.3=7.3~rc7-1~exp1": "experimental",
        "debian:6.12": "trixie",
        "debian:6.1": "bookworm-security",
        "debian:6.1=6.1.190-1": "bookworm",
        "debian:6.1=6.1.170-3": "bookworm",
    }
    assert next(iter(found)) == "debian:7.3"


def test_a_host_without_lists_is_asked_all_the_same(host: Archive, tmp_path: Path) -> None:
    for path in (host.top / "var/lists").glob("*_*"):
        path.unlink()
    before = host.host_state()
    assert tarball("debian:7.3", tmp_path, quiet, fetch=True)
    assert tarball("debian:6.1=6.1.192-3", tmp_path, quiet, fetch=True)
    assert host.host_state() == before


def test_a_suite_that_debian_did_not_sign_is_left_out(host: Archive, tmp_path: Path) -> None:
    names = ("stable-backports", "trixie-backports")
    signed = [host.top / "mirror/debian/dists" / name / "InRelease" for name in names]
    texts = [path.read_text() for path in signed]
    for path, text in zip(signed, texts, strict=True):
        path.write_text(text.replace("Label: Debian", "Label: Forged"))
    words = r"no linux-source-7\.3 7\.3\.4-1~bpo13\+1; it has: 7\.3~rc7-1~exp1$"
    try:
        with pytest.raises(UserError, match=words):
            tarball("debian:7.3=7.3.4-1~bpo13+1", tmp_path, quiet, fetch=True)
    finally:
        for path, text in zip(signed, texts, strict=True):
            path.write_text(text)


def test_a_package_that_was_changed_on_its_way_is_refused(host: Archive, tmp_path: Path) -> None:
    deb = host.top / "mirror/debian/pool/linux-source-6.12_6.12.117-1_all.deb"
    raw = deb.read_bytes()
    deb.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    try:
        with pytest.raises(
            UserError, match=r"linux-source-6\.12 6\.12\.117-1 cannot be downloaded"
        ):
            tarball("debian:6.12", tmp_path, quiet, fetch=True)
    finally:
        deb.write_bytes(raw)
    assert tarball("debian:6.12", tmp_path, quiet, fetch=True)


def test_what_debian_has_not_is_named(host: Archive, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no linux-source-5\.10; mmrace tree find lists"):
        tarball("debian:5.10", tmp_path, quiet, fetch=True)
    words = r"no linux-source-6\.1 6\.1\.1-1; it has: 6\.1\.192-3, 6\.1\.190-1, 6\.1\.170-3$"
    with pytest.raises(UserError, match=words):
        tarball("debian:6.1=6.1.1-1", tmp_path, quiet, fetch=True)
    with pytest.raises(UserError, match=r"^debian:six: not a Debian kernel; say debian:6\.1 or"):
        tarball("debian:six", tmp_path, quiet, fetch=True)


def test_a_host_without_debian_or_its_keyring_is_told(
    host: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.host(fetch=False)
    for path in (host.top / "var/lists").glob("*_*"):
        path.unlink()
    with pytest.raises(UserError, match="no Debian mirror; mmrace tree add NAME TARBALL"):
        tarball("debian:7.3", tmp_path, quiet, fetch=True)
    monkeypatch.setattr(debian, "KEYRING", tmp_path / "none.gpg")
    with pytest.raises(UserError, match=r"none\.gpg not found; apt-get install debian-archive-k"):
        tarball("debian:7.3", tmp_path, quiet, fetch=True)
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(UserError, match="no apt-cache, which debian: trees need"):
        tarball("debian:7.3", tmp_path, quiet, fetch=True)
