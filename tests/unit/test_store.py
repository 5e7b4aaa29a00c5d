# SPDX-License-Identifier: GPL-2.0-only
"""Stores that fsspec reaches: a directory, SFTP, S3; each as a worker reads and a submitter writes.

SFTP and S3 are servers on loopback.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import fsspec
import pytest

from mmrace.errors import InfraError, UserError
from mmrace.executors import store as store_module
from mmrace.executors.cache import WorkerCache
from mmrace.executors.objects import digest, place_of
from mmrace.executors.store import read_stored, write_stored
from mmrace.home import Home

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(params=["file", "sftp", "s3"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    with ExitStack() as stack:
        if request.param == "file":
            yield f"file://{tmp_path}/store"
        elif request.param == "sftp":
            from fakes.stores import sftp_store

            yield f"{stack.enter_context(sftp_store(tmp_path))}/store"
        else:
            from fakes.stores import s3_service

            monkeypatch.setenv("AWS_ENDPOINT_URL", stack.enter_context(s3_service()))
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
            monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
            yield "s3://bucket/store"
    if request.param != "file":
        fsspec.get_filesystem_class(request.param).clear_instance_cache()


def test_a_store_has_objects_by_their_content(store: str, tmp_path: Path) -> None:
    file = tmp_path / "kernel"
    file.write_bytes(b"image" * 1000)
    sha256 = digest(file.read_bytes())
    write_stored(store, file)
    write_stored(store, file)
    assert read_stored(store, sha256) == file.read_bytes()
    assert read_stored(store, digest(b"else")) is None
    assert read_stored(f"{store}/", sha256) == file.read_bytes()


def test_a_worker_pulls_what_it_lacks_and_checks_it(store: str, tmp_path: Path) -> None:
    cache = WorkerCache(Home(tmp_path / "cache", tmp_path / "data"))
    file = tmp_path / "kernel"
    file.write_bytes(b"image")
    files = {"kernels/k/bzImage": digest(b"image"), "images/i": digest(b"not there")}
    write_stored(store, file)
    with cache.with_files(files, store) as missing:
        assert missing == ("images/i",)
        assert place_of(cache.home, "kernels/k/bzImage").read_bytes() == b"image"
    place_of(cache.home, "kernels/k/bzImage").unlink()
    filesystem, inner = fsspec.core.url_to_fs(f"{store}/{digest(b'image')}")
    filesystem.pipe_file(inner, b"other")
    with pytest.raises(InfraError, match="another SHA-256"), cache.with_files(files, store):
        pass
    assert not place_of(cache.home, "kernels/k/bzImage").exists()


@pytest.mark.parametrize("url", ["nowhere://x", "file:///dev/null/x"])
def test_a_store_that_cannot_be_reached_is_one_line(tmp_path: Path, url: str) -> None:
    (tmp_path / "file").write_bytes(b"image")
    with pytest.raises(InfraError, match=r"^store [^\n]*; check its URL and its credentials$"):
        write_stored(url, tmp_path / "file")


def test_a_password_is_not_told(tmp_path: Path) -> None:
    pytest.importorskip("paramiko", reason="pip install 'mmrace[sftp]'")
    (tmp_path / "file").write_bytes(b"image")
    with pytest.raises(InfraError) as error:
        write_stored("sftp://me:secret@127.0.0.1:1/x", tmp_path / "file")
    assert error.value.message.startswith("store sftp://me@127.0.0.1:1/x: ")
    assert "secret" not in error.value.message


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise ImportError('Please install "s3fs"')

    monkeypatch.setattr(store_module.fsspec, "open", missing)
    with pytest.raises(UserError, match=r"pip install 'mmrace\[s3\]'"):
        read_stored("s3://bucket", digest(b""))
