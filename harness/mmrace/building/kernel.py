# SPDX-License-Identifier: GPL-2.0-only
"""Kernels: built once for each kernel id, at /src and /build, and published by rename."""

import errno
import hashlib
import json
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mmrace.building.bench import FIXED_ENV, Bench, missing_tools, toolchain
from mmrace.building.buildlog import blame, first_failure, warnings
from mmrace.building.checkout import check_out
from mmrace.building.kconfig import ConfigRequest, config_request
from mmrace.building.kernelconfig import check_names, configure
from mmrace.building.needs import find_needs
from mmrace.definitions.base import Base
from mmrace.errors import BuildError, InfraError, disk_full, no_room
from mmrace.home import CCACHE_LOCK, Home, build_lock, publish, write_file
from mmrace.leftover import holding, keep
from mmrace.storage import make_room

# To be raised whenever kernels come out differently for equal inputs.
RECIPE = 1

_SAME = "same_as"  # in a bench's state.json: the bench that is used in its place
_MODULE = "mmrace-module"  # of a bench's build directory

# Bytes that a build takes: a bench and a kernel that are new, and a kernel alone.
_NEW = 1_500_000_000
_MORE = 400_000_000

Progress = Callable[[str], None]

_OBJECT = re.compile(r"  (?:CC|AS)\s+(?:\[M\]\s+)?(\S+)")
_FILES = {
    "bzImage": "arch/x86/boot/bzImage",
    "vmlinux": "vmlinux",
    "System.map": "System.map",
    "config": ".config",
}


@dataclass(frozen=True)
class _Order:
    """One request to build; ``asked`` hashes all of it but the tree, ``inputs`` are for the id."""

    base: str
    commit: str
    tree_hash: str
    config: ConfigRequest
    asked: str
    inputs: tuple[object, ...]
    touched: Mapping[str, str]


@dataclass(frozen=True)
class Kernel:
    """A finished kernel; ``seconds`` is what this request took, ``reused``: nothing was built.

    ``warnings`` are those of its build, which compiled what was not compiled in its bench before.
    ``notes``: a line for each option of its config that was dropped. ``dropped`` says what went to
    keep the home under its limit. Nobody drops a kernel while the process that loaded it lives.
    """

    id: str
    release: str
    image: Path
    vmlinux: Path
    config: Path
    folder: Path
    seconds: float
    reused: bool
    warnings: tuple[str, ...] = ()
    dropped: str = ""
    notes: tuple[str, ...] = ()

    @property
    def has_debug_info(self) -> bool:
        """Whether its vmlinux has DWARF, in which sync points and source lines are found."""
        lines = self.config.read_text(encoding="utf-8", errors="replace").splitlines()
        return "CONFIG_DEBUG_INFO=y" in lines


