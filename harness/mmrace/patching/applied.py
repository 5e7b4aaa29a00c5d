# SPDX-License-Identifier: GPL-2.0-only
"""A series applied to a tree: a commit in the store."""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mmrace.definitions.base import Base, base_for
from mmrace.errors import MmraceError, UserError
from mmrace.home import Home, write_file
from mmrace.patching.level import at_tree_level
from mmrace.patching.patch import Patch, Series
from mmrace.patching.present import differences
from mmrace.patching.reject import explain
from mmrace.sources.git import Repository, create, last_line
from mmrace.sources.tree import Tree, list_trees, store

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Applied:
    """The patched tree; ``already`` names patches whose change was there before.

    A race stands there for a fix that the tree has and mmrace has no patch for. ``touched`` pairs
    each file with the last patch that changed it.
    """

    commit: str
    tree_hash: str
    applied: tuple[str, ...]
    already: tuple[str, ...]
    notes: tuple[str, ...]
    touched: tuple[tuple[str, str], ...] = ()


def apply_series(home: Home, tree: Tree, series: Sequence[Series], progress: Progress) -> Applied:
    """Apply series in order, as ``git am --3way`` does, beside the user's own files.

    The same patches on the same tree give the same commit, from a record when it was done
    before. Raises UserError naming the patch, the file and the hunk that do not fit; nothing is
    left half applied then.
    """
    key = _key(tree, series)
    record = home.trees / "applied" / f"{key}.json"
    with home.lock(f"apply-{key[:16]}", progress):
        if known := _recall(home, record):
            return known
        with home.scratch(home.cache / "series") as scratch:
            placed, notes = at_tree_level(store(home), tree.commit, series)
            bench = _Bench(home, tree, placed, scratch)
            bench.note(notes)
            for item in placed:
                bench.apply_series(item, progress)
            made = bench.result(_base(tree))
        ref = f"refs/mmrace/applied/{key}"
        store(home).set_ref(ref, made.commit)
        write_file(record, json.dumps(asdict(made)))
    return made


def function_diff(home: Home, before: str, after: str) -> str:
    """What differs between two commits in C files, with whole functions around it."""
    words = ("diff-tree", "-r", "-p", "-W", "--no-renames", before, after, "--", "*.[ch]")
    return store(home).git(*words).text


def _key(tree: Tree, series: Sequence[Series]) -> str:
    """What the result depends on."""
    parts = [tree.commit, tree.version]
    for item in series:
        parts += [item.name if not item.outside else "", *(p.name for p in item.patches)]
        parts += [hashlib.sha256(p.mail).hexdigest() for p in item.patches + item.opposite]
        parts += [item.borrowed, _key(tree, item.instead)] if item.borrowed else []
        parts += [item.base_commit, *item.needs] if item.base_commit or item.needs else []
        parts.append(repr(item.marks))
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _recall(home: Home, record: Path) -> Applied | None:
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    for name in ("applied", "already", "notes"):
        content[name] = tuple(content[name])
    content["touched"] = tuple((file, patch) for file, patch in content["touched"])
    known = Applied(**content)
    return known if store(home).rev(f"{known.commit}^{{commit}}") else None


def _base(tree: Tree) -> Base | None:
    try:
        return base_for(tree.version)
    except MmraceError:
        return None


def _refusal(tree: Tree, refusals: Sequence[UserError], first: Series) -> UserError:
    """Return the error of the patches that were tried first, and what was missing."""
    error = refusals[0]
    if not first.borrowed:
        return error
    message = f"{error.message}; no base covers linux {tree.version}: write a patch for it"
    return UserError(message, error.detail)


