# SPDX-License-Identifier: GPL-2.0-only
"""Kernels of the toy tree built by workers of a Dask cluster: what comes back, and what is sent."""

import json
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusters import Cluster, wait_for
from mmrace.building.kernel import Kernel, load_kernel
from mmrace.building.request import request_kernel
from mmrace.definitions.base import Base, Build
from mmrace.errors import BuildError, InfraError, UserError
from mmrace.executors.cache import WorkerCache
from mmrace.executors.cluster import ClusterExecutor
from mmrace.executors.packs import lacking, make_packs, take_packs
from mmrace.home import Home
from mmrace.sandbox import have_bubblewrap
from mmrace.sources.tree import add_tree, store

pytestmark = pytest.mark.whole

FAKE = Path(__file__).parents[1] / "fakes" / "linux"
BASE = Base(name="6.1", versions="~=6.1.0", tested="6.1.192", build=Build())


class Site:
    """A cluster, a toy tree that a test changes, and the progress messages."""

    def __init__(self, top: Path) -> None:
        self.cluster = Cluster(top)
        self.home = self.cluster.home
        self.tree = top / "tree"
        self.messages: list[str] = []
        shutil.copytree(FAKE, self.tree)

    def imported(self) -> tuple[str, str]:
        """The tree as it is now: commit and tree."""
        made = add_tree(self.home, "toy", str(self.tree), None, str)
        return made.commit, made.tree_hash

    def change(self, line: str) -> tuple[str, str]:
        with (self.tree / "mm" / "rmap.c").open("a") as file:
            file.write(f"{line}\n")
        return self.imported()

    def build(self, executor: ClusterExecutor, of: tuple[str, str], **more: bool) -> Kernel:
        self.messages.clear()
        touched = (("mm/rmap.c", "mm: a patch"),)
        wanted = request_kernel(
            self.home, *of, BASE, ("migration",), touched=touched, **{"outside": False, **more}
        )
        kernel: Kernel = executor.build(self.home, wanted, self.messages.append)
        return kernel


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    if not have_bubblewrap():
        pytest.skip("apt-get install bubblewrap")
    made = Site(tmp_path)
    monkeypatch.setenv("PATH", made.cluster.env["PATH"])
    made.cluster.scheduler()
    yield made
    made.cluster.close()


def test_a_kernel_is_built_by_a_worker_and_is_here_as_if_it_were_built_here(site: Site) -> None:
    there = site.cluster.worker("first")
    executor = site.cluster.executor()
    first = site.imported()
    kernel = site.build(executor, first)
    assert not kernel.reused
    assert not site.home.builds.exists()
    assert load_kernel(there, kernel.id)
    assert json.loads((kernel.folder / "kernel.json").read_text())["commit"] == first[0]
    for name in ("bzImage", "vmlinux", "System.map", "config"):
        assert (kernel.folder / name).read_bytes() == (
            there.kernels / kernel.id / name
        ).read_bytes()
    again = site.build(executor, first)
    assert (again.id, again.reused, site.messages) == (kernel.id, True, [])

    second = site.change("int more(void) { return 1; }")
    other = site.build(executor, second, outside=True)
    assert other.id != kernel.id
    sizes = {path.name: path.stat().st_size for path in site.home.packs.iterdir()}
    whole = sizes.pop(f"6.1-{first[1]}.pack")
    assert list(sizes) == [f"{second[1]}-{first[1]}.pack"]
    assert sizes.popitem()[1] < whole / 2
    executor.close()


def test_what_does_not_compile_is_the_submitter_s_error_and_names_the_patch(site: Site) -> None:
    site.cluster.worker("first")
    notes: list[str] = []
    executor = site.cluster.executor(note=notes.append)
    with pytest.raises(BuildError, match=r"the kernel did not build: mm/rmap\.c.*mm: a patch"):
        site.build(executor, site.change("int broken(void) { return oh; }"))
    assert not notes  # nobody else was asked to try
    with pytest.raises(UserError, match="--no-sandbox"):
        site.build(executor, site.imported(), sandboxed=False)
    executor.close()


