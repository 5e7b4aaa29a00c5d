# SPDX-License-Identifier: GPL-2.0-only
"""From a config request to a tree's finished .config, or to why it cannot be had."""

import difflib
import json
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import kconfiglib

from mmrace.building import kexplain
from mmrace.building.buildlog import first_failure
from mmrace.building.directory import DEADLINE, BuildDirectory
from mmrace.building.kconfig import (
    USER,
    ConfigRequest,
    Option,
    assignment,
    built_in,
    dispensable,
    kernel_version,
    mainline,
    merge,
    not_stuck,
    parse_config,
    yielding,
)
from mmrace.errors import BuildError, UserError, disk_full, no_room
from mmrace.home import Home, write_file
from mmrace.proc import Bind, run
from mmrace.sources.tree import store

# Beside .config, which is only replaced when its content changes: make compares times.
_FRAGMENT = "mmrace.fragment"
_DRAFT = "mmrace.draft"
_DEFAULTS = "mmrace.defaults"
_FEW = 5  # options of many that a line names
_KEYS = re.compile(r'^CONFIG_(\w+)="([^"/][^"]*\.pem)"$', re.M)
_MADE = "certs/signing_key.pem"
_ASKED = re.compile(r"\bCONFIG_(\w+)")
_DEFINED = re.compile(r"^[ \t]*(?:menu)?config[ \t]+(\w+)", re.M)
_DRIVERS = ("drivers", "sound")


def configure(
    directory: BuildDirectory, request: ConfigRequest, digest: str
) -> tuple[str, tuple[str, ...]]:
    """Make the directory's .config; return its text, and a line for each option that was dropped.

    ``digest`` identifies the request and the toolchain; a directory that was configured for the
    same one is left alone unless a Kconfig file changed. Raises BuildError when an option did not
    stick, UserError for fragments that conflict or for a defconfig that the tree has not.
    """
    final = directory.build / ".config"
    began = time.time()
    if digest in directory.configured and final.is_file() and not _stale(directory):
        found = directory.state.get("dropped")
        return directory.read(".config"), tuple(map(str, found if isinstance(found, list) else ()))
    makefile = (directory.source / "Makefile").read_text(encoding="utf-8", errors="replace")
    options = merge(request.fragments, kernel_version(makefile))
    if request.lenient:
        options = built_in(options)
    whole, dropped = _without_keys(request.whole, directory.source)
    options, theirs = _yield(options, whole)
    dropped += theirs
    lines = "".join(f"{assignment(option.name, option.value)}\n" for option in options)
    write_file(directory.build / _FRAGMENT, lines)
    directory.remember(configured=None)
    own = _run_kconfig(directory, replace(request, whole=whole), lines)
    text = directory.read(_DRAFT)
    config = parse_config(text)
    missed = not_stuck(options, config)
    if refused := [option for option in missed if not _may_go(option, request)]:
        raise _refusal(directory, refused, config)
    kept = [name for name in own if config.get(name) == "y"]
    if kept:
        dropped.append(f"this tree's own, on by its default: {_list(kept)}")
    missed += _find_lost(whole, options, config)
    reasons = explain(directory, missed) if missed else {}
    dropped += [_line(option, config, reasons) for option in missed]
    if request.users and config.get("DEBUG_INFO") != "y":
        dropped.append("no debug information: no steering, no file names in traces")
    if final.is_symlink() or not final.is_file() or directory.read(".config") != text:
        write_file(final, text)
    directory.remember(configured=[digest], configured_at=began, dropped=dropped)
    return text, tuple(dropped)


def _may_go(option: Option, request: ConfigRequest) -> bool:
    """Whether an option that did not stick is dropped: the user's config wins, or is not exact."""
    if option.rank == USER:
        return request.lenient
    return request.users and option.name in dispensable()


def _yield(options: tuple[Option, ...], whole: str) -> tuple[tuple[Option, ...], list[str]]:
    """Leave out what a whole config decides, with a line for each that it has otherwise."""
    theirs = parse_config(whole)
    decided = [
        option
        for option in options
        if option.rank != USER and option.name in yielding() and option.name in theirs
    ]
    lines = [
        f"CONFIG_{option.name}={option.value} ({option.fragment}) is {theirs[option.name]}:"
        " the config decides that"
        for option in decided
        if theirs[option.name] != option.value
    ]
    return tuple(option for option in options if option not in decided), lines


def _find_lost(whole: str, options: Sequence[Option], config: dict[str, str]) -> tuple[Option, ...]:
    """What a whole config has switched on, and this tree or compiler has not."""
    names = {option.name for option in options}
    return tuple(
        Option(name, value, "the config")
        for name, value in parse_config(whole).items()
        if value in ("y", "m") and name not in names and config.get(name, "n") == "n"
    )


