# SPDX-License-Identifier: GPL-2.0-only
"""From the user's words (tree, series, configs) to a kernel that can be booted."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from mmrace.building.build import build_kernel
from mmrace.building.kconfig import DEFAULT_FRAGMENTS
from mmrace.building.kernel import Kernel, load_kernel
from mmrace.building.module import build_module
from mmrace.building.request import Request, request_kernel
from mmrace.building.userkernel import take_kernel
from mmrace.data import data_dir
from mmrace.definitions.base import Base, base_for
from mmrace.definitions.race import Race, load_race, race_names
from mmrace.errors import UserError
from mmrace.home import Home
from mmrace.patching.applied import function_diff
from mmrace.patching.intake import Intake, series_notes
from mmrace.patching.series import Applied, Series, apply_series, with_build
from mmrace.patching.subject import Subject, read_change, subjects, unfit
from mmrace.progress import Step, Tell
from mmrace.runs.options import DELAY_CONFIG
from mmrace.runs.record import RunDir
from mmrace.sources.history import find_revision, is_revision
from mmrace.sources.tree import Tree, find_tree
from mmrace.symbols.resolve import Resolver

DEFAULT = Intake()
Builder = Callable[[Home, Request, Tell], Kernel]
OWN = "kernel:"  # prefix, before the kernel id, of the tree name of a user's own kernel


@dataclass(frozen=True)
class Built:
    """A tree with series on top, and its kernel; ``notes`` are copied to its runs.

    ``configs``: the configuration besides the fragments of all races. ``delay``: the module that
    steers by kprobes, if the configuration includes it. ``guest_cc``: compiler for programs that
    the kernel can run. ``boot``: kernel parameters that its base needs. ``own``: a kernel built by
    the user.
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
    own: bool = False

    @property
    def name(self) -> str:
        """Tree and series, for people."""
        return " + ".join(self.series) or self.tree.name

    def suits(self, race: Race) -> bool:
        """Whether the kernel has the configuration that the race needs."""
        return self.own or set(race.own_config) <= set(self.configs)

    def resolver(self) -> Resolver:
        """Return the resolver of sync points in this kernel.

        Results are cached beside the kernel.
        """
        name = f"{self.tree.name} {'+'.join(self.series)} ({self.kernel.release})"
        return Resolver(self.kernel.vmlinux, name, self.kernel.folder / "points.json")


def fragments() -> tuple[str, ...]:
    """Names of the fragments of all races, so that they share one kernel."""
    needed = [name for race in map(load_race, race_names()) for name in race.config]
    return tuple(dict.fromkeys([*DEFAULT_FRAGMENTS, *needed]))


