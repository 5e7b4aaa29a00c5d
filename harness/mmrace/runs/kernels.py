# SPDX-License-Identifier: GPL-2.0-only
"""From what a user names (tree, series, configs) to a kernel that can be booted."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from mmrace.building.kconfig import DEFAULT_FRAGMENTS
from mmrace.building.kernel import Kernel, build_kernel, build_module
from mmrace.data import data_dir
from mmrace.definitions.base import Base, base_for
from mmrace.definitions.race import Race, load_race, race_names
from mmrace.home import Home
from mmrace.patching.applied import function_diff
from mmrace.patching.intake import Intake, said
from mmrace.patching.series import Applied, Series, apply_series, with_build
from mmrace.patching.subject import Subject, read_change, subjects, unfit
from mmrace.runs.options import DELAY_CONFIG
from mmrace.sources.history import find_revision, is_revision
from mmrace.sources.tree import Tree, find_tree
from mmrace.symbols.resolve import Resolver

Tell = Callable[[str], None]
Step = Callable[[str], AbstractContextManager[Tell]]
DEFAULT = Intake()


@dataclass(frozen=True)
class Built:
    """A tree with series on top, and the kernel that came of it; ``notes`` go into its runs.

    ``configs``: what it has beside the fragments of all races. ``delay`` is the module that steers
    by kprobes, where the config asked for it. ``guest_cc`` compiles programs that the kernel can
    run; ``boot`` are the parameters that its base wants.
    """

    tree: Tree
    series: tuple[str, ...]
    applied: Applied
    kernel: Kernel
    notes: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()
    delay: Path | None = None
    guest_cc: str = "gcc"
    boot: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Tree and series as people read them."""
        return " + ".join(self.series) or self.tree.name

    def suits(self, race: Race) -> bool:
        """Whether the race can show on it: it has what the race's own kernel has."""
        return set(race.own_config) <= set(self.configs)

    def resolver(self) -> Resolver:
        """Return what finds sync points in this kernel; its answers are kept beside the kernel."""
        name = f"{self.tree.name} {'+'.join(self.series)} ({self.kernel.release})"
        return Resolver(self.kernel.vmlinux, name, self.kernel.folder / "points.json")


def fragments() -> tuple[str, ...]:
    """Names of the fragments that a kernel for any of the races needs, so that they share one."""
    wanted = [name for race in map(load_race, race_names()) for name in race.config]
    return tuple(dict.fromkeys([*DEFAULT_FRAGMENTS, *wanted]))


def find_source(home: Home, name: str, tell: Tell) -> Tree:
    """Return a tree by name, or a revision of a repository."""
    return (find_revision if is_revision(name) else find_tree)(home, name, tell)


def build(
    home: Home,
    tree_name: str,
    series: Iterable[str],
    configs: Iterable[str],
    step: Step,
    intake: Intake = DEFAULT,
) -> Built:
    """Tree, series and config become a kernel; each step is shown, whatever was reused said."""
    names = tuple(name for name in series if name != "none")
    configs = tuple(configs)
    wanted = (*fragments(), *configs)
    with step(f"tree {tree_name}") as tell:
        tree = find_source(home, tree_name, tell)
        tell(f"= Linux {tree.version}, {tree.commit[:12]}")
    base = base_for(tree.version)
    names = with_build(names, base)
    resolved, applied = _apply(home, tree, names, base, step, intake)
    outside = any(item.outside for item in resolved)
    with step(f"build {tree.version} {' + '.join(names) or 'as it is'}") as tell:
        kernel = build_kernel(
            home,
            applied.commit,
            applied.tree_hash,
            base,
            wanted,
            outside=outside,
            progress=tell,
            touched=applied.touched,
            sandboxed=intake.sandboxed,
        )
        how = (", reused" if kernel.reused else "") + (f"; {kernel.dropped}" * bool(kernel.dropped))
        tell("\n  ".join((f"= {kernel.id[:12]}{how}", *kernel.notes)))
    module = None
    if DELAY_CONFIG in wanted:
        with step("the module that delays") as tell:
            module = build_module(
                home,
                kernel,
                applied.commit,
                applied.tree_hash,
                base,
                wanted,
                data_dir("qemu") / "kprobe-delay",
                outside=outside,
                progress=tell,
                sandboxed=intake.sandboxed,
            )
            tell(f"= {module.parent.name}")
    notes = [*said(resolved), *applied.notes]
    notes += [] if intake.sandboxed else ["built without a sandbox"]
    return Built(
        tree,
        tuple(item.name for item in resolved),
        applied,
        kernel,
        tuple(notes),
        configs,
        module,
        guest_cc=base.build.guest_cc,
        boot=base.boot,
    )


def _apply(
    home: Home, tree: Tree, names: tuple[str, ...], base: Base, step: Step, intake: Intake
) -> tuple[list[Series], Applied]:
    with step(f"apply {' + '.join(names) or 'nothing'}") as tell:
        resolved = intake.resolve(home, names, base)
        applied = apply_series(home, tree, resolved, tell)
        parts = [f"{len(applied.applied)} applied", f"{len(applied.already)} already there"]
        tell("= " + "; ".join([*parts, *said(resolved), *applied.notes]))
    return resolved, applied


def races_about(home: Home, before: str, after: str) -> tuple[Subject, ...]:
    """Return the races that the change between two commits is about.

    Raises UserError when there is none.
    """
    change = read_change(function_diff(home, before, after))
    found = subjects(change, map(load_race, race_names()))
    if not found:
        raise unfit(change)
    return found
