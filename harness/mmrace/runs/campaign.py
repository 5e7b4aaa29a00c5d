# SPDX-License-Identifier: GPL-2.0-only
"""From what a user names (tree, series, race) to kernels and cells of work."""

import secrets
import shlex
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from mmrace.building.kconfig import DEFAULT_FRAGMENTS, LENIENT
from mmrace.building.kernel import Kernel, build_kernel, build_module
from mmrace.data import data_dir
from mmrace.definitions.base import base_for
from mmrace.definitions.machine import Machine, load_machine
from mmrace.definitions.race import Race, Source, Workload, load_race, race_names
from mmrace.errors import InfraError, NotHereError, UserError
from mmrace.guests import accel
from mmrace.guests.guest import Guest
from mmrace.guests.qemu import Boot, qemu_version
from mmrace.home import Home
from mmrace.patching.applied import function_diff
from mmrace.patching.intake import Intake, said
from mmrace.patching.series import Applied, apply_series, with_build
from mmrace.patching.subject import Subject, read_change, subjects, unfit
from mmrace.runs import cell, record
from mmrace.runs.exercise import name_counters
from mmrace.runs.record import RunDir, Spec
from mmrace.sources.history import find_revision, is_revision
from mmrace.sources.tree import Tree, find_tree, list_trees
from mmrace.symbols.counted import KernelCounters, read_counters
from mmrace.symbols.resolve import Resolver
from mmrace.userland.image import BUSYBOX, Job, job_segment, make_image
from mmrace.userland.program import Program, build_init, build_program
from mmrace.windows import delay
from mmrace.windows.steering import delay_for, director_for

Tell = Callable[[str], None]
Step = Callable[[str], AbstractContextManager[Tell]]
DEFAULT = Intake()
PATIENCE = 4  # a run below its min counts goes on until so many times its least time
DELAY_CONFIG = "kprobe-delay"  # the fragment of kernels that a module steers


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

    def suits(self, race: Race) -> bool:
        """Whether the race can show on it: it has what the race's own kernel has."""
        return set(race.own_config) <= set(self.configs)


@dataclass(frozen=True)
class Choice:
    """What a user chose for runs.

    ``seconds`` is the least guest time of one run in the race phase, ``at_most`` the most guest
    workload time of one that is below its min counts: by default four times as much.
    """

    machine: str | None = None
    accel: str = "auto"
    seconds: float = 60
    seed: int | None = None
    ltp: str | None = None
    steer: bool | None = None
    steer_by: str = "director"
    boot: tuple[str, ...] = ()
    slot: str = ""
    at_most: float | None = None

    @property
    def most(self) -> float:
        """Guest workload time after which a run ends; UserError when that is before its least."""
        if self.at_most is None:
            return PATIENCE * self.seconds
        if self.at_most < self.seconds:
            raise UserError(
                f"--at-most {self.at_most:g}s is less than --for {self.seconds:g}s; raise it"
            )
        return self.at_most


def fragments() -> tuple[str, ...]:
    """Names of the fragments that a kernel for any of the races needs, so that they share one."""
    wanted = [name for race in map(load_race, race_names()) for name in race.config]
    return tuple(dict.fromkeys([*DEFAULT_FRAGMENTS, *wanted]))


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
    module = None
    with step(f"tree {tree_name}") as tell:
        find = find_revision if is_revision(tree_name) else find_tree
        tree = find(home, tree_name, tell)
        tell(f"= Linux {tree.version}, {tree.commit[:12]}")
    base = base_for(tree.version)
    names = with_build(names, base)
    with step(f"apply {' + '.join(names) or 'nothing'}") as tell:
        resolved = intake.resolve(home, names, base)
        applied = apply_series(home, tree, resolved, tell)
        outside = any(item.outside for item in resolved)
        parts = [f"{len(applied.applied)} applied", f"{len(applied.already)} already there"]
        tell("= " + "; ".join([*parts, *said(resolved), *applied.notes]))
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
    done = tuple(item.name for item in resolved)
    return Built(
        tree,
        done,
        applied,
        kernel,
        tuple(notes),
        configs,
        module,
        guest_cc=base.build.guest_cc,
        boot=base.boot,
    )


