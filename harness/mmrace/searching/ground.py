# SPDX-License-Identifier: GPL-2.0-only
"""The start of a search of one kernel and workload: its access sites, and the stored profile."""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mmrace.errors import UserError
from mmrace.home import Home, write_file
from mmrace.searching.files import BESIDE, DEFAULT, choose_files
from mmrace.searching.profile import Profile, load_profile, save_profile
from mmrace.symbols.accesses import AccessSite, files_of, list_files, list_sites
from mmrace.symbols.resolve import Resolved, Resolver

# The kernel executes these when it reports a failure; it sets a taint before or after printing.
MARKS = ("entry of vprintk_emit", "entry of add_taint", "entry of panic")
_FORMAT = 3  # version of the cached list of sites


@dataclass(frozen=True)
class Ground:
    """Access sites of the chosen files, marks of failures, and the workload's profile."""

    sites: tuple[AccessSite, ...]
    marks: Resolved | None
    profile: Profile
    path: Path

    def keep(self, profile: Profile) -> None:
        """Store a profile for the next search of this kernel and workload."""
        save_profile(self.path, profile)


def survey(
    home: Home,
    resolver: Resolver,
    kernel_id: str,
    workload: str,
    files: Sequence[str] = DEFAULT,
) -> Ground:
    """Read a kernel's access sites and a profile; ``workload`` names the workload and its race.

    Both are cached in the home, by kernel id. Raises UserError for files that the kernel does not
    have.
    """
    chosen = hashlib.sha256(json.dumps(sorted(files)).encode()).hexdigest()[:8]
    folder = home.cache / "profiles" / kernel_id
    marks = _marks(resolver)
    path = folder / f"{workload}-{chosen}.json"
    sites = _sites(folder / f"sites-{chosen}.json", resolver, files)
    return Ground(sites, marks, load_profile(path), path)


def _marks(resolver: Resolver) -> Resolved | None:
    """All marks that this kernel has, as one point."""
    found: set[int] = set()
    for mark in MARKS:
        with suppress(UserError):
            found.update(resolver.resolve((mark,)).addresses)
    return Resolved(", ".join(MARKS), tuple(sorted(found))) if found else None


def _sites(kept: Path, resolver: Resolver, files: Sequence[str]) -> tuple[AccessSite, ...]:
    try:
        content = json.loads(kept.read_bytes())
        if content["format"] == _FORMAT:
            return tuple(AccessSite(**fields) for fields in content["sites"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # no list is cached, or one of another version
    known = list_files(resolver.debug)
    chosen_files = choose_files(known, files)
    sites = list_sites(resolver.debug, chosen_files.__contains__)
    if more := choose_files(known, BESIDE) - chosen_files if tuple(files) == DEFAULT else ():
        beside = list_sites(resolver.debug, more.__contains__)
        names = files_of(resolver.debug, [site.address for site in beside])
        named = zip(beside, names, strict=True)
        sites += tuple(replace(site, beside=name or "elsewhere") for site, name in named)
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_file(kept, json.dumps({"format": _FORMAT, "sites": [asdict(site) for site in sites]}))
    return sites
