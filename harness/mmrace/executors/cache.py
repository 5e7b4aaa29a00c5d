# SPDX-License-Identifier: GPL-2.0-only
"""What a worker keeps: files that cells need, until they are the least recently used, and runs."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mmrace.executors.objects import has_object, keep_object, place_of
from mmrace.executors.store import read_stored
from mmrace.home import Home
from mmrace.leftover import take_away, using
from mmrace.runs.record import all_runs
from mmrace.storage import make_room, measure

SHARE = 4  # of the limit that sources of kernels may take
KEPT_RUNS = 64  # a run belongs to its submitter; these are for one that asks again


class WorkerCache:
    """The home of a worker: the user's cache, and runs apart from the user's own."""

    def __init__(self, home: Home) -> None:
        self.home = Home(home.cache, home.data / "worker", home.limit)

    @contextmanager
    def with_files(self, files: Mapping[str, str], store: str) -> Iterator[tuple[str, ...]]:
        """Yield the names of files (with their SHA-256) that are not here, nor in the store.

        The others are not dropped meanwhile. Raises InfraError when what the store has is not what
        its name says, or it cannot be read.
        """
        self._pull(self._missing(files), store)
        with using(self._objects(files)):
            yield tuple(self._missing(files))

    def keep(self, name: str, wanted: str, data: bytes) -> None:
        """Keep a file, and the cache under its limit; InfraError when it is another file."""
        make_room(self.home, len(data))
        keep_object(self.home, name, wanted, data)

    def forget_runs(self) -> None:
        """Remove all runs but the last."""
        for run in list(all_runs(self.home))[:-KEPT_RUNS]:
            take_away(run.folder)

    @contextmanager
    def with_trees(self) -> Iterator[None]:
        """Let sources be there, unless they take too much: then all are dropped and come again."""
        trees = self.home.trees / "store.git"
        if trees.is_dir() and measure(trees) > self.home.limit // SHARE:
            take_away(trees)
        with using([trees]):
            yield

    def _missing(self, files: Mapping[str, str]) -> dict[str, str]:
        return {n: wanted for n, wanted in files.items() if not has_object(self.home, n, wanted)}

    def _pull(self, files: Mapping[str, str], store: str) -> None:
        for name, wanted in files.items():
            if store and (data := read_stored(store, wanted)) is not None:
                self.keep(name, wanted, data)

    def _objects(self, names: Iterable[str]) -> set[Path]:
        """Directories and files that are dropped as a whole."""
        places = [place_of(self.home, name).relative_to(self.home.cache) for name in names]
        return {self.home.cache / Path(*place.parts[:2]) for place in places}
