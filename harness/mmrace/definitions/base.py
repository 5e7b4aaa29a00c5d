# SPDX-License-Identifier: GPL-2.0-only
"""A base as people write it in ``patches/<base>/BASE.toml``: which kernels its patches are for."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version
from pydantic import AfterValidator, Field

from mmrace.data import data_dir
from mmrace.errors import UserError
from mmrace.toml import Regex, Table, read_toml


def _versions(text: str) -> str:
    try:
        SpecifierSet(text)
    except InvalidSpecifier as error:
        raise ValueError(f"no range of versions: {error}") from error
    return text


Versions = Annotated[str, AfterValidator(_versions)]


class Pristine(StrEnum):
    """What a tree of this range, as released, is to a race."""

    HAS = "has"  # the bug is in the range's first release
    FIXED = "fixed"  # it was fixed before; `vulnerable` takes the fix out
    NEVER = "never"  # this code cannot have it


class Mark(Table):
    """Text by which a tree is recognised: ``contains`` (a regular expression) found in ``file``."""

    file: str
    contains: Regex
    absent: bool = False

    def holds(self, text: str) -> bool:
        """Whether the file's text (empty when there is none) is as the mark says."""
        return bool(re.search(self.contains, text)) is not self.absent


class RaceState(Table):
    """One race on this base.

    ``fixed_since``: the stable releases (6.1.y, 5.15.y) that have the fix since. ``fixed_if``:
    marks that together show the fix in a tree's own content, whatever its version says.
    """

    pristine: Pristine
    fixed_since: tuple[str, ...] = ()
    fixed_if: tuple[Mark, ...] = ()
    note: str = ""


class Build(Table):
    """What a build of this range needs: environment, and config lines that fragments lack.

    ``guest_cc`` compiles PID 1 and our stressors: a C library is too young for some kernels.
    """

    env: dict[str, str] = Field(default_factory=dict)
    config: tuple[str, ...] = ()
    guest_cc: str = "gcc"


class Make(Table):
    """Variables for make that trees of some versions need, whichever base they have."""

    versions: Versions
    env: dict[str, str]
    why: str


class Need(Table):
    """Config ``lines`` without which a tree that all ``marks`` hold for does not link."""

    lines: tuple[str, ...] = Field(min_length=1)
    marks: tuple[Mark, ...] = Field(min_length=1)
    why: str


class Toolchain(Table):
    """``patches/make.toml``."""

    make: tuple[Make, ...] = ()
    need: tuple[Need, ...] = ()

    def env(self, version: str) -> dict[str, str]:
        """Return the variables for a kernel version."""
        found = [item.env for item in self.make if in_range(version, item.versions)]
        return {name: value for env in found for name, value in env.items()}


class Base(Table):
    """Kernel versions that one directory of patches is for.

    ``tested`` is the release on which the patches were last verified. ``boot``: kernel parameters
    that these kernels need in addition to the machine's. ``covered`` is false for a base that
    stands for a version without patches (``base_for``).
    """

    name: str
    versions: Versions
    tested: str = ""
    boot: tuple[str, ...] = ()
    build: Build = Build()
    race: dict[str, RaceState] = Field(default_factory=dict)
    covered: bool = Field(default=True, exclude=True)

    def covers(self, race: str) -> bool:
        """Whether the base has, or had, a race's bug; true where no base says."""
        if not self.covered:
            return True
        return race in self.race and self.race[race].pristine is not Pristine.NEVER

    def includes(self, version: str) -> bool:
        """Whether a kernel version is in the range; ``-rcN`` counts as the release it leads to."""
        return in_range(version, self.versions)

    def note(self, version: str) -> str:
        """Say that a tree is not the release the patches were verified on; empty when it is."""
        if version == self.tested or not self.covered:
            return ""
        return f"patches/{self.name} was last verified on {self.tested}, this tree is {version}"

    @property
    def folder(self) -> Path:
        """Directory of the base's patches."""
        return data_dir("patches") / self.name


def number(version: str) -> Version:
    """Return the release part of a kernel version: 6.1.0-rc3 and 6.1.0-23-amd64 are 6.1.0."""
    found = re.match(r"\d+(\.\d+)*", version)
    if not found:
        raise UserError(f"not a kernel version: {version!r}; write one such as 6.1.192")
    return Version(found.group())


def in_range(version: str, versions: str) -> bool:
    """Whether a kernel version is in a range (``>=5.7,<5.10``)."""
    return SpecifierSet(versions).contains(number(version))


def load_bases() -> list[Base]:
    """All bases, by version. UserError names a file that is wrong."""
    bases = []
    for path in data_dir("patches").glob("*/BASE.toml"):
        base = read_toml(path, Base)
        if base.name != path.parent.name:
            raise UserError(
                f"{path}: name is {base.name!r}; rename its directory or change the name"
            )
        bases.append(base)
    return sorted(bases, key=lambda base: Version(base.name))


def base_for(version: str) -> Base:
    """Return the base that covers a kernel version, else one without patches of its own.

    A base without patches is named after the release (``6.14``) and is not ``covered``. UserError
    for a text that is no kernel version.
    """
    found = next((base for base in load_bases() if base.includes(version)), None)
    here = number(version)
    base = found or Base(
        name=f"{here.major}.{here.minor}", versions=f"=={here.major}.{here.minor}.*", covered=False
    )
    env = load_toolchain().env(version) | base.build.env
    return base.model_copy(update={"build": base.build.model_copy(update={"env": env})})


def load_toolchain() -> Toolchain:
    """Read what builds need whichever base their tree has."""
    return read_toml(data_dir("patches") / "make.toml", Toolchain)


def nearest_bases(version: str) -> list[Base]:
    """Return the bases below and above a version that no base covers, the nearer one first."""
    here = number(version)
    bases = load_bases()
    below = [base for base in bases if Version(base.name) < here][-1:]
    above = [base for base in bases if Version(base.name) > here][:1]
    return sorted(below + above, key=lambda base: abs(_ordinal(number(base.name)) - _ordinal(here)))


def _ordinal(version: Version) -> int:
    """Count releases: a major number has had 20 minor ones since 3.0, but for one more in 4.x."""
    return version.major * 20 + version.minor
