# SPDX-License-Identifier: GPL-2.0-only
"""Kconfig fragments: what is asked for, and whether it is in the config that came out."""

import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mmrace.building.packed import read_config
from mmrace.data import data_dir
from mmrace.errors import UserError

Version = tuple[int, ...]

DEFAULT_FRAGMENTS = (
    "base",
    "numa",
    "hugetlb",
    "thp",
    "userfaultfd",
    "migration",
    "memory-failure",
    "trace",
    "selftests",
    "debug",
)

_SET = re.compile(r"CONFIG_(\w+)=(.*)")
_UNSET = re.compile(r"# CONFIG_(\w+) is not set")
_CONDITION = re.compile(r"# \[(.+)\]")
_COMPARE = {"<": operator.lt, ">=": operator.ge}
_GENERATED = "Automatically generated file"  # kconfig's own header of a whole .config
_NAMED = re.compile(r"(?:.*\s)?(?:CONFIG_)?([A-Z0-9_]+)(?:=(\S+))?")
# Among the configs that a user names: drop what a tree does not have.
LENIENT = "lenient"
USER = 2  # rank of a user's fragments


@dataclass(frozen=True)
class Fragment:
    """A fragment's text under the name that messages give it.

    Fragments of higher ``rank`` override: 0 mmrace's own, 1 the base's (BASE.toml), 2 the user's.
    """

    name: str
    text: str
    rank: int = 0


@dataclass(frozen=True)
class Option:
    """One request, ``name`` without CONFIG_; ``value`` is ``n`` for "is not set".

    ``rank`` and ``line`` are the fragment's and its line.
    """

    name: str
    value: str
    fragment: str
    rank: int = field(default=0, compare=False)
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class ConfigRequest:
    """All that a config is made from; ``defconfig`` or ``whole`` replace allnoconfig as start.

    ``lenient``: what of the user's fragments a tree does not have is dropped, not refused.
    """

    fragments: tuple[Fragment, ...]
    defconfig: str = ""
    whole: str = ""
    lenient: bool = False

    @property
    def users(self) -> bool:
        """Whether any of it is the user's own."""
        theirs = any(fragment.rank == USER for fragment in self.fragments)
        return theirs or bool(self.defconfig or self.whole)


def assignment(name: str, value: str) -> str:
    """Return the line of a .config that gives an option a value."""
    return f"# CONFIG_{name} is not set" if value == "n" else f"CONFIG_{name}={value}"


def parse_config(text: str) -> dict[str, str]:
    """Return the options of a .config; one that is not set has the value ``n``."""
    options = {}
    for line in text.splitlines():
        if match := _SET.fullmatch(line.strip()):
            options[match[1]] = match[2]
        elif match := _UNSET.fullmatch(line.strip()):
            options[match[1]] = "n"
    return options


def kernel_version(makefile: str) -> Version:
    """Read (6, 1, 192) out of a kernel's top Makefile; UserError when it is none."""
    found = dict(re.findall(r"^(VERSION|PATCHLEVEL|SUBLEVEL)\s*=\s*(\d+)\s*$", makefile, re.M))
    if len(found) < 3:
        raise UserError("the tree's Makefile states no kernel version; name a kernel source")
    return int(found["VERSION"]), int(found["PATCHLEVEL"]), int(found["SUBLEVEL"])


def parse_fragment(fragment: Fragment, version: Version) -> tuple[Option, ...]:
    """Return what a fragment asks of a tree of this version.

    A line ``# [>=5.12 <5.18]`` restricts what follows it, up to the next empty line. UserError
    names the line that is neither an option nor a comment, and what may have been meant.
    """
    options = []
    applies = True
    for number, raw in enumerate(fragment.text.splitlines(), 1):
        line = raw.strip()
        where = f"{fragment.name}:{number}"
        if not line:
            applies = True
        elif match := _CONDITION.fullmatch(line):
            applies = _holds(match[1], version, where)
        elif match := _SET.fullmatch(line) or _UNSET.fullmatch(line):
            if applies:
                value = match[2] if match.re is _SET else "n"
                options.append(Option(match[1], value, fragment.name, fragment.rank, number))
        elif not line.startswith("#"):
            raise UserError(f"{where}: {line!r} is not CONFIG_NAME=value; {_suggest(line)}")
    return tuple(options)


def _suggest(line: str) -> str:
    """The line that the user may have meant; scripts/config takes such words."""
    match = _NAMED.fullmatch(line)
    if not match:
        return "write that, or a comment"
    off = line.startswith(("-d ", "--disable "))
    return f"write {assignment(match[1], 'n' if off else match[2] or 'y')}"