def test_a_worker_with_another_compiler_builds_nothing(site: Site) -> None:
    other = site.cluster.top / "other"
    other.mkdir()
    (other / "gcc").write_text("#!/bin/sh\necho gcc of another kind 99\n")
    (other / "gcc").chmod(0o755)
    site.cluster.worker("odd", env={"PATH": f"{other}:{site.cluster.env['PATH']}"})
    notes: list[str] = []
    executor = site.cluster.executor(note=notes.append)
    with pytest.raises(InfraError, match=r"tried: odd: its compiler .*another kind 99"):
        site.build(executor, site.imported())
    site.cluster.worker("good")
    wait_for(lambda: len(executor._dispatch._addresses()) == 2)
    made = [site.build(executor, site.change(f"int n{n};")) for n in range(3)]
    executor.close()
    assert len({kernel.id for kernel in made}) == 3
    assert all("install the same there; sent to another worker" in note for note in notes)


def test_a_build_whose_worker_dies_is_made_by_another(site: Site) -> None:
    makefile = site.tree / "Makefile"
    text = makefile.read_text()
    makefile.write_text(text.replace("\t@echo '  LD      vmlinux'\n", "\t@sleep 8\n"))
    first = site.cluster.worker("first")
    executor = site.cluster.executor()
    of = site.imported()
    wait = executor._pool.submit(site.build, executor, of)
    wait_for(lambda: list(first.builds.glob("*/build/mm/rmap.o")))
    site.cluster.worker("second")
    wait_for(lambda: len(executor._dispatch._addresses()) == 2)
    site.cluster.end("first")
    kernel = wait.result(timeout=120)
    executor.close()
    assert [row.worker for row in executor.board.rows() if row.ended] == ["second"]
    assert load_kernel(site.home, kernel.id)


def test_packs_hold_a_tree_whole_and_what_others_have_beside_it(tmp_path: Path) -> None:
    site = Site(tmp_path)
    here, there = site.home, Home(tmp_path / "there", tmp_path / "there")
    trees = [site.imported()[1], site.change("int a;")[1], site.change("int b;")[1]]
    for tree in trees:
        packs = make_packs(here, "6.1", tree)
        assert packs == make_packs(here, "6.1", tree)
        missing = lacking(there, packs)
        assert [one for one, _ in missing] == [tree]  # the first one's is there already
        for _, name in missing:
            (there.cache / "packs").mkdir(exist_ok=True, parents=True)
            shutil.copyfile(here.cache / name, there.cache / name)
        take_packs(there, missing)
        assert lacking(there, packs) == ()
        files = store(there).git("ls-tree", "-r", "--name-only", tree).text.splitlines()
        assert all(store(there).file(tree, name) is not None for name in files)
    assert len(list(here.packs.iterdir())) == 3


def test_a_pack_that_is_not_its_tree_is_not_used(tmp_path: Path) -> None:
    site = Site(tmp_path)
    there = Home(tmp_path / "there", tmp_path / "there")
    ((_, name),) = make_packs(site.home, "6.1", site.imported()[1])
    there.packs.mkdir(parents=True)
    shutil.copyfile(site.home.cache / name, there.cache / name)
    with pytest.raises(InfraError, match="does not have the tree 000000000000"):
        take_packs(there, [("0" * 40, name)])
    (there.cache / name).write_bytes((there.cache / name).read_bytes()[:-9] + b"x" * 9)
    with pytest.raises(InfraError, match="git index-pack failed"):
        take_packs(there, [("1" * 40, name)])


def test_sources_that_take_too_much_of_a_worker_are_dropped_and_come_again(tmp_path: Path) -> None:
    site = Site(tmp_path)
    cache = WorkerCache(Home(tmp_path / "c", tmp_path / "d", 1_000_000))

    def grow() -> Path:
        (site.tree / "noise").write_bytes(secrets.token_bytes(150_000))
        add_tree(cache.home, "toy", str(site.tree), None, str)
        return store(cache.home).path

    kept = grow()
    with cache.with_trees():
        assert kept.is_dir()
        grow()
        with cache.with_trees():  # another build's, while the first one has its sources
            assert kept.is_dir()
    with cache.with_trees():
        assert not kept.is_dir()
