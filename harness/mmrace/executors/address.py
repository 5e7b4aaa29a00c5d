# SPDX-License-Identifier: GPL-2.0-only
"""The address of a Dask scheduler, and the TLS files that protect connections to it."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from distributed import Security

from mmrace.errors import UserError


@dataclass(frozen=True)
class Address:
    """A scheduler's address; a scheduler on another host needs three TLS files (PEM)."""

    url: str
    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    def security(self) -> Security | None:
        """Return Dask's TLS settings for all connections; None on loopback without TLS.

        Dask unpickles what it receives: a client that can connect can run code. Raises UserError
        for another host without TLS, and when one or two of the three files are missing.
        """
        files = (self.ca, self.cert, self.key)
        encrypted = self.url.startswith("tls://")
        if all(files) and not encrypted:
            raise UserError(f"{self.url} is not encrypted; with TLS files give a tls:// address")
        if all(files):
            return Security(
                require_encryption=True,
                tls_ca_file=self.ca,
                tls_client_cert=self.cert,
                tls_client_key=self.key,
                tls_worker_cert=self.cert,
                tls_worker_key=self.key,
            )
        if any(files) or (encrypted and self._loopback):
            raise UserError("TLS needs three files; give --tls-ca, --tls-cert and --tls-key")
        if not self._loopback:
            raise UserError(
                f"{self.url} is not on this host and not encrypted; give --tls-ca, --tls-cert, "
                "--tls-key and a tls:// address"
            )
        return None

    @property
    def _loopback(self) -> bool:
        host = urlsplit(self.url).hostname or ""
        try:
            return host == "localhost" or ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False
