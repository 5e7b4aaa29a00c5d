# SPDX-License-Identifier: GPL-2.0-only
"""``tree``, ``apply`` and ``build``: from a source and patches to a kernel."""

import click

from mmrace.answers import host
from mmrace.answers.answer import Answer
from mmrace.cli.app import App
from mmrace.cli.command import command
from mmrace.cli.options import series_option, tree_option
from mmrace.cli.runoptions import build_options
from mmrace.cli.session import open_session
from mmrace.runs.options import RunOptions
from mmrace.sources.debian import find_packages
from mmrace.sources.tree import find_tree, list_trees, store
from mmrace.sources.worktree import add_source


@click.group("tree")
def tree_group() -> None:
    """Import and list sources of kernels and of LTP."""


@command("add", tree_group)
@click.argument("name")
@click.argument("source")
@click.option("--rev", help="Revision of a git repository.")
@click.option("--dirty", is_flag=True, help="Include uncommitted changes of a checkout.")
def add(app: App, name: str, source: str, rev: str | None, dirty: bool) -> Answer:
    """Import SOURCE as NAME: debian:6.1, a tarball, a directory, or a git repository with --rev.

    debian:6.1=6.1.170-3 names one version of Debian's package; `mmrace tree find` lists them.
    """
    with app.step(f"tree {name}") as tell:
        added = add_source(app.home, name, source, rev, tell, dirty=dirty)
        tell(f"= {added.kind} {added.version}")
    return host.tree(added)


@command("list", tree_group)
def list_command(app: App) -> Answer:
    """List the imported sources."""
    return host.trees(list_trees(app.home))


@command("find", tree_group)
def find(app: App) -> Answer:
    """List the kernel sources that Debian has, and what --tree calls each."""
    with app.step("Debian") as tell, app.home.lock("debian", tell):
        found = find_packages(app.home.cache / "debian", tell)
        tell(f"= {len(found)} kernel sources")
    return host.packages(found)


@command("show", tree_group)
@click.argument("name")
def show(app: App, name: str) -> Answer:
    """Show one source: its version, commit, and where it came from."""
    return host.tree(find_tree(app.home, name, app.note))


@command("apply")
@click.argument("series", nargs=-1, required=True)
@tree_option()
def apply(app: App, series: tuple[str, ...], tree: str) -> Answer:
    """Apply SERIES to a tree, in the order given, and say which patches the tree already has.

    A series is a name from patches/, an mbox or maildir, a directory with or without a quilt
    series, A..B or a branch of a git repository (REPOSITORY#A..B), a message-id or its URL, or -
    for standard input. THREAD#vN takes revision N of a thread; the default is the newest.
    """
    done = open_session(app).prepare(tree, series)
    return host.applied_series(done, store(app.home).path)


@command("build")
@tree_option()
@series_option
@build_options
def build(app: App, tree: str, series: tuple[str, ...], options: RunOptions) -> Answer:
    """Build a kernel, and say what was reused."""
    return host.kernel(open_session(app).build(tree, series, options).kernel)
