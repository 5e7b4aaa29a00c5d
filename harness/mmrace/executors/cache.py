# SPDX-License-Identifier: GPL-2.0-only
"""A worker's cache: files that cells need, dropped least recently used first, and recent runs."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mmrace.executors.objects import has_object, keep_object, place_of
from mmrace.executors.store import read_stored
from mmrace.home import Home
from mmrace.leftover import take_away, using
from mmrace.runs.record import all_runs
from mmrace.storage import make_room, measure

SHARE = 4  # kernel sources may take this fraction (1/4) of the home's limit
KEPT_RUNS = 64  # newest runs that a worker keeps, for a submitter that asks again


class WorkerCache:
    """A worker's home: it shares the user's cache, and keeps its runs apart from the user's."""

    def __init__(self, home: Home) -> None:
        self.home = Home(home.cache, home.data / "worker", home.limit)

    @contextmanager
    def with_files(self, files: Mapping[str, str], store: str) -> Iterator[tuple[str, ...]]:
        """Fetch files from the store; yield the names of those that are neither here nor there.

        ``files`` maps names to SHA-256. Files that are here are not dropped while the context
        lasts. Raises InfraError when the store cannot be read, or has other content than its name
        says.
        """
        self._pull(self._missing(files), store)
        with using(self._objects(files)):
            yield tuple(self._missing(files))

    def keep(self, name: str, sha256: str, data: bytes) -> None:
        """Store a file, and drop others to stay below the limit; InfraError on a wrong SHA-256."""
        make_room(self.home, len(data))
        keep_object(self.home, name, sha256, data)

    def forget_runs(self) -> None:
        """Remove all runs but the newest ``KEPT_RUNS``."""
        for run in list(all_runs(self.home))[:-KEPT_RUNS]:
            take_away(run.folder)

    @contextmanager
    def with_trees(self) -> Iterator[None]:
        """Keep kernel sources while the context lasts; drop all of them first if above SHARE."""
        trees = self.home.trees / "store.git"
        if trees.is_dir() and measure(trees) > self.home.limit // SHARE:
            take_away(trees)
        with using([trees]):
            yield

    def _missing(self, files: Mapping[str, str]) -> dict[str, str]:
        return {n: sha256 for n, sha256 in files.items() if not has_object(self.home, n, sha256)}

    def _pull(self, files: Mapping[str, str], store: str) -> None:
        for name, sha256 in files.items():
            if store and (data := read_stored(store, sha256)) is not None:
                self.keep(name, sha256, data)

    def _objects(self, names: Iterable[str]) -> set[Path]:
        """The directories and files to protect: the cache drops a whole directory at a time."""
        places = [place_of(self.home, name).relative_to(self.home.cache) for name in names]
        return {self.home.cache / Path(*place.parts[:2]) for place in places}
