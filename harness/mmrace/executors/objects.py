# SPDX-License-Identifier: GPL-2.0-only
"""Files that cells need, by content: how they are named, kept and checked where cells run."""

import hashlib
import io
import re
import tarfile
from functools import lru_cache
from pathlib import Path

import fsspec

from mmrace.errors import InfraError
from mmrace.home import Home, publish, write_file
from mmrace.runs.record import RunDir

_NAME = re.compile(r"(kernels|images|programs)/[\w.+-]+(/[\w.+-]+)?")
_RUN = re.compile(r"[\w.+-]+")


def digest(data: bytes) -> str:
    """Return the SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, read once for each time that it was written."""
    status = path.stat()
    return _file_digest(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4096)
def _file_digest(path: Path, _written: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def place_of(home: Home, name: str) -> Path:
    """Return where an object lies in a home's cache.

    Raises InfraError for a name that would lead out of it: a submitter is not trusted with paths.
    """
    if not _NAME.fullmatch(name) or ".." in name.split("/"):
        raise InfraError(f"not the name of an object: {name!r}; it has to be below the cache")
    return home.cache / name


def has_object(home: Home, name: str, wanted: str) -> bool:
    """Whether an object is there, with this content."""
    path = place_of(home, name)
    return path.is_file() and file_digest(path) == wanted


def keep_object(home: Home, name: str, wanted: str, data: bytes) -> None:
    """Write an object by rename; InfraError when its content is not what was announced."""
    if digest(data) != wanted:
        raise InfraError(f"object {name} arrived with another SHA-256 than announced; not kept")
    path = place_of(home, name)
    write_file(path, data)
    if path.suffix in (".so", ""):
        path.chmod(0o755)


def read_stored(store: str, wanted: str) -> bytes | None:
    """Read an object of a store (any URL of fsspec's); None when the store does not have it.

    Raises InfraError when the store cannot be read.
    """
    try:
        with fsspec.open(f"{store.rstrip('/')}/{wanted}", "rb") as file:
            data: bytes = file.read()
            return data
    except FileNotFoundError:
        return None
    except (OSError, ImportError, ValueError) as error:
        raise InfraError(f"store {store}: {error}; check its URL and its credentials") from error


def write_stored(store: str, path: Path) -> None:
    """Put a file into a store under its content's name, unless it is there.

    Raises InfraError when the store cannot be written.
    """
    url = f"{store.rstrip('/')}/{file_digest(path)}"
    try:
        filesystem, inner = fsspec.core.url_to_fs(url)
        if filesystem.exists(inner):
            return
        filesystem.makedirs(filesystem._parent(inner), exist_ok=True)
        filesystem.put_file(str(path), f"{inner}.part")
        filesystem.mv(f"{inner}.part", inner)
    except (OSError, ImportError, ValueError) as error:
        raise InfraError(f"store {store}: {error}; check its URL and its credentials") from error


def pack_run(run: RunDir) -> bytes:
    """Return a run directory as a compressed tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for path in sorted(run.folder.rglob("*")):
            if path.is_file():
                archive.add(path, arcname=str(path.relative_to(run.folder)), recursive=False)
    return buffer.getvalue()


def unpack_run(home: Home, run_id: str, data: bytes, wanted: str) -> RunDir:
    """Publish a run that arrived, by rename; a run of that id that is there already stays.

    Raises InfraError when it did not arrive as it was sent.
    """
    if digest(data) != wanted or not _RUN.fullmatch(run_id):
        raise InfraError(f"run {run_id} arrived damaged; the same command makes it again")
    with home.scratch(home.runs) as folder:
        try:
            with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
                archive.extractall(folder, filter="data")
        except (tarfile.TarError, OSError, EOFError) as error:
            raise InfraError(f"run {run_id} cannot be unpacked: {error}") from error
        return RunDir(publish(folder, home.runs / run_id))
