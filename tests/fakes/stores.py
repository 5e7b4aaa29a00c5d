# SPDX-License-Identifier: GPL-2.0-only
"""Stores on loopback for tests: an SFTP server (paramiko's) and an S3 service (moto's).

Tests that need a package which is not there are skipped by its name.
"""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

paramiko = pytest.importorskip("paramiko", reason="pip install 'mmrace[sftp]'")

USER, WORD = "me", "known"


class _Door(paramiko.ServerInterface):
    """Lets one user in, by a password."""

    def check_auth_password(self, username: str, password: str) -> int:
        known = (username, password) == (USER, WORD)
        return paramiko.AUTH_SUCCESSFUL if known else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED


class _Handle(paramiko.SFTPHandle):
    def stat(self) -> paramiko.SFTPAttributes:
        return paramiko.SFTPAttributes.from_stat(os.fstat(self.readfile.fileno()))


class _Files(paramiko.SFTPServerInterface):
    """What is below the real root, which is a directory of the test's."""

    def stat(self, path: str) -> Any:
        return self._try(lambda: paramiko.SFTPAttributes.from_stat(Path(path).stat()))

    lstat = stat

    def open(self, path: str, flags: int, attr: Any) -> Any:
        def opened() -> _Handle:
            fd = os.open(path, flags | os.O_CREAT if flags & os.O_WRONLY else flags, 0o644)
            handle = _Handle(flags)
            handle.readfile = handle.writefile = os.fdopen(
                fd, "wb" if flags & os.O_WRONLY else "rb"
            )
            return handle

        return self._try(opened)

    def mkdir(self, path: str, attr: Any) -> int:
        return self._done(lambda: Path(path).mkdir())

    def posix_rename(self, oldpath: str, newpath: str) -> int:
        return self._done(lambda: Path(oldpath).rename(newpath))

    def rename(self, oldpath: str, newpath: str) -> int:
        return self.posix_rename(oldpath, newpath)

    def remove(self, path: str) -> int:
        return self._done(lambda: Path(path).unlink())

    def list_folder(self, path: str) -> Any:
        def listed() -> list[paramiko.SFTPAttributes]:
            return [
                paramiko.SFTPAttributes.from_stat(one.stat(), one.name)
                for one in Path(path).iterdir()
            ]

        return self._try(listed)

    def _done(self, call: Any) -> int:
        found = self._try(call)
        return found if isinstance(found, int) else paramiko.SFTP_OK

    @staticmethod
    def _try(call: Any) -> Any:
        try:
            return call()
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)


@contextmanager
def sftp_store(folder: Path) -> Iterator[str]:
    """Yield the URL of a directory, by SFTP."""
    key = paramiko.RSAKey.generate(2048)
    with socket.create_server(("127.0.0.1", 0)) as server:
        transports: list[paramiko.Transport] = []

        def serve() -> None:
            while True:
                try:
                    link, _ = server.accept()
                except OSError:
                    return
                transport = paramiko.Transport(link)
                transports.append(transport)
                transport.add_server_key(key)
                transport.set_subsystem_handler("sftp", paramiko.SFTPServer, _Files)
                transport.start_server(server=_Door())

        threading.Thread(target=serve, daemon=True).start()
        yield f"sftp://{USER}:{WORD}@127.0.0.1:{server.getsockname()[1]}{folder}"
        server.shutdown(socket.SHUT_RDWR)
        for transport in transports:
            transport.close()


@contextmanager
def s3_service() -> Iterator[str]:
    """Yield the address of an S3 service without buckets."""
    pytest.importorskip("s3fs", reason="pip install 'mmrace[s3]'")
    moto = pytest.importorskip("moto.server", reason="pip install 'moto[s3]' flask flask-cors")
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
