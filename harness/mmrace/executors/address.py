# SPDX-License-Identifier: GPL-2.0-only
"""Where a Dask scheduler is, and what encrypts the way to it."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from distributed import Security

from mmrace.errors import UserError


@dataclass(frozen=True)
class Address:
    """A scheduler's address, and the files of TLS (PEM) where it is not on this host."""

    url: str
    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    def security(self) -> Security | None:
        """Return what encrypts all connections; None on loopback without TLS.

        Dask's ports take pickles: whoever can write to one runs code. Raises UserError for an
        address of another host without TLS, or half of the files.
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
