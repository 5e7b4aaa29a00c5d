# SPDX-License-Identifier: GPL-2.0-only
"""A request for a kernel: its config, what its id is made of, and which kernel it came to."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mmrace.building.directory import FIXED_ENV
from mmrace.building.kconfig import ConfigRequest, config_request
from mmrace.building.kernel import Kernel, load_kernel
from mmrace.building.needs import find_needs
from mmrace.building.tools import missing_tools, toolchain
from mmrace.definitions.base import Base
from mmrace.home import Home

# To be raised whenever kernels come out differently for equal inputs.
RECIPE = 1


@dataclass(frozen=True)
class Request:
    """A kernel that is asked for; ``asked`` hashes all but the tree, ``inputs`` are for the id."""

    base: str
    commit: str
    tree_hash: str
    config: ConfigRequest
    asked: str
    inputs: tuple[object, ...]
    touched: Mapping[str, str]


def read_configs(
    home: Home,
    tree_hash: str,
    base: Base,
    configs: Sequence[str | Path],
    *,
    sandboxed: bool = True,
) -> tuple[ConfigRequest, tuple[object, ...], str]:
    """Return the config, what else goes into an id but the tree, and the hash of both."""
    if error := missing_tools(sandboxed=sandboxed):
        raise error
    env = tuple(sorted(base.build.env.items()))
    inputs: tuple[object, ...] = (RECIPE, toolchain(dict(env)), env, sorted(FIXED_ENV.items()))
    inputs += () if sandboxed else ("no sandbox",)  # it sees other paths
    needs = [line for need in find_needs(home, tree_hash) for line in need.lines]
    name = "patches/make.toml" if needs else f"patches/{base.name}/BASE.toml"
    config = config_request(configs, extra=(*base.build.config, *needs), extra_name=name)
    asked = asdict(config)
    if not config.lenient:
        del asked["lenient"]  # as requests were before there was the word
    return config, inputs, digest([*inputs, asked])


def memo_of(home: Home, tree_hash: str, asked: str) -> Path:
    """File that remembers which kernel a request came to."""
    return home.kernels / "requests" / digest([tree_hash, asked])


def recall(home: Home, memo: Path) -> Kernel | None:
    """Return the kernel of a request that was built before; None when it is not there."""
    try:
        kernel_id, *notes = memo.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    kernel = load_kernel(home, kernel_id)
    return replace(kernel, notes=tuple(notes)) if kernel else None


def built_among(
    home: Home, tree_hashes: Iterable[str], base: Base, configs: Sequence[str | Path]
) -> set[str]:
    """Return those trees whose kernels are in the home; same errors as ``build_kernel``."""
    return {
        one
        for one in tree_hashes
        if recall(home, memo_of(home, one, read_configs(home, one, base, configs)[2]))
    }


def digest(parts: object) -> str:
    """Hash values that JSON can hold."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
