# SPDX-License-Identifier: GPL-2.0-only
"""Options that commands share; what a mode cannot honour is refused by name."""

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from mmrace.building.kconfig import LENIENT, fragment_names
from mmrace.definitions.race import FailsBy, Race, load_race
from mmrace.errors import UserError
from mmrace.experiments.reproducing import race_of
from mmrace.runs.options import CAP, RunOptions
from mmrace.sources.checkout import is_checkout
from mmrace.sources.worktree import take_worktree

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
Command = Callable[..., Any]
Decorator = Callable[[Command], Command]
_DIRTY = "mmrace.dirty"
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


class Duration(click.ParamType[float]):
    """Converts 90, 90s, 2m or 1h to seconds."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return seconds; a click usage error for anything else."""
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", str(value))
        if not match or float(match[1]) == 0:
            self.fail(f"not a duration: {value!r}; write 90, 90s, 2m or 1h", param, ctx)
        return float(match[1]) * _UNITS[match[2]]


DURATION = Duration()
FILE = click.Path(dir_okay=False, path_type=Path)

# Why a mode cannot honour an option.
WITNESS = {
    "workload": "a witness names its workload",
    "machine": "a witness names its machine",
    "steer": "a replay follows the witness's schedule",
    "steer_by": "a replay follows the witness's schedule",
}
COMMAND = dict.fromkeys(
    ("seconds", "at_most", "machine", "accel", "boot", "steer", "steer_by", "ltp", "configs"),
    "a command after -- boots no kernel of mmrace's",
)
UNSTEERED = dict.fromkeys(("steer", "steer_by"), "this command chooses the steering itself")


def tree_option(*, required: bool = True, multiple: bool = False) -> Decorator:
    """Return the options that name kernel sources."""
    tree = click.option(
        "--tree",
        "trees" if multiple else "tree",
        required=required,
        multiple=multiple,
        metavar="TREE",
        callback=_with_changes,
        help="Kernel source: debian:VERSION, a tree added by `mmrace tree add`, REPO@REVISION, or "
        "the path of a checkout.",
    )
    dirty = click.option(
        "--dirty",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_note_dirty,
        help="Take the checkout that --tree names as it is, uncommitted changes too.",
    )
    return lambda command: tree(dirty(command))


def _note_dirty(context: click.Context, _option: click.Parameter, value: bool) -> None:
    context.meta[_DIRTY] = value


def _with_changes(
    context: click.Context, _option: click.Parameter, value: str | tuple[str, ...] | None
) -> str | tuple[str, ...] | None:
    """Name the content of a checkout in place of its path."""
    if not context.meta.get(_DIRTY) or not value:
        return value
    names = (value,) if isinstance(value, str) else value
    taken = tuple(_taken(context, name) for name in names)
    return taken[0] if isinstance(value, str) else taken


def _taken(context: click.Context, name: str) -> str:
    if not is_checkout(name):
        raise UserError(f"--dirty: {name} is not the path of a checkout; give one, or leave it out")
    app = context.find_root().obj
    with app.step(f"checkout {name}") as tell:
        tree = take_worktree(app.home, name, tell)
        tell(f"= Linux {tree.version}, content {tree.tree_hash[:12]}")
    return tree.name


def series_option(command: Command) -> Command:
    """Let series be named."""
    text = "Series to apply first: a name, mailbox, directory or message-id; repeatable."
    return click.option("--series", multiple=True, help=text)(command)


def arms_options(command: Command) -> Command:
    """Let the series of both kernels of a comparison be named."""
    before = "Series; repeatable. [default: the tree as it is]"
    after = "Series on top of --before; repeatable."
    command = click.option("--after", multiple=True, required=True, help=after)(command)
    return click.option("--before", multiple=True, help=before)(command)


def race_option(
    text: str = "Race to run. [default: the races that the series is about]",
) -> Decorator:
    """Return the option that names one race."""
    return click.option("--race", "race_name", metavar="RACE", help=text)


