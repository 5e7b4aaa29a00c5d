# SPDX-License-Identifier: GPL-2.0-only
"""A history on top of Debian's 6.1 with culprits in it, as trees of kernels have them.

37 commits, a merge among them; several touch headers. Two do not build, two do not boot, from the
eighth on a quarter of all boots crashes in move_pages(2), which has nothing to do with any race.
Three bring a race back: the vulnerable patches, one of them on the side branch.

    python -m vm.planted DIRECTORY      (with tests/ and harness/ on PYTHONPATH)
"""

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from mmrace.definitions.base import base_for
from mmrace.home import Home
from mmrace.patching.series import resolve_series
from mmrace.sources.git import Repository, create
from mmrace.sources.tree import find_tree, store

EPOCH = 1_700_000_000
FLAKY = """
static bool planted_bad_boot(void)
{
	static atomic_t calls;
	static u8 chance;
	int call = atomic_inc_return(&calls);

	if (call == 1)
		get_random_bytes(&chance, sizeof(chance));
	return call == 20 && chance < 64;
}

static int kernel_move_pages("""
BOOT = """
static int __init planted_initcall(void)
{
	BUG();
	return 0;
}
late_initcall(planted_initcall);
"""
UNBUILDABLE = "\nint planted_nowhere(void)\n{\n\treturn planted_not_declared();\n}\n"


@dataclass
class Planted:
    """The repository, its ends, and who brought each race back."""

    path: Path
    first: str
    last: str
    culprits: dict[str, str] = field(default_factory=dict)


class Planter:
    """Commits to a bare repository without laying the files out."""

    def __init__(self, path: Path, home: Home) -> None:
        self.git: Repository = create(path)
        alternates = path / "objects" / "info" / "alternates"
        alternates.parent.mkdir(exist_ok=True)
        alternates.write_text(f"{store(home).path / 'objects'}\n")
        tree = find_tree(home, "debian:6.1", str)
        self.base = base_for(tree.version)
        self.head = self.first = tree.commit
        self.count = 0
        self.git.git("read-tree", self.head)

    def write(self, path: str, text: str) -> None:
        """Put a file into the index."""
        made = self.git.git("hash-object", "-w", "--stdin", stdin=text.encode()).text.strip()
        self.git.git("update-index", "--cacheinfo", f"100644,{made},{path}")

    def read(self, path: str) -> str:
        return self.git.git("cat-file", "blob", f":{path}").text

    def commit(self, subject: str, *others: str) -> str:
        """Commit the index on top of the head; ids are the same every time."""
        self.count += 1
        when = f"{EPOCH + 60 * self.count} +0000"
        env = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
        tree = self.git.git("write-tree").text.strip()
        parents = [word for one in (self.head, *others) for word in ("-p", one)]
        made = self.git.git("commit-tree", tree, *parents, "-m", subject, env=env)
        self.head = made.text.strip()
        return self.head

    def at(self, commit: str) -> None:
        """Go on from another commit."""
        self.head = commit
        self.git.git("read-tree", commit)

    def plain(self, path: str) -> str:
        """Change a file in a way that matters to nobody."""
        number, text = self.count + 1, self.read(path)
        name = f"planted_{number}"
        if path.endswith(".h"):
            head, end, tail = text.rpartition("#endif")
            inline = f"static inline int {name}(int pages)\n{{\n\treturn pages + {number};\n}}\n\n"
            self.write(path, f"{head}{inline}{end}{tail}")
        elif path.endswith(".c"):
            added = f"\nint {name}(int pages);\nint {name}(int pages)\n{{\n\treturn pages;\n}}\n"
            self.write(path, text + added)
        else:
            self.write(path, f"{text}\n.. note {number}\n")
        return self.commit(f"{path}: change number {number}")

    def appended(self, path: str, text: str, subject: str) -> str:
        self.write(path, self.read(path) + text)
        return self.commit(subject)

    def without(self, path: str, text: str, subject: str) -> str:
        self.write(path, self.read(path).replace(text, ""))
        return self.commit(subject)

    def flaky(self) -> str:
        text = self.read("mm/migrate.c").replace("\nstatic int kernel_move_pages(", FLAKY, 1)
        place = "	if (flags & ~(MPOL_MF_MOVE|MPOL_MF_MOVE_ALL))\n		return -EINVAL;\n"
        head, found, tail = text.partition(FLAKY)
        assert found
        assert place in tail
        body = tail.replace(place, f"{place}\n	BUG_ON(planted_bad_boot());\n", 1)
        self.write("mm/migrate.c", head + found + body)
        return self.commit("mm/migrate: count the calls of move_pages")

    def vulnerable(self, race: str) -> str:
        for patch in resolve_series(f"vulnerable/{race}", self.base).patches:
            self.git.git("apply", "--cached", "-", stdin=patch.diff)
            made = self.commit(f"mm: make {race.partition('-')[0]} simpler")
        return made


def plant(path: Path, home: Home) -> Planted:
    """Make the history; the same one every time."""
    it = Planter(path, home)
    made = Planted(path, it.first, "")
    for name in ("mm/vmscan.c", "Documentation/mm/hmm.rst", "include/linux/compaction.h"):
        it.plain(name)
    for name in ("mm/swap.c", "fs/exec.c", "mm/khugepaged.c", "mm/internal.h"):
        it.plain(name)
    it.flaky()
    fork = it.plain("mm/mremap.c")
    it.plain("Documentation/mm/ksm.rst")
    it.appended("mm/mlock.c", UNBUILDABLE, "mm/mlock: say how many are locked")
    it.plain("mm/mmap.c")
    it.without("mm/mlock.c", UNBUILDABLE, "mm/mlock: make it build")
    main = it.plain("lib/sort.c")
    it.at(fork)
    it.plain("mm/hugetlb.c")
    made.culprits["hugetlb-uffd"] = it.vulnerable("hugetlb-uffd")
    side = it.plain("mm/userfaultfd.c")
    side_files = ("mm/hugetlb.c", "mm/userfaultfd.c")
    kept = {name: it.read(name) for name in side_files}
    it.at(main)
    for name, text in kept.items():
        it.write(name, text)
    it.commit("Merge branch 'userfaultfd'", side)
    for name in ("include/linux/hugetlb.h", "mm/mprotect.c", "mm/rmap.c"):
        it.plain(name)
    it.appended("mm/oom_kill.c", BOOT, "mm/oom_kill: check the books at boot")
    it.plain("mm/filemap.c")
    it.without("mm/oom_kill.c", BOOT, "mm/oom_kill: do not check the books at boot")
    it.plain("mm/truncate.c")
    made.culprits["hugetlb-anon-migration"] = it.vulnerable("hugetlb-anon-migration")
    for name in ("Documentation/mm/numa.rst", "mm/memory.c", "include/linux/userfaultfd_k.h"):
        it.plain(name)
    it.plain("mm/readahead.c")
    made.culprits["exec-stack-migration"] = it.vulnerable("exec-stack-migration")
    for name in ("mm/util.c", "kernel/fork.c", "mm/vmstat.c", "mm/list_lru.c", "mm/mempool.c"):
        it.plain(name)
    it.plain("Documentation/mm/page_owner.rst")
    made.last = it.head
    it.git.git("update-ref", "refs/heads/main", it.head)
    return made


if __name__ == "__main__":
    planted = plant(Path(sys.argv[1]).absolute(), Home.from_environment(os.environ))
    print(planted.first, planted.last)
    for race, commit in planted.culprits.items():
        print(race, commit)