def steering_configs(steer_by: str) -> tuple[str, ...]:
    """Fragments beside all others that a kernel needs to be steered that way."""
    return (DELAY_CONFIG,) if steer_by == delay.BY else ()


def races_about(home: Home, before: str, after: str) -> tuple[Subject, ...]:
    """Return the races that the change between two commits is about.

    Raises UserError when there is none.
    """
    change = read_change(function_diff(home, before, after))
    found = subjects(change, map(load_race, race_names()))
    if not found:
        raise unfit(change)
    return found


def command_line(built: Built, race: Race, workload: Workload, choice: Choice) -> str:
    """Return the command that makes such a run again."""
    words = ["mmrace", "run", "--race", race.name, "--workload", workload.name]
    words += ["--tree", built.tree.name]
    for name in built.series:
        words += ["--series", name]
    implied = (*race.own_config, *steering_configs(choice.steer_by))
    for name in built.configs:
        if name == LENIENT:
            words.append("--config-lenient")
        elif name not in implied:
            words += ["--config", name]
    words += ["--for", f"{choice.seconds:g}s"]
    words += [] if choice.at_most is None else ["--at-most", f"{choice.at_most:g}s"]
    if choice.machine:
        words += ["--machine", choice.machine]
    for parameter in choice.boot:
        words += ["--boot", parameter]
    if choice.steer is not None:
        words.append("--steer" if choice.steer else "--no-steer")
    if choice.steer_by == delay.BY:
        words += ["--steer-by", choice.steer_by]
    return shlex.join(words)