_CONFIG = (
    click.option(
        "--config",
        "configs",
        multiple=True,
        help="Fragment of mmrace's by name, defconfig or whole .config, packed or not; repeatable.",
    ),
    click.option(
        "--with",
        "checks",
        multiple=True,
        type=click.Choice(fragment_names()),
        metavar="NAME",
        help="Debugging options by name: kasan, lockdep, kcsan, faults ...; repeatable.",
    ),
    click.option(
        "--config-lenient",
        "lenient",
        is_flag=True,
        help="Drop options that this tree or compiler does not have; each is said.",
    ),
)
_NO_SANDBOX = click.option(
    "--no-sandbox",
    is_flag=True,
    help="Build with all your rights, where bubblewrap is missing; runs record it.",
)
_RUN = (
    click.option(
        "--at-most",
        type=DURATION,
        help=f"Maximum time of a run below its min counts. [default: {CAP} times --for]",
    ),
    click.option("--machine", help="Machine of qemu/machines. [default: the race's]"),
    click.option(
        "--accel",
        type=click.Choice(["auto", "kvm", "tcg"]),
        default="auto",
        show_default=True,
        help="QEMU accelerator; auto takes TCG for what windows steer, else KVM. "
        "Steering under KVM: untested.",
    ),
    click.option("--boot", multiple=True, help="Kernel parameter to add; repeatable."),
    click.option(
        "--steer/--no-steer", default=None, help="Steer vCPUs. [default: where windows exist]"
    ),
    click.option(
        "--steer-by",
        type=click.Choice(["director", "kprobe"]),
        default="director",
        show_default=True,
        help="Steering backend: QEMU plugin (TCG) or a kprobe module in the guest.",
    ),
    click.option("--ltp", help="LTP tree added by `mmrace tree add`. [default: the first one]"),
    *_CONFIG,
    _NO_SANDBOX,
    click.option("--seed", type=click.IntRange(0), help="Random seed. [default: a new one]"),
)
_NAMES = tuple(RunOptions.model_fields)


def run_options(seconds: str, what: str = "run") -> Decorator:
    """Return the decorator that gives a command all options of runs, as one ``options``.

    ``seconds`` is the default of ``--for``, of a ``what``.
    """
    least = click.option(
        "--for",
        "seconds",
        type=DURATION,
        default=seconds,
        show_default=True,
        help=f"Minimum time in the race phase of a {what} (guest seconds).",
    )

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def wrapped(*args: Any, no_sandbox: bool, **given: Any) -> Any:
            given["configs"] = _configs(given)
            chosen = {name: given.pop(name) for name in _NAMES if name != "sandbox"}
            if chosen["at_most"] is not None and chosen["at_most"] < chosen["seconds"]:
                raise UserError("--at-most is less than --for; name a longer time")
            options = RunOptions(**chosen, sandbox=not no_sandbox)
            return command(*args, options=options, **given)

        for option in (*reversed(_RUN), least):
            wrapped = option(wrapped)
        return wrapped

    return decorate


def build_options(command: Command) -> Command:
    """Give a command that boots nothing the options of a kernel's build, as one ``options``."""

    @functools.wraps(command)
    def wrapped(*args: Any, no_sandbox: bool, **given: Any) -> Any:
        options = RunOptions(configs=_configs(given), sandbox=not no_sandbox)
        return command(*args, options=options, **given)

    for option in (_NO_SANDBOX, *reversed(_CONFIG)):
        wrapped = option(wrapped)
    return wrapped


def _configs(given: dict[str, Any]) -> tuple[str, ...]:
    """Take what chooses a kernel's config out of the options given, as one sequence of names."""
    lenient = (LENIENT,) if given.pop("lenient") else ()
    return (*given.pop("configs"), *given.pop("checks"), *lenient)


def tls_options(command: Command) -> Command:
    """Give a command the three files of TLS."""
    path = click.Path(exists=True, dir_okay=False)
    for name, what in (("key", "own key"), ("cert", "own certificate"), ("ca", "CA")):
        text = f"PEM file with the {what}, for a scheduler that is not on this host."
        command = click.option(f"--tls-{name}", type=path, help=text)(command)
    return command


