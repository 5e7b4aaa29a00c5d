# SPDX-License-Identifier: GPL-2.0-only
"""``worker``: this host as a part of a Dask cluster."""

from typing import Any

import click

from mmrace.cli.app import App
from mmrace.cli.runoptions import tls_options
from mmrace.executors import place
from mmrace.runs.slots import able_slots


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
    tls: dict[str, Any],
) -> None:
    """Run cells for the Dask scheduler at ADDRESS until it ends.

    A worker needs QEMU, and neither a kernel tree nor a compiler. Whoever can reach a scheduler's
    port can run code on its workers: only loopback goes without TLS.
    """
    security = place.address(place.Place(address, **tls)).security()
    slots = slots or able_slots()
    app.note(f"{slots} guests at a time for {address}; home {app.home.cache}")
    place.load_dask("worker").serve(app.home, address, slots, security, name)
