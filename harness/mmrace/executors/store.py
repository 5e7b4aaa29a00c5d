# SPDX-License-Identifier: GPL-2.0-only
"""A store that all workers reach: files named by their SHA-256, under any fsspec URL."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

import fsspec

from mmrace.errors import InfraError, UserError
from mmrace.executors.objects import file_digest

EXTRAS = {"sftp": "sftp", "ssh": "sftp", "s3": "s3"}  # URL scheme to extra of mmrace's package


def read_stored(store: str, sha256: str) -> bytes | None:
    """Read the object with this SHA-256; None when the store does not have it.

    Raises InfraError when the store cannot be read.
    """
    with _faults(store):
        try:
            with fsspec.open(f"{store.rstrip('/')}/{sha256}", "rb") as file:
                data: bytes = file.read()
                return data
        except FileNotFoundError:
            return None


def write_stored(store: str, path: Path) -> None:
    """Upload a file under its SHA-256, unless the store has it.

    It is renamed when complete, so that readers never see a part. Raises InfraError when the store
    cannot be written, UserError for a URL whose scheme needs a package that is not installed.
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
    store = re.sub(r"(://[^/:@]+):[^/@]*@", r"\1@", url)  # errors must not show a password
    try:
        yield
    except ImportError as error:
        extra = EXTRAS.get(store.partition("://")[0])
        how = f"pip install 'mmrace[{extra}]'" if extra else "install what fsspec asks for"
        raise UserError(f"store {store}: {error}; {how}") from error
    except (InfraError, UserError):
        raise
    except Exception as error:  # each fsspec backend raises errors of its own
        reason = str(error) or type(error).__name__
        raise InfraError(f"store {store}: {reason}; check its URL and its credentials") from error