class Workbench:
    """Prepares and runs cells, and keeps what several cells of one invocation share."""

    def __init__(self, home: Home, step: Step) -> None:
        self._home = home
        self._step = step
        self._qemu = qemu_version()
        self._init: dict[str, Path] = {}
        self._accel: dict[str, accel.Accel] = {}
        self._counted: dict[str, KernelCounters] = {}

    def plan(
        self,
        built: Built,
        race: Race,
        workload: Workload,
        choice: Choice,
        command: str,
        program: Program | None = None,
    ) -> tuple[Spec, cell.Parts]:
        """Make a cell ready to run: programs compiled, image made, accelerator chosen.

        ``program`` stands in for the one that the workload's sources make. Raises NotHereError
        when the workload needs a source that nobody named, or the race another kernel.
        """
        if not built.suits(race):
            wanted = ", ".join(race.own_config)
            raise NotHereError(f"it shows on a kernel of its own only ({wanted}); name the race")
        workload = name_counters(race, workload, self._counters(built), built.kernel.release)
        program = program or self._program(built, race, workload, choice)
        image = make_image(self._home, self._guest_init(built), program.files)
        machine = load_machine(choice.machine or race.machine)
        chosen = self._accelerator(choice.accel, machine, built.kernel, image)
        spec = Spec(
            id=record.new_id(race.name, workload.name),
            race=race,
            workload=workload,
            machine=machine,
            tree=built.tree.name,
            revision=built.applied.commit,
            series=built.series,
            kernel_id=built.kernel.id,
            release=built.kernel.release,
            program=program.folder.name,
            accel=chosen.name,
            steered=self._steered(race, workload, choice, chosen),
            seconds=choice.seconds,
            at_most=choice.most,
            seed=secrets.randbelow(2**31) if choice.seed is None else choice.seed,
            boot=(*machine.boot, *built.boot, *race.boot, *choice.boot),
            command=command,
            notes=built.notes,
            slot=choice.slot,
            steer_by=choice.steer_by,
            configs=built.configs,
        )
        parts = cell.Parts(built.kernel.image, built.kernel.config, image, chosen)
        return spec, self._steering(spec, parts, built) if spec.steered else parts

    def shell(self, built: Built, machine_name: str, wanted: str) -> None:
        """Boot a kernel with a shell on its console, and hand that over."""
        machine = load_machine(machine_name)
        if not BUSYBOX.is_file():
            raise InfraError(f"{BUSYBOX} is not there; apt-get install busybox-static")
        image = make_image(self._home, self._guest_init(built), (), BUSYBOX)
        chosen = self._accelerator(wanted, machine, built.kernel, image)
        pages = tuple(node.hugepages for node in machine.node)
        job = Job(name="shell", argv=("true",), seconds=1, hugepages=pages, interactive=True)
        with self._home.scratch(self._home.cache) as folder:
            initrd = folder / "initrd"
            initrd.write_bytes(image.read_bytes() + job_segment(job))
            boot = Boot(machine, built.kernel.image, initrd, machine.boot, chosen.name)
            with Guest(boot, folder) as guest:
                guest.interact()

    def run(self, spec: Spec, parts: cell.Parts) -> RunDir:
        """Run one cell, shown as a step."""
        title = f"{spec.race.name}/{spec.workload.name} on {'+'.join(spec.series) or spec.tree}"
        with self._step(title) as tell:
            run = cell.run_cell(self._home, spec, parts, tell)
            judged = run.judgement()
            tell(f"= {judged.outcome} {judged.title}")
        return run

    @staticmethod
    def _steered(race: Race, workload: Workload, choice: Choice, chosen: accel.Accel) -> bool:
        windows = race.windows_for(workload.name)
        if choice.steer and not windows:
            raise UserError(f"race {race.name} has no window for workload {workload.name}")
        able = bool(windows) and (chosen.name == "tcg" or choice.steer_by == delay.BY)
        if choice.steer and not able:
            raise UserError("the director needs TCG: --accel tcg, --steer-by kprobe or --no-steer")
        return able if choice.steer is None else choice.steer

    def _steering(self, spec: Spec, parts: cell.Parts, built: Built) -> cell.Parts:
        kernel = built.kernel
        with self._step("windows") as tell:
            tell("reading the kernel's debug information")
            name = f"{spec.tree} {'+'.join(spec.series)} ({spec.release})"
            resolver = Resolver(kernel.vmlinux, name, kernel.folder / "points.json")
            what = spec.race, spec.workload.name, resolver, spec.seed
            if spec.steer_by != delay.BY:
                return replace(parts, director=director_for(self._home, *what))
            if built.delay is None:
                raise UserError(f"this kernel was built without --config {DELAY_CONFIG}")
            return replace(parts, delay=delay_for(*what, built.delay))

    def _counters(self, built: Built) -> KernelCounters:
        kernel = built.kernel
        if kernel.id not in self._counted:
            read = read_counters(kernel.vmlinux, kernel.folder / "System.map")
            self._counted[kernel.id] = read
        return self._counted[kernel.id]

    def _guest_init(self, built: Built) -> Path:
        cc = built.guest_cc
        if cc not in self._init:
            with self._step("guest init") as tell:
                self._init[cc] = build_init(self._home, tell, cc)
        return self._init[cc]

    def _program(self, built: Built, race: Race, workload: Workload, choice: Choice) -> Program:
        ltp = self._ltp(choice.ltp).commit if workload.source is Source.LTP else None
        with self._step(f"program {race.name}/{workload.name}") as tell:
            commit = built.applied.commit
            return build_program(self._home, race, workload, commit, ltp, tell, built.guest_cc)

    def _ltp(self, name: str | None) -> Tree:
        if name:
            tree = find_tree(self._home, name, lambda _text: None)
            if tree.kind != "ltp":
                raise UserError(f"{name} is a {tree.kind} source, not LTP")
            return tree
        for tree in list_trees(self._home):
            if tree.kind == "ltp":
                return tree
        raise NotHereError("LTP is not here; mmrace tree add ltp SOURCE, or --ltp TREE")

    def _accelerator(
        self, wanted: str, machine: Machine, kernel: Kernel, image: Path
    ) -> accel.Accel:
        if wanted not in self._accel:
            with self._step("accelerator") as tell:
                found = accel.choose(
                    self._home,
                    wanted,
                    self._qemu,
                    lambda: cell.probe_kvm(self._home, machine, kernel.image, image),
                )
                tell(f"= {found.name}: {found.reason}")
            self._accel[wanted] = found
        return self._accel[wanted]