class _Bench:
    """A throwaway repository over the store's objects, with only the touched files laid out."""

    def __init__(self, home: Home, tree: Tree, series: Sequence[Series], scratch: Path) -> None:
        self._home, self._tree = home, tree
        self._done: list[str] = []
        self._already: list[str] = []
        self._notes: list[str] = []
        self._applied: list[Patch] = []
        self._touched: dict[str, str] = {}
        self._own = any(item.patches and not item.outside for item in series)
        self._scratch = scratch
        offers = [offer for item in series for offer in (item, *item.instead)]
        self._files = sorted({f for s in offers for p in s.patches + s.opposite for f in p.files})
        self._all_patches = tuple(patch for item in series for patch in item.patches)
        self._git = self._lay_out()

    def _lay_out(self) -> Repository:
        work = self._scratch / "work"
        work.mkdir()
        git = replace(
            create(self._scratch / "git"), objects=store(self._home).path / "objects", work=work
        )
        sparse = git.path / "info" / "sparse-checkout"
        sparse.parent.mkdir(exist_ok=True)
        escaped = [re.sub(r"([*?\[\]\\ ])", r"\\\1", path) for path in self._files]
        sparse.write_text("".join(f"/{path}\n" for path in escaped), encoding="utf-8")
        git = replace(git, settings=(*git.settings, "core.sparseCheckout=true"))
        git.git("update-ref", "--no-deref", "HEAD", self._tree.commit)
        git.git("read-tree", "-m", "-u", "HEAD")
        return git

    def note(self, notes: Sequence[str]) -> None:
        """Add a note about the outcome."""
        self._notes += notes

    def apply_series(self, series: Series, progress: Progress) -> None:
        """Apply one series, and see to what it says that it was made on."""
        wants = [*self._missing(series), *self._made_on(series)]
        try:
            self.apply(series, progress)
        except UserError as error:
            raise UserError("; ".join([error.message, *wants]), error.detail) from error
        self._notes += wants

    def _missing(self, series: Series) -> list[str]:
        """Patches that the series needs, and that were not applied before it."""
        if not series.needs:
            return []
        ids = set()
        for patch in (*self._applied, *series.patches):
            patch_id = self._git.git("patch-id", "--stable", stdin=patch.diff, check=False).text
            ids |= set(patch_id.split()[:1])
        absent = [needed for needed in series.needs if needed not in ids]
        return [f"it needs the patch with id {needed[:12]} first; give it too" for needed in absent]

    def _made_on(self, series: Series) -> list[str]:
        commit = series.base_commit
        if not commit or self._tree.identity.startswith(commit):
            return []
        trees = [t.name for t in list_trees(self._home) if t.identity.startswith(commit)]
        where = f"which is tree {trees[0]}" if trees else "which is none of the trees here"
        return [f"it was made on base-commit {commit[:12]}, {where}"]

    def apply(self, series: Series, progress: Progress) -> None:
        """Apply one series; what is there already, as a group or patch by patch, is passed by."""
        offers = (series, *series.instead)
        groups = dict.fromkeys(patch.group for offer in offers for patch in offer.patches)
        groups |= dict.fromkeys(race for offer in offers for race, _ in offer.marks)
        for group in groups:
            self._apply_group(group, offers, progress)

    def _apply_group(self, group: str, offers: Sequence[Series], progress: Progress) -> None:
        """Apply the patches of one race from the first series whose patches fit."""
        choices = [(one, [p for p in one.patches if p.group == group]) for one in offers]
        for offer, patches in choices:
            if self._is_there(offer, group, patches):
                self._applied += patches
                self._already += [patch.name for patch in patches] or [group]
                return
        choices = [(offer, patches) for offer, patches in choices if patches]
        if not choices:
            self._notes.append(f"{group}: neither fixed in this tree, nor is there a patch")
        refusals: list[UserError] = []
        for offer, patches in choices:
            try:
                self._apply_all(patches, progress)
            except UserError as error:
                refusals.append(error)
                continue
            self._applied += patches
            if offer.borrowed:
                version = self._tree.version
                self._notes.append(
                    f"{group}: no base covers linux {version}; from patches/{offer.borrowed}"
                )
            return
        if refusals:
            raise _refusal(self._tree, refusals, choices[0][0])

    def _apply_all(self, patches: Sequence[Patch], progress: Progress) -> None:
        """Apply patches, all or none."""
        head = self._git.git("rev-parse", "HEAD").text.strip()
        kept = (list(self._done), list(self._already), list(self._notes), dict(self._touched))
        try:
            for patch in patches:
                progress(patch.name)
                self._apply_one(patch)
        except UserError:
            self._git.git("reset", "--quiet", "--hard", head)
            self._done, self._already, self._notes, self._touched = kept
            raise

    def _is_there(self, series: Series, group: str, patches: list[Patch]) -> bool:
        if patches and self._fits(patches, reverse=True):
            return True
        # A fix is there, in whatever words, when what takes it out would fit, or by its marks.
        opposite = [p for p in series.opposite if p.group == group]
        if opposite and self._fits(opposite, reverse=False):
            return True
        marks = dict(series.marks).get(group, ())
        return bool(marks) and all(mark.holds(self._text(mark.file)) for mark in marks)

    def _text(self, path: str) -> str:
        return self._text_or_none(path) or ""

    def _text_or_none(self, path: str) -> str | None:
        content = self._git.file("HEAD", path)
        return None if content is None else content.decode(errors="replace")

    def _fits(self, patches: Sequence[Patch], *, reverse: bool) -> bool:
        """Whether all patches fit (or come off), tried on an index of the touched files alone."""
        probe = replace(self._git, index=self._scratch / "probe")
        (self._scratch / "probe").unlink(missing_ok=True)
        listed = probe.git("ls-tree", "-z", "HEAD", "--", *self._files).stdout
        probe.git("update-index", "-z", "--index-info", stdin=listed)
        words = ["apply", "--cached", *(["--reverse"] if reverse else []), "-"]
        for patch in reversed(patches) if reverse else patches:
            if probe.git(*words, stdin=patch.diff, check=False).returncode:
                return False
        return True

    def _apply_one(self, patch: Patch) -> None:
        if self._fits([patch], reverse=True):
            self._already.append(patch.name)
            return
        before = self._git.rev("HEAD")
        done = self._git.git("am", "--3way", "--keep-cr", stdin=patch.mail, check=False)
        if done.returncode:
            self._git.git("am", "--abort", check=False)
            around = differences(patch, self._text_or_none)
            if around is None:
                message = last_line(done.errors)
                raise explain(self._home, self._tree, self._git, patch, message, self._all_patches)
            self._already.append(patch.name)
            self._notes.append(f"{patch.label}: already there; {'; '.join(around[:3])}")
            return
        if self._git.rev("HEAD") == before:
            self._already.append(patch.name)
            return
        if "3-way merge" in done.text + done.errors:
            self._notes.append(f"{patch.name}: the file has changed since; merged three-way")
        self._done.append(patch.name)
        self._touched |= dict.fromkeys(patch.files, patch.name)

    def result(self, base: Base | None) -> Applied:
        """Check the outcome and name it."""
        commit = self._git.git("rev-parse", "HEAD").text.strip()
        tree_hash = self._git.git("rev-parse", "HEAD^{tree}").text.strip()
        changed = self._git.git("diff-tree", "-r", self._tree.commit, commit).text
        if re.search(r"^:\d+ (120000|160000)", changed, re.M):
            raise UserError("the series changes a link or a submodule; leave that patch out")
        if base and self._own and (note := base.note(self._tree.version)):
            self._notes.append(note)
        return Applied(
            commit,
            tree_hash,
            tuple(self._done),
            tuple(self._already),
            tuple(self._notes),
            tuple(sorted(self._touched.items())),
        )