@dataclass(frozen=True)
class Prepared:
    """A tree of a base, and the commit with series on top of it."""

    tree: Tree
    base: Base
    resolved: tuple[Series, ...]
    applied: Applied

    @property
    def series(self) -> tuple[str, ...]:
        """Names of the series, as resolved."""
        return tuple(item.name for item in self.resolved)

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for people on the series and how they applied."""
        return (*series_notes(self.resolved), *self.applied.notes)


def find_source(home: Home, name: str, tell: Tell) -> Tree:
    """Return a tree by name, or a revision of a repository as a tree."""
    return (find_revision if is_revision(name) else find_tree)(home, name, tell)


def build(
    home: Home,
    tree_name: str,
    series: Iterable[str],
    configs: Iterable[str],
    step: Step,
    intake: Intake = DEFAULT,
    builder: Builder | None = None,
    prepared: Prepared | None = None,
) -> Built:
    """Build the kernel of a tree with series and configs.

    Each step is shown, reused ones are noted. ``builder`` replaces ``build_kernel``. ``prepared``:
    the tree with these series, where they have been applied for building already.
    """
    configs = tuple(configs)
    if tree_name.startswith(OWN):
        return _own(home, tree_name, tuple(series))
    all_configs = (*fragments(), *configs)
    prepared = prepared or prepare(home, tree_name, series, step, intake, building=True)
    tree, base, applied = prepared.tree, prepared.base, prepared.applied
    with step(f"build {tree.version} {' + '.join(prepared.series) or 'as it is'}") as tell:
        request = request_kernel(
            home,
            applied.commit,
            applied.tree_hash,
            base,
            all_configs,
            outside=any(item.outside for item in prepared.resolved),
            touched=applied.touched,
            sandboxed=intake.sandboxed,
            root=_root(home, tree, base),
        )
        kernel = (builder or build_kernel)(home, request, tell)
        how = (", reused" if kernel.reused else "") + (f"; {kernel.dropped}" * bool(kernel.dropped))
        tell("\n  ".join((f"= {kernel.id[:12]}{how}", *kernel.notes)))
    module = None
    if DELAY_CONFIG in all_configs:
        with step("the module that delays") as tell:
            module = build_module(home, kernel, request, data_dir("qemu") / "kprobe-delay", tell)
            tell(f"= {module.parent.name}")
    return Built(
        tree,
        prepared.series,
        applied,
        kernel,
        (*prepared.notes, *(() if intake.sandboxed else ("built without a sandbox",))),
        configs,
        module,
        guest_cc=base.build.guest_cc,
        boot=base.boot,
    )


def _root(home: Home, tree: Tree, base: Base) -> tuple[str, str]:
    """Commit and hash of a tree with nothing on top but the patches that make it compile."""
    needed = DEFAULT.resolve(home, with_build((), base), base)
    if not needed:
        return tree.commit, tree.tree_hash
    applied = apply_series(home, tree, needed, lambda _text: None)
    return applied.commit, applied.tree_hash


def choose_source(
    home: Home, step: Step, tree: str | None, kernel: Path | None, vmlinux: Path | None
) -> str:
    """Return a tree's name, or import a kernel built by the user and return its id as the name.

    Raises UserError when both are named, and as ``take_kernel`` does.
    """
    if tree and kernel:
        raise UserError("--tree and --kernel are two kernels; name one of them")
    if vmlinux and not kernel:
        raise UserError("--vmlinux belongs to a --kernel; name both")
    if not kernel:
        return str(tree)
    with step(f"kernel {kernel}") as tell:
        taken = take_kernel(home, kernel, vmlinux)
        tell(f"= {taken.release}, {taken.id[:12]}")
    return f"{OWN}{taken.id}"


def _own(home: Home, name: str, series: tuple[str, ...]) -> Built:
    """Return a kernel built by the user; UserError when series are named with it."""
    if series and series != ("none",):
        raise UserError("--kernel boots a kernel as it is; omit --series, or name a --tree")
    kernel = load_kernel(home, name.removeprefix(OWN))
    if kernel is None:
        raise UserError(f"{name} was dropped from the home; take it again with --kernel")
    base = base_for(kernel.release)
    tree = Tree(name, "", "", kernel.release, name, "kernel")
    applied = Applied("", "", (), (), ())
    note = "a kernel that its user built, unchanged"
    return Built(
        tree,
        (),
        applied,
        kernel,
        (note,),
        guest_cc=base.build.guest_cc,
        boot=base.boot,
        own=True,
    )


def prepare(
    home: Home,
    tree_name: str,
    series: Iterable[str],
    step: Step,
    intake: Intake = DEFAULT,
    *,
    building: bool = False,
) -> Prepared:
    """Apply series to a tree; with ``building`` also the patches that make the tree compile.

    Raises UserError for an unknown tree or series, or a series that does not apply.
    """
    names = tuple(name for name in series if name != "none")
    with step(f"tree {tree_name}") as tell:
        tree = find_source(home, tree_name, tell)
        tell(f"= Linux {tree.version}, {tree.commit[:12]}")
    base = base_for(tree.version)
    names = with_build(names, base) if building else names
    with step(f"apply {' + '.join(names) or 'none'}") as tell:
        resolved = intake.resolve(home, names, base)
        applied = apply_series(home, tree, resolved, tell)
        counts = f"{len(applied.applied)} applied", f"{len(applied.already)} already there"
        parts = counts if resolved else ("the tree as it is",)
        tell("= " + "; ".join([*parts, *series_notes(resolved), *applied.notes]))
    return Prepared(tree, base, tuple(resolved), applied)


def vmlinux_of(home: Home, run: RunDir) -> Path:
    """Return the vmlinux of a run's kernel; UserError when the home no longer has it."""
    kernel_id = run.spec().kernel_id
    if kernel := load_kernel(home, kernel_id):
        return kernel.vmlinux
    raise UserError(f"kernel {kernel_id} was dropped; `mmrace again {run.id}` builds it again")


def races_about(home: Home, before: str, after: str) -> tuple[Subject, ...]:
    """Return the races that the change between two commits concerns."""
    change = read_change(function_diff(home, before, after))
    found = subjects(change, map(load_race, race_names()))
    if not found:
        raise unfit(change)
    return found