@dataclass(frozen=True)
class Place:
    """Where cells run: ``local``, ``local:N`` guests, or the address of a Dask scheduler."""

    on: str = "local"
    store: str = ""
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None


def place_options(command: Command) -> Command:
    """Let a user say where a command's cells run, as one ``place``."""

    @functools.wraps(command)
    def wrapped(*args: Any, **given: Any) -> Any:
        chosen = {field.name: given.pop(field.name) for field in fields(Place)}
        return command(*args, place=Place(**chosen), **given)

    on = click.option(
        "--on",
        default="local",
        show_default=True,
        metavar="ADDRESS",
        help="Where cells run: local, local:N guests, or a Dask scheduler (tcp://, tls://).",
    )
    store = click.option(
        "--store",
        default="",
        metavar="URL",
        help="Where workers find kernels: file://, sftp://, s3://. [default: from here]",
    )
    return on(store(tls_options(wrapped)))


def given(name: str) -> bool:
    """Whether the user gave an option of the current command."""
    source = click.get_current_context().get_parameter_source(name)
    return source not in (None, ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)


def refuse(mode: str, reasons: Mapping[str, str]) -> None:
    """Raise UserError for the first option that was given and that this mode cannot honour."""
    context = click.get_current_context()
    for option in context.command.params:
        if option.name in reasons and given(option.name):
            raise UserError(f"{mode} cannot honour {option.opts[0]}; {reasons[option.name]}")


_REPRODUCER = (
    click.option(
        "--repro",
        "words",
        multiple=True,
        metavar="PROGRAM",
        help="Reproducer in place of a race: C files or a static executable (repeatable), "
        "selftest:PATH or ltp:NAME.",
    ),
    click.option(
        "--crash",
        metavar="WHAT",
        help="The reproducer's failure: a crash title, a regular expression, or a file with a "
        "console log or report. [default: learnt where kernels are compared]",
    ),
    click.option(
        "--procs",
        type=click.IntRange(1, 64),
        default=1,
        show_default=True,
        help="Instances of the reproducer that run at once.",
    ),
    click.option("--user", is_flag=True, help="Run the reproducer as nobody, not as root."),
    click.option(
        "--fails-by",
        type=click.Choice([str(one) for one in FailsBy]),
        multiple=True,
        help="Count the reproducer's own end as a failure too; repeatable. [default: crashes only]",
    ),
)
_OF_REPRODUCERS = dict.fromkeys(("crash", "procs", "user", "fails_by"), "it is about a reproducer")


def reproducer_options(command: Command) -> Command:
    """Give a command these options, as one ``repro``: the race that comes of them, or None.

    UserError for a file that is none, and for an option that is about nothing.
    """

    @functools.wraps(command)
    def wrapped(*args: Any, words: tuple[str, ...], **rest: Any) -> Any:
        chosen = {name: rest.pop(name) for name in _OF_REPRODUCERS}
        if not words:
            refuse("a command without --repro", _OF_REPRODUCERS)
            return command(*args, repro=None, **rest)
        home = click.get_current_context().find_root().obj.home
        return command(*args, repro=race_of(home, words, **chosen), **rest)

    for option in reversed(_REPRODUCER):
        wrapped = option(wrapped)
    return wrapped


def chosen_race(name: str | None, repro: Race | None) -> Race | None:
    """Return the race that was named, or that a reproducer has become; UserError for both."""
    if name and repro:
        raise UserError(f"--race {name} and --repro; name one of them")
    return load_race(name) if name else repro


def out_option(default: str) -> Decorator:
    """Return the option that names the file of a witness to be written."""
    text = f"File for the witness. [default: {default}]"
    return click.option("--out", type=click.Path(path_type=Path), help=text)


def witness_place(out: Path | None, name: str) -> Path:
    """Return where a witness goes, known to be possible before the search that is to find it.

    UserError for a directory, a device or a folder that is not there.
    """
    out = out or Path(f"{name}.witness.toml")
    if out.exists() and not out.is_file():
        raise UserError(f"not a file: {out}; --out names the witness to be written")
    if not out.absolute().parent.is_dir():
        raise UserError(f"not a directory: {out.parent}; --out names the witness to be written")
    return out
