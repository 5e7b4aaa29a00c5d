# SPDX-License-Identifier: GPL-2.0-only
"""``worker``: this host as a part of a Dask cluster."""

import os

import click

from mmrace.cli.app import App
from mmrace.cli.options import tls_options
from mmrace.cli.session import load_cluster

MEMORY = 3 << 30  # bytes of a guest of two nodes, with QEMU's own


@click.command("worker")
@click.argument("address")
@click.option(
    "--slots", type=click.IntRange(1), help="Guests at a time. [default: by cores and memory]"
)
@click.option("--name", help="Name in reports. [default: the host's]")
@tls_options
@click.pass_obj
def worker(
    app: App,
    address: str,
    slots: int | None,
    name: str | None,
    tls_ca: str | None,
    tls_cert: str | None,
    tls_key: str | None,
) -> None:
    """Run cells for the Dask scheduler at ADDRESS until it ends.

    A worker needs QEMU, and neither a kernel tree nor a compiler. Whoever can reach a scheduler's
    port can run code on its workers: only loopback goes without TLS.
    """
    security = load_cluster("address").Address(address, tls_ca, tls_cert, tls_key).security()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    able = max(1, min(len(os.sched_getaffinity(0)) // 2, memory // MEMORY))
    app.note(f"{slots or able} guests at a time for {address}; home {app.home.cache}")
    load_cluster("worker").serve(app.home, address, slots or able, security, name)


COMMANDS = (worker,)