def _holds(conditions: str, version: Version, where: str) -> bool:
    held = True
    for word in conditions.split():
        match = re.fullmatch(r"(<|>=)(\d+(?:\.\d+)*)", word)
        if not match:
            raise UserError(f"{where}: not a condition: {word!r}; write <6.10 or >=5.12")
        bound = tuple(int(part) for part in match[2].split("."))
        held = held and _COMPARE[match[1]](version, bound)
    return held


def merge(fragments: Iterable[Fragment], version: Version) -> tuple[Option, ...]:
    """Return the requests of all fragments, those of higher rank in the place of lower ones.

    UserError names both fragments of one rank that ask for different values of an option.
    """
    merged: dict[str, tuple[int, Option]] = {}
    for fragment in sorted(fragments, key=lambda one: one.rank):
        for option in parse_fragment(fragment, version):
            rank, old = merged.get(option.name, (-1, option))
            if rank == fragment.rank and old.value != option.value:
                raise UserError(
                    f"CONFIG_{option.name}: {old.fragment} asks for {old.value}, "
                    f"{option.fragment} for {option.value}; drop one of the two"
                )
            merged[option.name] = (fragment.rank, option)
    return tuple(option for _, option in merged.values())


def built_in(options: Iterable[Option]) -> tuple[Option, ...]:
    """The same, with what the user wants as modules built in: the guest loads none."""
    return tuple(
        replace(option, value="y") if option.value == "m" and option.rank == USER else option
        for option in options
    )


def not_stuck(options: Iterable[Option], config: Mapping[str, str]) -> tuple[Option, ...]:
    """Return the requests that are not in a finished config (one absent there counts as n)."""
    return tuple(
        option
        for option in options
        if config.get(option.name, "n") != option.value
        # an int of 0 is how older trees say what newer ones say with n
        and not (option.value == "n" and config[option.name] == "0")
    )


def dispensable() -> frozenset[str]:
    """Options that the fragments ask for and a guest works without (``configs/wanted``)."""
    return _names("wanted")


def yielding() -> frozenset[str]:
    """Options of the fragments that a whole config decides, where it names them.

    They are listed in ``configs/yielding``.
    """
    return _names("yielding")


def mainline() -> frozenset[str]:
    """Options that mainline's kernels switch on by themselves (``configs/mainline``)."""
    return _names("mainline")


def _names(file: str) -> frozenset[str]:
    text = (data_dir("configs") / file).read_text(encoding="utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))


def fragment_names() -> list[str]:
    """Names of the fragments that come with mmrace, sorted."""
    return sorted(path.stem for path in data_dir("configs").glob("*.config"))


def load_fragment(name: str) -> Fragment:
    """Read one of mmrace's fragments; UserError when there is none of that name."""
    path = data_dir("configs") / f"{name}.config"
    if not path.is_file():
        raise UserError(f"no config fragment named {name!r}; known: {', '.join(fragment_names())}")
    return Fragment(f"configs/{path.name}", path.read_text(encoding="utf-8"))


def config_request(
    chosen: Sequence[str | Path], *, extra: Sequence[str] = (), extra_name: str = "BASE.toml"
) -> ConfigRequest:
    """Combine fragments and at most one start.

    ``chosen`` are mmrace's fragments by name (``kasan``) or path, the user's files (a fragment, or
    a whole .config, packed or not), the tree's defconfigs (``x86_64_defconfig``), and ``LENIENT``;
    ``extra`` are lines that the base asks for. UserError for what is none of these, for a line that
    is no option, and for two starts.
    """
    fragments = [Fragment(extra_name, "\n".join(extra), rank=1)] if extra else []
    defconfig = whole = ""
    starts = []
    names = dict.fromkeys(str(item) for item in chosen)
    for name in names:
        if name == LENIENT:
            continue
        if own := _own(name):
            fragments.append(load_fragment(own))
        elif Path(name).is_file():
            text = read_config(Path(name))
            if _GENERATED in text:
                whole = text
                starts.append(name)
            else:
                fragments.append(Fragment(name, text, USER))
                parse_fragment(
                    fragments[-1], (0,)
                )  # mistakes are reported before anything is built
        elif re.fullmatch(r"\w*defconfig", name):
            defconfig = name
            starts.append(name)
        else:
            known = ", ".join(fragment_names())
            raise UserError(
                f"no config named {name!r}; give a file, a defconfig or one of: {known}"
            )
    if len(starts) > 1:
        raise UserError(f"{starts[0]} and {starts[1]} are both whole configs; choose one")
    return ConfigRequest(tuple(dict.fromkeys(fragments)), defconfig, whole, LENIENT in names)


def _own(name: str) -> str:
    """Name of the fragment of mmrace's that is meant, by name or path; empty when none is."""
    path = Path(name)
    if path.suffix == ".config" and path.parent == data_dir("configs"):
        return path.stem
    return name if name in fragment_names() else ""
