# SPDX-License-Identifier: GPL-2.0-only
"""A request for a kernel: its config, what its id is made of, and which kernel it came to."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from mmrace.building.directory import FIXED_ENV
from mmrace.building.kconfig import ConfigRequest, config_request, mainline
from mmrace.building.kernel import Kernel, load_kernel
from mmrace.building.needs import find_needs
from mmrace.building.tools import missing_tools, toolchain
from mmrace.definitions.base import Base
from mmrace.errors import InfraError
from mmrace.home import Home, write_file

# To be raised whenever kernels come out differently for equal inputs.
RECIPE = 1


@dataclass(frozen=True)
class Request:
    """A request for a kernel: everything that a build needs, except for the tree's objects.

    ``config_digest``: SHA-256 over everything except the tree. ``inputs``: what the kernel id is
    made of. ``env``: what the base adds to the environment. ``outside``: whether patches came from
    outside. ``touched``: by file, the patch that changes it. Without ``sandboxed`` makefiles have
    all rights of mmrace. ``root``: commit and hash of the tree without any series, "" for unknown.
    """

    base: str
    env: tuple[tuple[str, str], ...]
    commit: str
    tree_hash: str
    config: ConfigRequest
    config_digest: str
    inputs: tuple[object, ...]
    touched: Mapping[str, str] = field(default_factory=dict)
    outside: bool = False
    sandboxed: bool = True
    root: tuple[str, str] = ("", "")

    @property
    def key(self) -> str:
        """A name for it, the same for equal requests."""
        return f"build-{digest([self.tree_hash, self.config_digest])[:16]}"

    @property
    def ground(self) -> "Request":
        """The same for the tree without any series."""
        commit, tree_hash = self.root
        return replace(self, commit=commit, tree_hash=tree_hash, touched={}, outside=False)

    def kernel_id(self, config: str) -> str:
        """Return the id of its kernel once its .config is known."""
        return digest([*self.inputs, self.tree_hash, config])[:16]


def request_kernel(
    home: Home,
    commit: str,
    tree_hash: str,
    base: Base,
    configs: Sequence[str | Path],
    *,
    outside: bool,
    touched: Iterable[tuple[str, str]] = (),
    sandboxed: bool = True,
    root: tuple[str, str] = ("", ""),
) -> Request:
    """Return a request; UserError for conflicting fragments, InfraError for missing tools."""
    config, inputs, config_digest = read_configs(
        home, tree_hash, base, configs, sandboxed=sandboxed
    )
    env = tuple(sorted(base.build.env.items()))
    touches = dict(touched)
    return Request(
        base.name,
        env,
        commit,
        tree_hash,
        config,
        config_digest,
        inputs,
        touches,
        outside,
        sandboxed,
        root,
    )


def read_configs(
    home: Home,
    tree_hash: str,
    base: Base,
    configs: Sequence[str | Path],
    *,
    sandboxed: bool = True,
) -> tuple[ConfigRequest, tuple[object, ...], str]:
    """Return the config, what else goes into an id but the tree, and the hash of both."""
    inputs = _inputs(base.build.env, sandboxed=sandboxed)
    needs = [line for need in find_needs(home, tree_hash) for line in need.lines]
    name = "patches/make.toml" if needs else f"patches/{base.name}/BASE.toml"
    config = config_request(configs, extra=(*base.build.config, *needs), extra_name=name)
    fields = asdict(config)
    if not config.lenient:
        del fields["lenient"]  # as requests were before there was the word
    return config, inputs, digest([*inputs, fields, sorted(mainline())])


def check_inputs(order: Request) -> None:
    """Raise InfraError if this host's tools differ from those of the requesting host."""
    here = _inputs(dict(order.env), sandboxed=order.sandboxed)
    if digest(here) != digest(order.inputs):
        raise InfraError(
            f"its compiler and linker, {_tools(here)}, are not the submitter's, "
            f"{_tools(order.inputs)}; install the same there"
        )


def _inputs(env: Mapping[str, str], *, sandboxed: bool) -> tuple[object, ...]:
    if error := missing_tools(sandboxed=sandboxed):
        raise error
    added = tuple(sorted(env.items()))
    inputs: tuple[object, ...] = (RECIPE, toolchain(dict(env)), added, sorted(FIXED_ENV.items()))
    return inputs if sandboxed else (*inputs, "no sandbox")  # it sees other paths


def _tools(inputs: Sequence[object]) -> str:
    found = inputs[1]
    return " and ".join(map(str, found)) if isinstance(found, list | tuple) else str(found)


def recall(home: Home, order: Request) -> Kernel | None:
    """Return the kernel of a request that was built before; None when it is not there."""
    return _recall(home, order.tree_hash, order.config_digest)


def remember(home: Home, order: Request, kernel: Kernel) -> None:
    """Note which kernel a request came to."""
    memo = _memo(home, order.tree_hash, order.config_digest)
    write_file(memo, "\n".join((kernel.id, *kernel.notes)))


def _memo(home: Home, tree_hash: str, config_digest: str) -> Path:
    """File that remembers which kernel a request came to."""
    return home.kernels / "requests" / digest([tree_hash, config_digest])


def _recall(home: Home, tree_hash: str, config_digest: str) -> Kernel | None:
    try:
        memo = _memo(home, tree_hash, config_digest)
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
        one for one in tree_hashes if _recall(home, one, read_configs(home, one, base, configs)[2])
    }


def digest(parts: object) -> str:
    """Hash values that JSON can hold."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
