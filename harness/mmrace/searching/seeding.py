# SPDX-License-Identifier: GPL-2.0-only
"""Accesses to schedule besides a kernel's own profile: another kernel's, and those of a change.

A fix moves code, and may leave a hole elsewhere. So the search of a kernel with a fix also
schedules the accesses that communicated in the kernel without it, and all functions that it
changes.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from mmrace.searching.profile import Profile
from mmrace.symbols.accesses import AccessSite


@dataclass(frozen=True)
class Seeds:
    """Addresses of accesses that are scheduled whether or not they were seen to communicate.

    Each access in one of ``functions`` is chosen as often as all accesses of another function
    together.
    """

    addresses: frozenset[int] = frozenset()
    functions: frozenset[str] = frozenset()


NONE = Seeds()


def seeds_from(
    profile: Profile,
    theirs: Sequence[AccessSite],
    ours: Sequence[AccessSite],
    changed: Collection[str] = (),
) -> Seeds:
    """Return the seeds for a kernel with the sites ``ours``.

    ``profile`` and ``theirs`` are another kernel's. A function with the same number of accesses in
    both is taken to have the same accesses, in order; otherwise, if any of its accesses
    communicated, all are taken.
    """
    there, here = _by_function(theirs), _by_function(ours)
    communicating = profile.addresses
    found: set[int] = set()
    for name, addresses in here.items():
        before = there.get(name, ())
        seen = [at in communicating for at in before]
        if name in changed or (any(seen) and len(before) != len(addresses)):
            found.update(addresses)
        else:
            found.update(at for at, hit in zip(addresses, seen, strict=False) if hit)
    return Seeds(frozenset(found), frozenset(name for name in here if name in changed))


def _by_function(sites: Iterable[AccessSite]) -> Mapping[str, tuple[int, ...]]:
    found: dict[str, list[int]] = {}
    for site in sites:
        if not site.stack:
            found.setdefault(site.function, []).append(site.address)
    return {name: tuple(addresses) for name, addresses in found.items()}
