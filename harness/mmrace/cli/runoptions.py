# SPDX-License-Identifier: GPL-2.0-only
"""Options of what runs: the kernel's config, the guest, the place; each set becomes one value."""

import functools
from collections.abc import Collection
from typing import Any

import click

from mmrace.building.kconfig import LENIENT, fragment_names
from mmrace.cli.options import DURATION, PLACE, Command, Decorator, gathered
from mmrace.errors import UserError
from mmrace.executors.place import Place
from mmrace.runs.options import CAP, RunOptions

_CONFIG = (
    click.option(
        "--config",
        "configs",
        multiple=True,
        help="Kernel configuration: a fragment's name, a defconfig or a .config file; repeatable.",
    ),
    click.option(
        "--with",
        "checks",
        multiple=True,
        type=click.Choice(fragment_names()),
        metavar="NAME",
        help="Fragment of debugging options: kasan, lockdep, kcsan, faults ...; repeatable.",
    ),
    click.option(
        "--config-lenient",
        "lenient",
        is_flag=True,
        help="Drop options that this tree or compiler does not have, and name each.",
    ),
)
_NO_SANDBOX = click.option(
    "--no-sandbox",
    is_flag=True,
    help="Build without bubblewrap, with all your rights; each run records it.",
)
_RUN = {
    "at_most": click.option(
        "--at-most",
        type=DURATION,
        help=f"Maximum time in the race phase of a run. [default: {CAP} times --for]",
    ),
    "machine": click.option("--machine", help="Machine of qemu/machines. [default: the race's]"),
    "accel": click.option(
        "--accel",
        type=click.Choice(["auto", "kvm", "tcg"]),
        default="auto",
        help="QEMU accelerator; auto takes TCG for steered runs, else KVM where it works. "
        "Steering under KVM is untested.",
    ),
    "boot": click.option("--boot", multiple=True, help="Kernel parameter to add; repeatable."),
    "steer": click.option(
        "--steer/--no-steer", default=None, help="Steer vCPUs. [default: where windows exist]"
    ),
    "steer_by": click.option(
        "--steer-by",
        type=click.Choice(["director", "kprobe"]),
        default="director",
        help="Steering backend: QEMU plugin (TCG) or a kprobe module in the guest.",
    ),
    "ltp": click.option("--ltp", help="LTP tree, by `mmrace tree add`. [default: the first one]"),
    "seed": click.option(
        "--seed", type=click.IntRange(0), help="Random seed. [default: a new one]"
    ),
}
UNSTEERED = ("steer", "steer_by")  # options without effect where the command steers by itself
_LEAST = "Minimum time in the race phase of a run (guest seconds)."


def run_options(seconds: str, least: str = _LEAST, without: Collection[str] = ()) -> Decorator:
    """Return the decorator that gives a command all options of runs, as one ``options``.

    ``seconds`` is the default of ``--for``, ``least`` its help. ``without``: names of options that
    would have no effect on the command.
    """
    time = click.option("--for", "seconds", type=DURATION, default=seconds, help=least)
    own = [one for name, one in ({"seconds": time} | _RUN).items() if name not in without]
    return gathered("options", _run_options, *own, *_CONFIG, _NO_SANDBOX)


def _run_options(
    configs: tuple[str, ...],
    checks: tuple[str, ...],
    lenient: bool,
    no_sandbox: bool,
    **chosen: Any,
) -> RunOptions:
    if chosen.get("at_most") is not None and chosen["at_most"] < chosen["seconds"]:
        raise UserError("--at-most is less than --for; name a longer time")
    kernel_configs = (*configs, *checks, *([LENIENT] if lenient else []))
    return RunOptions(configs=kernel_configs, sandbox=not no_sandbox, **chosen)


_TLS = tuple(
    click.option(
        f"--tls-{name}",
        type=click.Path(exists=True, dir_okay=False),
        help=f"PEM file with {what}, for a scheduler on another host.",
    )
    for name, what in (("ca", "the CA"), ("cert", "your certificate"), ("key", "your key"))
)
_PLACE = (
    click.option(
        "--on",
        default="local",
        metavar="ADDRESS",
        help="Where cells run: local, local:N guests, or a Dask scheduler (tcp://, tls://).",
    ),
    click.option(
        "--store",
        default="",
        show_default="on this host",
        metavar="URL",
        help="Where workers find kernels: file://, sftp://, s3://.",
    ),
    click.option(
        "--build-on",
        type=click.Choice(["here", "workers"]),
        default="here",
        help="Where kernels are built; with workers several at a time.",
    ),
    *_TLS,
)


def place_options(command: Command) -> Command:
    """Let a command's cells run elsewhere; its session takes the place from click's context."""

    @functools.wraps(command)
    def wrapped(*args: Any, place: Place, **given: Any) -> Any:
        click.get_current_context().meta[PLACE] = place
        return command(*args, **given)

    return gathered("place", Place, *_PLACE)(wrapped)


tls_options = gathered("tls", dict, *_TLS)
# Of a command that builds a kernel and boots nothing, as one ``options``.
build_options = gathered("options", _run_options, *_CONFIG, _NO_SANDBOX)
