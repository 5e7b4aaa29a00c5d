# SPDX-License-Identifier: GPL-2.0-only
"""A store that all workers reach: files under their SHA-256, at any URL of fsspec's."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

import fsspec

from mmrace.errors import InfraError, UserError
from mmrace.executors.objects import file_digest

EXTRAS = {"sftp": "sftp", "ssh": "sftp", "s3": "s3"}  # of the package, by the URL's scheme


def read_stored(store: str, wanted: str) -> bytes | None:
    """Read an object; None when the store does not have it.

    Raises InfraError when the store cannot be read.
    """
    with _faults(store):
        try:
            with fsspec.open(f"{store.rstrip('/')}/{wanted}", "rb") as file:
                data: bytes = file.read()
                return data
        except FileNotFoundError:
            return None


def write_stored(store: str, path: Path) -> None:
    """Put a file into a store under its content's name, unless it is there.

    It gets its name when it is complete: readers never see half of it. Raises InfraError when the
    store cannot be written, UserError for a URL that needs a package which is not installed.
    """
    url = f"{store.rstrip('/')}/{file_digest(path)}"
    with _faults(store):
        filesystem, inner = fsspec.core.url_to_fs(url)
        filesystem.invalidate_cache()
        if filesystem.exists(inner):
            return
        with suppress(FileExistsError):
            filesystem.makedirs(filesystem._parent(inner), exist_ok=True)
        part = f"{inner}.{token_hex(4)}.part"
        filesystem.put_file(str(path), part)
        filesystem.mv(part, inner)


@contextmanager
def _faults(url: str) -> Iterator[None]:
    store = re.sub(r"(://[^/:@]+):[^/@]*@", r"\1@", url)  # a password is not told
    try:
        yield
    except ImportError as error:
        extra = EXTRAS.get(store.partition("://")[0])
        how = f"pip install 'mmrace[{extra}]'" if extra else "install what fsspec asks for"
        raise UserError(f"store {store}: {error}; {how}") from error
    except (InfraError, UserError):
        raise
    except Exception as error:  # every file system of fsspec's has errors of its own
        said = str(error) or type(error).__name__
        raise InfraError(f"store {store}: {said}; check its URL and its credentials") from error