def _line(option: Option, config: dict[str, str], reasons: dict[str, str]) -> str:
    """What happened to an option, and why."""
    is_now = config.get(option.name, "n")
    why = reasons.get(option.name, "no explanation")
    return f"CONFIG_{option.name}={option.value} ({option.fragment}) is {is_now}: {why}"


def _without_keys(whole: str, source: Path) -> tuple[str, list[str]]:
    """Drop certificates that a distribution's build has and this one has not.

    ``CONFIG_SYSTEM_TRUSTED_KEYS="debian/certs/..."`` ends any other build. What the build makes
    itself (``certs/signing_key.pem``) is no such file.
    """
    dropped = []
    for line in _KEYS.findall(whole):
        name, path = line
        if path != _MADE and not (source / path).is_file():
            whole = whole.replace(f'CONFIG_{name}="{path}"', f'CONFIG_{name}=""')
            dropped.append(f'CONFIG_{name}="{path}" is "": this tree has no such file')
    return whole, dropped


def check_names(home: Home, commit: str, request: ConfigRequest) -> None:
    """Refuse a misspelt option of the user's before anything is configured.

    Raises UserError with the names of the commit's own Kconfig files that are near.
    """
    users = [fragment for fragment in request.fragments if fragment.rank == USER]
    if request.lenient or not users:
        return
    makefile = (store(home).file(commit, "Makefile") or b"").decode(errors="replace")
    known = _known_options(home, commit)
    for option in merge(users, kernel_version(makefile)) if known else ():
        if option.value != "n" and option.name not in known:
            near = difflib.get_close_matches(option.name, known, n=3, cutoff=0.75)
            way_out = f"near: {', '.join(near)}" if near else "--config-lenient drops it"
            raise UserError(
                f"{option.fragment}:{option.line}: this tree has no CONFIG_{option.name}; {way_out}"
            )


def _known_options(home: Home, commit: str) -> frozenset[str]:
    """Names of all options that a commit's Kconfig files define."""
    words = ("grep", "-h", "-E", r"^[[:space:]]*(menu)?config[[:space:]]+[A-Za-z0-9_]+")
    done = store(home).git(*words, commit, "--", "*Kconfig*", check=False)
    lines = (line.split() for line in done.text.splitlines())
    return frozenset(words[1] for words in lines if len(words) > 1)


def _stale(directory: BuildDirectory) -> bool:
    """Whether a Kconfig file that kconfig read last time has changed since."""
    made = directory.state.get("configured_at")
    try:
        recorded = (directory.build / "include/config/auto.conf.cmd").read_text(encoding="utf-8")
    except OSError:
        return True
    files = re.findall(r"^\t(?:/src/)?(\S*Kconfig\S*)", recorded, re.M)
    paths = [directory.source / name for name in files]
    return (
        not paths
        or not isinstance(made, float)
        or any(not path.is_file() or path.stat().st_mtime >= made for path in paths)
    )


def _run_kconfig(directory: BuildDirectory, request: ConfigRequest, lines: str) -> tuple[str, ...]:
    """Make the draft; return the options that the tree itself has added and switches on."""
    own: tuple[str, ...] = ()
    draft = directory.build / _DRAFT
    where = f"KCONFIG_CONFIG=/build/{_DRAFT}"
    if request.whole:
        write_file(draft, f"{request.whole}\n{lines}")
    elif request.defconfig:
        if not list(directory.source.glob(f"arch/*/configs/{request.defconfig}")):
            raise UserError(
                f"this tree has no {request.defconfig} under arch/*/configs; give a file"
            )
        _make(directory, [where, request.defconfig])
        write_file(draft, f"{directory.read(_DRAFT)}\n{lines}")
    else:
        _make(directory, [where, f"KCONFIG_ALLCONFIG=/build/{_FRAGMENT}", "allnoconfig"])
        own = _additions(directory)
        wanted = "".join(f"{assignment(name, 'y')}\n" for name in own)
        write_file(draft, directory.read(_DRAFT) + wanted)
    _make(directory, [where, "olddefconfig"])
    return own


def _additions(directory: BuildDirectory) -> tuple[str, ...]:
    """Options that are on by default, off by allnoconfig, not mainline's, and no driver's.

    Who adds to a tree builds it with what was added: that may be all that it compiles with. A
    vendor's drivers may not compile for a machine that they are not made for.
    """
    words = [f"KCONFIG_CONFIG=/build/{_DEFAULTS}", f"KCONFIG_ALLCONFIG=/build/{_FRAGMENT}"]
    if directory.make([*words, "alldefconfig"]).returncode != 0:
        return ()  # before 2.6.36
    draft, mainlines = parse_config(directory.read(_DRAFT)), mainline()
    on = (name for name, value in parse_config(directory.read(_DEFAULTS)).items() if value == "y")
    own = [name for name in on if name not in mainlines and draft.get(name, "n") == "n"]
    drivers = _defined_below(directory.source, _DRIVERS) if own else frozenset()
    return tuple(name for name in own if name not in drivers)


