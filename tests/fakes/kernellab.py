# SPDX-License-Identifier: GPL-2.0-only
"""Builds of the toy tree in tests/fakes/linux: real make and gcc, no sandbox, no real kernel."""

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmrace.building.build import build_kernel
from mmrace.building.directory import BuildDirectory
from mmrace.building.kernel import Kernel
from mmrace.building.module import build_module
from mmrace.building.request import Request, request_kernel
from mmrace.definitions.base import Base, Build
from mmrace.home import Home
from mmrace.proc import Sandbox

FAKE = Path(__file__).parents[1] / "fakes" / "linux"
ROOT = ("commit-root", "root")  # the commit whose files no test changes, and its tree


def base(env: dict[str, str] | None = None, config: tuple[str, ...] = ()) -> Base:
    return Base(
        name="6.1", versions="~=6.1.0", tested="6.1.192", build=Build(env=env or {}, config=config)
    )


def on_the_host(self: Sandbox, argv: Sequence[str], env: Mapping[str, str]) -> list[str]:
    """Do without a namespace: put the host's paths in the place of those inside."""
    hosts = {bind.inside: str(bind.host) for bind in self.binds}
    names = "|".join(re.escape(name) for name in hosts)
    words = [re.sub(rf"(?<![\w/])({names})\b", lambda m: hosts[m[1]], word) for word in argv]
    settings = [f"{key}={value}" for key, value in env.items()]
    return ["env", "-i", f"PATH={os.environ['PATH']}", *settings, *words]


class Lab:
    """A home, and a tree whose files a test changes between builds."""

    def __init__(self, top: Path) -> None:
        self.home = Home(top / "cache", top / "data")
        self.tree = top / "tree"
        self.messages: list[str] = []
        self.root = ("", "")
        shutil.copytree(FAKE, self.tree)

    def checkout(self, _home: Home, commit: str, folder: Path) -> None:
        tree = FAKE if commit == ROOT[0] else self.tree
        for path in tree.rglob("*"):
            there = folder / path.relative_to(tree)
            if path.is_dir():
                there.mkdir(parents=True, exist_ok=True)
            elif not there.exists() or there.read_bytes() != path.read_bytes():
                there.unlink(missing_ok=True)  # as git does: files may have other names
                shutil.copyfile(path, there)

    def build(
        self,
        tree_hash: str = "a",
        configs: Sequence[str | Path] = ("migration",),
        on: Base | None = None,
        outside: bool = False,
        touched: Sequence[tuple[str, str]] = (),
    ) -> Kernel:
        self.messages.clear()
        wanted = self.request(tree_hash, configs, on, outside, touched)
        return build_kernel(self.home, wanted, self.messages.append)

    def request(
        self,
        tree_hash: str = "a",
        configs: Sequence[str | Path] = ("migration",),
        on: Base | None = None,
        outside: bool = False,
        touched: Sequence[tuple[str, str]] = (),
    ) -> Request:
        commit = f"commit-{tree_hash}"
        return request_kernel(
            self.home,
            commit,
            tree_hash,
            on or base(),
            configs,
            outside=outside,
            touched=touched,
            root=self.root,
        )

    def module(self, kernel: Kernel, sources: Path, outside: bool = False) -> Path:
        self.messages.clear()
        wanted = self.request(outside=outside)
        return build_module(self.home, kernel, wanted, sources, self.messages.append)

    def compiled(self) -> list[str]:
        return [text.split()[-1] for text in self.messages if text.endswith(".o")]

    def benches(self) -> list[BuildDirectory]:
        return [BuildDirectory(self.home, path.name) for path in self.home.builds.glob("*")]


def same_in_other_words(tmp_path: Path) -> list[str | Path]:
    path = tmp_path / "same.config"
    path.write_text("# a comment only\nCONFIG_MIGRATION=y\n")
    return ["migration", path]
