# SPDX-License-Identifier: GPL-2.0-only
"""Where cells run, as users name it (``--on``): this host or a Dask scheduler."""

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mmrace.errors import UserError
from mmrace.executors.executor import Executor
from mmrace.executors.local import LocalExecutor
from mmrace.home import Home
from mmrace.progress import Step


@dataclass(frozen=True)
class Place:
    """``on``: ``local``, ``local:N`` (N guests at a time), or a Dask scheduler's address.

    ``store``: URL from which workers fetch kernels; "": the submitter sends them. ``build_on``:
    where kernels are built, ``here`` or ``workers``. ``tls_ca``, ``tls_cert``, ``tls_key``: PEM
    files.
    """

    on: str = "local"
    store: str = ""
    build_on: str = "here"
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None


def open_executor(
    home: Home, step: Step, place: Place, slots: int, note: Callable[[str], None]
) -> Executor:
    """Return the executor for a place; ``slots`` guests at a time for ``local`` without a number.

    Raises UserError for an invalid place, and where Dask is needed and not installed.
    """
    if local := re.fullmatch(r"local(?::([1-9]\d*))?", place.on):
        return LocalExecutor(home, step, int(local[1] or slots))
    if not re.match(r"(tcp|tls)://", place.on):
        raise UserError(f"not a place for cells: {place.on!r}; local, local:N, tcp:// or tls://")
    cluster = load_dask("cluster")
    found = cluster.ClusterExecutor(home, step, address(place), place.store, note)
    note(f"{found.slots} guests at a time on {place.on}; dashboard {found.dashboard}")
    made: Executor = found
    return made


def builder_of(executor: Executor, place: Place) -> Any:
    """Return the builder that runs on workers; None when kernels are built on this host.

    Raises UserError when the executor has no workers.
    """
    if place.build_on == "here":
        return None
    if not hasattr(executor, "build"):
        raise UserError("--build-on workers takes workers; name a Dask scheduler with --on")
    return executor.build


def address(place: Place) -> Any:
    """Return the Address of a Dask scheduler with its TLS files; UserError without Dask."""
    return load_dask("address").Address(place.on, place.tls_ca, place.tls_cert, place.tls_key)


def load_dask(module: str) -> Any:
    """Import an executors module that needs Dask; UserError when Dask is not installed."""
    try:
        return importlib.import_module(f"mmrace.executors.{module}")
    except ImportError as error:
        raise UserError(f"{error}; pip install 'mmrace[cluster]'") from error