def _defined_below(source: Path, folders: Sequence[str]) -> frozenset[str]:
    """Names of the options that the Kconfig files in some directories of a source define."""
    files = (path for name in folders for path in (source / name).rglob("Kconfig*"))
    own = (path for path in files if path.is_file() and not path.is_symlink())
    texts = (path.read_text(encoding="utf-8", errors="replace") for path in own)
    return frozenset(name for text in texts for name in _DEFINED.findall(text))


def _list(names: Sequence[str]) -> str:
    """The first few of many options."""
    few = ", ".join(f"CONFIG_{name}" for name in names[:_FEW])
    return few if len(names) <= _FEW else f"{few} and {len(names) - _FEW} more"


def _make(directory: BuildDirectory, words: Sequence[str]) -> None:
    done = directory.make(words)
    if done.returncode == 0:
        return
    lines = f"{done.text}\n{done.errors}".splitlines()
    if any(map(no_room, lines)):
        raise disk_full(directory.folder)
    failure = first_failure(lines)
    raise BuildError(f"make {words[-1]} failed: {failure.summary}", failure.detail)


def _refusal(
    directory: BuildDirectory, missed: Sequence[Option], config: dict[str, str]
) -> BuildError:
    reasons = explain(directory, missed)
    lines = [
        f"CONFIG_{option.name}={option.value} ({option.fragment}) did not stick, it is "
        f"{config.get(option.name, 'n')}: {reasons.get(option.name, 'no explanation')}"
        for option in sorted(missed, key=lambda one: -one.rank)  # first what the user can change
    ]
    more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
    return BuildError(lines[0] + more, "\n".join(lines[1:]))


def explain_asked(directory: BuildDirectory, message: str) -> str:
    """Say why options are off that an ``#error`` of the tree names; empty for other messages."""
    config = parse_config(directory.read(".config"))
    asked = dict.fromkeys(_ASKED.findall(message)) if "#error" in message else ()
    off = [Option(name, "", "") for name in asked if config.get(name, "n") == "n"]
    reasons = explain(directory, off, ".config") if off else {}
    why = "; ".join(f"CONFIG_{name}: {reason}" for name, reason in reasons.items())
    return f"; {why}; give --config a file with what it needs" if why else ""


def explain(
    directory: BuildDirectory, missed: Sequence[Option], config: str = _DRAFT
) -> dict[str, str]:
    """Ask kconfiglib, inside the sandbox, why options did not stick in one of the configs."""
    python = Path(sys.executable).resolve()
    binds = [
        Bind(Path(kexplain.__file__).resolve(), "/tmp/kexplain.py"),  # noqa: S108
        Bind(Path(kconfiglib.__file__).resolve(), "/tmp/kconfiglib.py"),  # noqa: S108
    ]
    if not python.is_relative_to("/usr"):
        binds.append(Bind(Path(sys.base_prefix), sys.base_prefix))
    done = run(
        [
            python,
            "-ESs",
            "/tmp/kexplain.py",  # noqa: S108
            f"/build/{config}",
            *(f"{option.name}={option.value}" for option in missed),
        ],
        deadline=DEADLINE,
        env={**directory.environment(), **_kconfig_env(directory)},
        sandbox=directory.sandbox(*binds),
    )
    if done.returncode != 0:
        why = (done.errors.strip().splitlines() or ["it printed nothing"])[-1]
        return dict.fromkeys(
            (option.name for option in missed), f"kconfiglib cannot read this tree: {why}"
        )
    reasons: dict[str, str] = json.loads(done.stdout)
    return reasons


def _kconfig_env(directory: BuildDirectory) -> dict[str, str]:
    """What the top Makefile exports to Kconfig files."""
    return {
        "srctree": "/src",
        "ARCH": "x86",
        "SRCARCH": "x86",
        "CC": dict(directory.env).get("CC", "gcc"),
        "HOSTCC": "gcc",
        "LD": "ld",
        "AR": "ar",
        "NM": "nm",
        "PAHOLE": "pahole",
        "RUSTC": "rustc",
        "BINDGEN": "bindgen",
        "KERNELVERSION": "unknown",
        "CC_VERSION_TEXT": "gcc",
    }