def load_kernel(home: Home, kernel_id: str) -> Kernel | None:
    """Return a kernel that is in the home already, None when it is not."""
    folder = home.kernels / kernel_id
    if not keep(folder):
        return None
    try:
        facts = json.loads((folder / "kernel.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return Kernel(
        kernel_id,
        facts["release"],
        folder / "bzImage",
        folder / "vmlinux",
        folder / "config",
        folder,
        seconds=0.0,
        reused=True,
        warnings=tuple(facts.get("warnings", ())),
    )


def build_kernel(
    home: Home,
    commit: str,
    tree_hash: str,
    base: Base,
    configs: Sequence[str | Path],
    *,
    outside: bool,
    progress: Progress,
    touched: Iterable[tuple[str, str]] = (),
    sandboxed: bool = True,
) -> Kernel:
    """Build the kernel of a commit in the store of trees, or find it built.

    ``configs``: see ``kconfig.config_request``. ``outside`` says that patches came from elsewhere;
    ``touched`` pairs each file that a patch changes with the patch's name. Raises BuildError when
    the kernel does not compile (with the compiler's message and that patch) or an option did not
    stick; UserError for conflicting fragments; InfraError for missing tools and a full disk.
    Without ``sandboxed`` makefiles have all the rights that mmrace has.
    """
    started = time.monotonic()
    config, inputs, asked = _asked(home, tree_hash, base, configs, sandboxed=sandboxed)
    order = _Order(base.name, commit, tree_hash, config, asked, inputs, dict(touched))
    bench = _bench(home, tree_hash, base, asked, outside=outside, sandboxed=sandboxed)
    memo = _memo(home, tree_hash, asked)
    with _no_room(home):
        kernel = _recall(home, memo)
        if not kernel:
            check_names(home, commit, config)
            with _locks(bench, progress):
                kernel = _recall(home, memo) or _build(bench, order, progress)
                write_file(memo, "\n".join((kernel.id, *kernel.notes)))
    return replace(kernel, seconds=time.monotonic() - started)


def build_module(
    home: Home,
    kernel: Kernel,
    commit: str,
    tree_hash: str,
    base: Base,
    configs: Sequence[str | Path],
    sources: Path,
    *,
    outside: bool,
    progress: Progress,
    sandboxed: bool = True,
) -> Path:
    """Build a module for a kernel from a folder with a Kbuild file, or find it built.

    All but ``kernel`` and ``sources`` is what ``build_kernel`` made that kernel from. Raises
    BuildError when it does not compile, InfraError as ``build_kernel`` does.
    """
    files = {path.name: path.read_text(encoding="utf-8") for path in sorted(sources.iterdir())}
    final = home.programs / f"{sources.name}-{_hash([kernel.id, files])[:16]}"
    if not keep(final):
        config, _, asked = _asked(home, tree_hash, base, configs, sandboxed=sandboxed)
        bench = _bench(home, tree_hash, base, asked, outside=outside, sandboxed=sandboxed)
        with _no_room(home), _locks(bench, progress):
            try:
                _copy_model(bench, progress)
                with bench.at_work():
                    progress("checking out")
                    _check_out(bench, base.name, commit, progress)
                    configure(bench, config, asked)
                    progress(f"building {sources.name}")
                    _make_module(bench, files)
                    with home.scratch(home.programs) as made:
                        for path in (bench.build / _MODULE).glob("*.ko"):
                            shutil.copyfile(bench.made(f"{_MODULE}/{path.name}"), made / path.name)
                        publish(made, final)
            finally:
                if bench.outside:
                    bench.remove()
        keep(final)
    found = next(final.glob("*.ko"), None)
    if found is None:
        raise BuildError(f"{sources.name}: the build made no module")
    return found


def _bench(
    home: Home, tree_hash: str, base: Base, asked: str, *, outside: bool, sandboxed: bool
) -> Bench:
    name = f"{base.name}-{asked[:8]}"
    env = tuple(sorted(base.build.env.items()))
    same = Bench(home, name).state.get(_SAME)
    if sandboxed and isinstance(same, str) and (home.benches / same / "build").is_dir():
        name = same
    if not outside:
        return Bench(home, name, env, outside, sandboxed)
    # Untrusted patches write to their bench, so they share it with nothing.
    alone = f"{name}-{tree_hash[:12]}-outside"
    return Bench(home, alone, env, outside, sandboxed, name if sandboxed else "")


@contextmanager
def _locks(bench: Bench, progress: Progress) -> Iterator[None]:
    """What a build uses is nobody else's, or is not removed: benches, and the compiler cache."""
    home = bench.home
    with ExitStack() as stack:
        for name in filter(None, (bench.name, bench.model)):
            stack.enter_context(home.lock(build_lock(name), progress))
            stack.enter_context(holding(home.benches / name))
        stack.enter_context(home.lock(CCACHE_LOCK, shared=True))
        try:
            yield
        finally:
            if bench.outside:
                shutil.rmtree(bench.folder, ignore_errors=True)


def _twin(bench: Bench, base: str, config: str) -> Bench | None:
    """Another bench that has built this very config, when this one has built nothing yet.

    Requests in other words have benches of their own until their configs turn out to be equal.
    """
    if bench.state.get("objects") or not bench.sandboxed:
        return None
    for folder in sorted(bench.home.benches.glob(f"{base}-*")):
        other = Bench(bench.home, folder.name, bench.env)
        if folder.name not in (bench.name, bench.model) and other.has_built(config):
            return other
    return None


def _join(twin: Bench, bench: Bench, order: _Order, config: str) -> bool:
    """Let the request use its twin from now on; False if that is another's meanwhile.

    The caller has the locks of both.
    """
    if not twin.has_built(config):
        return False
    twin.remember(configured=[*twin.configured, order.asked])
    Bench(bench.home, bench.model or bench.name).remember(**{_SAME: twin.name})
    return True


def _build_in(twin: Bench, bench: Bench, order: _Order, config: str, progress: Progress) -> Kernel:
    with bench.home.lock(build_lock(twin.name), progress), holding(twin.folder):
        if not _join(twin, bench, order, config):
            return _build(bench, order, progress, alone=True)
        return _build(replace(bench, model=twin.name) if bench.outside else twin, order, progress)


def _check_out(bench: Bench, base: str, commit: str, progress: Progress) -> None:
    # Without a sandbox makefiles could write into what others share.
    check_out(bench.home, base, commit, bench.source, progress, share=bench.sandboxed)


def _copy_model(bench: Bench, progress: Progress) -> None:
    if bench.model:
        progress("copying what was built already")
        bench.copy_model()


def _make_module(bench: Bench, files: Mapping[str, str]) -> None:
    folder = bench.build / _MODULE
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, text in files.items():
        write_file(folder / name, text)
    # This bench may hold no vmlinux whose symbols could be checked; the kernel checks them.
    extern = [f"M=/build/{_MODULE}", "KBUILD_MODPOST_WARN=1", "modules"]
    for words in (["modules_prepare"], extern):
        lines: list[str] = []
        ended = bench.make(words, lines.append)
        if ended.returncode == 0:
            continue
        if any(map(no_room, lines)):
            raise disk_full(bench.folder)
        failure = first_failure(lines)
        raise BuildError(f"make {words[-1]} failed: {failure.summary}", failure.detail)


def built_among(
    home: Home, tree_hashes: Iterable[str], base: Base, configs: Sequence[str | Path]
) -> set[str]:
    """Return those trees whose kernels are in the home; same errors as ``build_kernel``."""
    return {
        one
        for one in tree_hashes
        if _recall(home, _memo(home, one, _asked(home, one, base, configs)[2]))
    }


def _asked(
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
    return config, inputs, _hash([*inputs, asked])


def _memo(home: Home, tree_hash: str, asked: str) -> Path:
    return home.kernels / "requests" / _hash([tree_hash, asked])


def _recall(home: Home, memo: Path) -> Kernel | None:
    try:
        kernel_id, *notes = memo.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    kernel = load_kernel(home, kernel_id)
    return replace(kernel, notes=tuple(notes)) if kernel else None


def _build(bench: Bench, order: _Order, progress: Progress, *, alone: bool = False) -> Kernel:
    try:
        before = make_room(bench.home, _NEW if not bench.build.is_dir() else _MORE)
        progress(str(before) or "checking out")
        _copy_model(bench, progress)
        with bench.at_work():
            progress("checking out")
            _check_out(bench, order.base, order.commit, progress)
            progress("configuring")
            config, notes = configure(bench, order.config, order.asked)
            kernel_id = _hash([*order.inputs, order.tree_hash, config])[:16]
            twin = None if alone else _twin(bench, order.base, config)
            if kernel := load_kernel(bench.home, kernel_id):
                if twin:
                    with bench.home.free(build_lock(twin.name)) as nobody:
                        if nobody:
                            _join(twin, bench, order, config)
                return replace(kernel, notes=notes)
            if not twin:
                warned = _compile(bench, order.touched, config, progress)
                progress("publishing")
                made = _publish(bench, kernel_id, order, warned)
    finally:
        if bench.outside:
            bench.remove()
    if twin:
        return _build_in(twin, bench, order, config, progress)
    after = make_room(bench.home)
    return replace(made, dropped=str(before + after), notes=notes)


def _compile(
    bench: Bench, touched: Mapping[str, str], config: str, progress: Progress
) -> tuple[str, ...]:
    counted = bench.home.kernels / "objects" / _hash([dict(bench.env), config])
    expected = 0 if bench.state.get("objects") else _number(counted)
    lines: list[str] = []
    done = 0

    def on_line(line: str) -> None:
        nonlocal done
        lines.append(line)
        if match := _OBJECT.match(line):
            done += 1
            total = f" of {max(expected, done)}" if expected else ""
            progress(f"{done}{total}  {match[1]}")

    ended = bench.make(["bzImage"], on_line)
    if ended.returncode != 0:
        if any(map(no_room, lines)):
            raise disk_full(bench.folder)
        failure = first_failure(lines)
        raise BuildError(f"the kernel did not build: {blame(failure, touched)}", failure.detail)
    if not bench.state.get("objects"):
        bench.remember(objects=done)
        write_file(counted, str(done))
    return warnings(lines)


def _number(path: Path) -> int:
    """Objects of a whole build of the same config; 0 when there was none."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def _publish(bench: Bench, kernel_id: str, order: _Order, warned: tuple[str, ...]) -> Kernel:
    release = bench.read("include/config/kernel.release").strip()
    facts = {
        "release": release,
        "commit": order.commit,
        "tree_hash": order.tree_hash,
        "warnings": warned,
    }
    with bench.home.scratch(bench.home.kernels) as made:
        for name, built in _FILES.items():
            shutil.copyfile(bench.made(built), made / name)
        write_file(made / "kernel.json", json.dumps(facts, indent=1))
        publish(made, bench.home.kernels / kernel_id)
    kernel = load_kernel(bench.home, kernel_id)
    if kernel is None:
        raise InfraError(f"kernel {kernel_id} vanished from {bench.home.kernels}; build it again")
    return replace(kernel, reused=False)


def _hash(parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@contextmanager
def _no_room(home: Home) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise disk_full(home.cache) from error
