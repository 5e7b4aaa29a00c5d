# SPDX-License-Identifier: GPL-2.0-only
"""``tree``, ``apply`` and ``build``: from a source and patches to a kernel."""

from dataclasses import asdict

import click

from mmrace.cli.app import App, json_option
from mmrace.cli.options import build_options, series_option, tree_option
from mmrace.cli.printing import table
from mmrace.cli.session import open_session
from mmrace.definitions.base import base_for
from mmrace.errors import UserError
from mmrace.patching.intake import said
from mmrace.patching.series import apply_series
from mmrace.runs.kernels import find_source
from mmrace.runs.options import RunOptions
from mmrace.sources.debian import find_packages
from mmrace.sources.tree import Tree, add_tree, find_tree, list_trees
from mmrace.sources.worktree import add_worktree


@click.group("tree")
def tree_group() -> None:
    """Kernel (and LTP) sources that mmrace manages."""


@tree_group.command("add")
@click.argument("name")
@click.argument("source")
@click.option("--rev", help="Revision of a git repository.")
@click.option("--dirty", is_flag=True, help="Take a checkout as it is, uncommitted changes too.")
@json_option
@click.pass_obj
def add(app: App, name: str, source: str, rev: str | None, dirty: bool) -> None:
    """Add SOURCE as NAME: debian:6.1, a tarball, a directory, a git repository with --rev.

    debian:6.1=6.1.170-3 is one version of Debian's package; `mmrace tree find` lists them.
    """
    with app.step(f"tree {name}") as tell:
        if dirty and rev:
            raise UserError("--dirty takes the files of a checkout, --rev a commit; give one")
        if dirty:
            added = add_worktree(app.home, name, source, tell)
        else:
            added = add_tree(app.home, name, source, rev, tell)
        tell(f"= {added.kind} {added.version}")
    _show(app, added)


@tree_group.command("list")
@json_option
@click.pass_obj
def list_command(app: App) -> None:
    """The trees that are there."""
    trees = list_trees(app.home)
    app.document({"trees": [asdict(item) for item in trees]})
    rows = [(item.name, item.kind, item.version, item.commit[:12], item.source) for item in trees]
    if not app.as_json:
        app.out.print(table(("name", "kind", "version", "commit", "source"), rows))


@tree_group.command("find")
@json_option
@click.pass_obj
def find(app: App) -> None:
    """List the kernel sources that Debian has, and the trees to name them by."""
    with app.step("Debian") as tell, app.home.lock("debian", tell):
        found = find_packages(app.home.cache / "debian", tell)
        tell(f"= {len(found)} kernel sources")
    app.document({"packages": [{"tree": name, **asdict(one)} for name, one in found.items()]})
    rows = [(name, one.version, one.suite) for name, one in found.items()]
    if not app.as_json:
        app.out.print(table(("tree", "version", "suite"), rows))


@tree_group.command("show")
@click.argument("name")
@json_option
@click.pass_obj
def show(app: App, name: str) -> None:
    """One tree."""
    _show(app, find_tree(app.home, name, lambda _text: None))


def _show(app: App, item: Tree) -> None:
    app.document({"tree": asdict(item)})
    if not app.as_json:
        app.out.print(table(("", ""), [(key, str(value)) for key, value in asdict(item).items()]))


@click.command("apply")
@click.argument("series", nargs=-1, required=True)
@tree_option()
@json_option
@click.pass_obj
def apply(app: App, series: tuple[str, ...], tree: str) -> None:
    """Apply SERIES in the order given.

    A name from patches/, an mbox or maildir, a directory with or without a quilt series, A..B or a
    branch of a git repository (REPOSITORY#A..B), a message-id or its URL, - for standard input.
    #vN behind a thread takes that revision, else it is the newest.
    """
    with app.step(f"tree {tree}") as tell:
        found = find_source(app.home, tree, tell)
    base = base_for(found.version)
    with app.step(f"apply {' + '.join(series)}") as tell:
        resolved = open_session(app).intake.resolve(app.home, series, base)
        applied = apply_series(app.home, found, resolved, tell)
    notes = [*said(resolved), *applied.notes]
    app.document(
        {
            "tree": found.name,
            "base": base.name if base.covered else None,
            "commit": applied.commit,
            "applied": list(applied.applied),
            "already": list(applied.already),
            "tree_hash": applied.tree_hash,
            "series": [item.name for item in resolved],
            "notes": notes,
        }
    )
    if not app.as_json:
        for name in applied.applied:
            app.out.print(f"applied        {name}", markup=False)
        for name in applied.already:
            app.out.print(f"already there  {name}", markup=False)
        for note in notes:
            app.out.print(f"note           {note}", markup=False)
        if not applied.applied:
            app.out.print(f"unchanged      {found.name}: there is nothing to apply", markup=False)
        on_base = f" on base {base.name}" if base.covered else ""
        app.out.print(f"commit {applied.commit}{on_base}", markup=False)


@click.command("build")
@tree_option()
@series_option
@build_options
@json_option
@click.pass_obj
def build(app: App, tree: str, series: tuple[str, ...], options: RunOptions) -> None:
    """Build a kernel; says what was reused."""
    made = open_session(app).build(tree, series, options).kernel
    app.document(
        {
            "kernel_id": made.id,
            "release": made.release,
            "image": str(made.image),
            "vmlinux": str(made.vmlinux),
            "config": str(made.config),
            "seconds": round(made.seconds, 3),
            "reused": made.reused,
        }
    )
    if not app.as_json:
        app.out.print(f"{made.release} {made.id}\n{made.image}", markup=False)


COMMANDS = (tree_group, apply, build)
