# SPDX-License-Identifier: GPL-2.0-only
"""Options that commands share; what a mode cannot honour is refused by name."""

import functools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from mmrace.definitions.race import FailsBy, Race, load_race
from mmrace.definitions.witness import Witness, load_witness
from mmrace.errors import UserError
from mmrace.lazy import Lazy

Command = Callable[..., Any]
Decorator = Callable[[Command], Command]
_DIRTY, PLACE = "mmrace.dirty", "mmrace.place"  # in the meta of click's contexts
userkernel, kernels = Lazy("mmrace.building.userkernel"), Lazy("mmrace.runs.kernels")
reproducing, worktree = Lazy("mmrace.experiments.reproducing"), Lazy("mmrace.sources.worktree")
_RACE = "Race to run. [default: the races whose functions the series changes]"
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


class WitnessFile(click.ParamType[Witness]):
    """Converts the name of a file to the witness in it."""

    name = "file"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Witness:
        """Return the witness; UserError for a file that has none."""
        return value if isinstance(value, Witness) else load_witness(Path(str(value)))


DURATION = Duration()
WITNESS_FILE = WitnessFile()
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


def kernel_option(command: Command) -> Command:
    """Let a kernel that its user built stand for a tree, as ``tree``."""
    return gathered("tree", _source, tree_option(required=False), *_OWN_KERNEL)(command)


def _source(**given: Any) -> Any:
    if not (given["tree"] or given["kernel"]):
        raise click.UsageError("Missing option '--tree'.", click.get_current_context())
    app = click.get_current_context().find_root().obj
    return kernels.choose_source(app.home, app.step, **given)


def vmlinux_option(command: Command) -> Command:
    """Let a vmlinux be named, or the build directory that has it, as ``vmlinux``."""
    return gathered("vmlinux", _vmlinux, *_OWN_KERNEL)(command)


def _vmlinux(kernel: Path | None, vmlinux: Path | None) -> Path | None:
    home = click.get_current_context().find_root().obj.home
    return userkernel.take_kernel(home, kernel, vmlinux).vmlinux if kernel else vmlinux


_OWN_KERNEL = (
    click.option(
        "--kernel",
        type=click.Path(exists=True, path_type=Path),
        metavar="IMAGE",
        help="Kernel that you have built: a bzImage or its build directory.",
    ),
    click.option(
        "--vmlinux", type=FILE, help="The kernel's vmlinux, for steering and source lines."
    ),
)


def tree_option(
    *, required: bool = True, multiple: bool = False, default: str | None = None
) -> Decorator:
    """Return the options that name kernel sources."""
    tree = click.option(
        "--tree",
        "trees" if multiple else "tree",
        required=required and not default,
        default=default,
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
        callback=lambda context, _option, value: context.meta.update({_DIRTY: value}),
        help="Include uncommitted changes of the checkout that --tree names.",
    )
    return lambda command: tree(dirty(command))


def _with_changes(
    context: click.Context, _option: click.Parameter, value: str | tuple[str, ...] | None
) -> str | tuple[str, ...] | None:
    """Name the content of a checkout in place of its path."""
    if not context.meta.get(_DIRTY) or not value:
        return value
    app = context.find_root().obj
    names = (value,) if isinstance(value, str) else value
    taken = tuple(worktree.name_content(app.home, name, app.step) for name in names)
    return taken[0] if isinstance(value, str) else taken


series_option = click.option(
    "--series", multiple=True, help="Series: a name, file, directory or message-id; repeatable."
)
workload_option = click.option(
    "--workload", help="Workload. [default: the race's workload for hunts, or its first]"
)
runs_option = click.option(
    "--runs", "count", type=click.IntRange(1), default=1, help="Runs of each workload."
)
alpha_option = click.option(
    "--alpha", type=float, default=0.001, help="Highest probability of a wrong FIXED."
)
witness_option = click.option(
    "--witness", type=WITNESS_FILE, help="Replay the schedule in this file in every run."
)


def arms_options(command: Command) -> Command:
    """Let the series of both kernels of a comparison be named."""
    before = "Series; repeatable. [default: the tree as it is]"
    after = "Series on top of --before; repeatable."
    command = click.option("--after", multiple=True, required=True, help=after)(command)
    return click.option("--before", multiple=True, help=before)(command)


def race_option(text: str = _RACE) -> Decorator:
    """Return the option that names one race."""
    return click.option("--race", "race_name", metavar="RACE", help=text)


def gathered(name: str, make: Callable[..., Any], *options: Decorator) -> Decorator:
    """Return the decorator that gives a command options, and as ``name`` what ``make`` returns.

    ``make`` takes the options' values by their names.
    """

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def wrapped(*args: Any, **given: Any) -> Any:
            made = make(**{key: given.pop(key) for key in names})
            return command(*args, **{name: made}, **given)

        params = wrapped.__dict__.setdefault("__click_params__", [])
        before = len(params)
        for option in reversed(options):
            option(wrapped)
        names = [one.name for one in params[before:] if one.expose_value]
        return wrapped

    return decorate


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
        help="Instances of the reproducer that run at once.",
    ),
    click.option(
        "--user", is_flag=True, help="Run the reproducer as the user nobody, not as root."
    ),
    click.option(
        "--fails-by",
        type=click.Choice([str(one) for one in FailsBy]),
        multiple=True,
        help="Count this end of the reproducer as a failure; repeatable. [default: crashes only]",
    ),
)
_OF_REPRODUCERS = dict.fromkeys(("crash", "procs", "user", "fails_by"), "it is about a reproducer")


def _reproducer(words: tuple[str, ...], **chosen: Any) -> Any:
    """Return the race that a reproducer becomes.

    UserError for a file that is none, and for an option that is about nothing.
    """
    if not words:
        refuse("a command without --repro", _OF_REPRODUCERS)
        return None
    home = click.get_current_context().find_root().obj.home
    return reproducing.race_of(home, words, **chosen)


reproducer_options = gathered("repro", _reproducer, *_REPRODUCER)


def _race_or_reproducer(race_name: str | None, **chosen: Any) -> Race | None:
    repro = _reproducer(**chosen)
    if race_name and repro:
        raise UserError(f"--race {race_name} and --repro; name one of them")
    return load_race(race_name) if race_name else repro


def subject_options(text: str = _RACE) -> Decorator:
    """Return the decorator that gives a command the race of --race or --repro, as one ``race``."""
    return gathered("race", _race_or_reproducer, race_option(text), *_REPRODUCER)


def out_option(default: str) -> Decorator:
    """Return the option that names the file of a witness to be written."""
    text = f"File for the witness. [default: {default}]"
    return click.option("--out", type=click.Path(path_type=Path), help=text)
