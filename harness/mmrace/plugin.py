# SPDX-License-Identifier: GPL-2.0-only
"""The pytest plugin: tests that boot kernels are ordinary pytest files.

::

    @pytest.mark.mmrace(race="khugepaged-retract", series=("vulnerable", "fixes"))
    def test_it_holds(mmrace_vm):
        assert mmrace_vm.run(seconds=30).outcome == "PASS"

    @pytest.mark.mmrace(tree="debian:6.12")
    def test_my_program(mmrace_vm):
        shown = mmrace_vm.boot(Path(__file__).with_name("mine.c"), "--all")
        assert shown.outcome == "PASS"

It is an entry point as the command line is: it knows its user's home. Workers of pytest-xdist share
kernels and take turns with guests, by locks of the home.
"""

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import fields

import pytest

from mmrace.boottest import ENDED, Vm, Wish, as_texts, errors_end_test, progress_teller
from mmrace.data import use_races
from mmrace.errors import MmraceError
from mmrace.home import Home
from mmrace.progress import Tell
from mmrace.runs import kernels
from mmrace.runs.kernels import Built
from mmrace.sources.tree import Tree, find_tree

_KERNELS = pytest.StashKey[dict[tuple[object, ...], Built | MmraceError]]()


def _worker() -> int:
    """Which worker of pytest-xdist this is, from 0."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Settings in the user's pytest configuration."""
    parser.addini("mmrace_tree", "tree of tests whose mark names none", default="debian:6.1")
    parser.addini("mmrace_guests", "guests at a time, all workers together", default="1")
    parser.addini("mmrace_races", "folder of own races, below rootdir", default="mmrace-races")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark, for ``--strict-markers``."""
    names = ", ".join(f"{field.name}=..." for field in fields(Wish))
    config.addinivalue_line("markers", f"mmrace({names}): the kernel that a test boots")
    config.stash[_KERNELS] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show, beside a failure, which kernels and runs it is about."""
    report = yield
    messages = getattr(item, "mmrace_messages", None)
    if messages and report.failed:
        report.sections.append(("mmrace", "\n".join(messages)))
        ended = [text.removeprefix(ENDED) for text in messages if text.startswith(ENDED)]
        place = getattr(report.longrepr, "reprcrash", None)
        if place and ended:
            place.message = f"{ended[-1]}: {place.message}"
    return report


def wish_of(item: pytest.Item) -> Wish:
    """Read the mark; the one nearest to the test wins. UsageError for an argument unknown to it."""
    mark = item.get_closest_marker("mmrace")
    if mark is None:
        return Wish()
    known = {field.name for field in fields(Wish)}
    if mark.args or (unknown := sorted(set(mark.kwargs) - known)):
        what = ", ".join(unknown) if not mark.args else "positional arguments"
        raise pytest.UsageError(f"{item.nodeid}: mark mmrace: {what}; it knows: {sorted(known)}")
    return Wish(**mark.kwargs)


@pytest.fixture(scope="session")
def mmrace_home(pytestconfig: pytest.Config) -> Home:
    """The user's mmrace home: kernels survive from one session to the next."""
    home = Home.from_environment(os.environ)
    use_races((pytestconfig.rootpath / str(pytestconfig.getini("mmrace_races")), home.races))
    return home


@pytest.fixture
def mmrace_tree(request: pytest.FixtureRequest, mmrace_home: Home) -> Tree:
    """The kernel source of the test's mark, imported when it is not there yet."""
    name = wish_of(request.node).tree or str(request.config.getini("mmrace_tree"))
    with errors_end_test(), mmrace_home.lock(f"pytest-tree-{name}"):
        return find_tree(mmrace_home, name, _messages_of(request.node).append)


@pytest.fixture
def mmrace_kernel(request: pytest.FixtureRequest, mmrace_home: Home, mmrace_tree: Tree) -> Built:
    """The kernel of the test's mark: built once, whichever worker comes first."""
    wish, built = wish_of(request.node), request.config.stash[_KERNELS]
    messages = _messages_of(request.node)
    with errors_end_test():
        race = wish.find_race(mmrace_home)
        own = race.fragments() if race else ()
    key = (mmrace_home, mmrace_tree.name, as_texts(wish.series), (*own, *as_texts(wish.configs)))
    if key not in built:

        @contextmanager
        def step(title: str) -> Iterator[Tell]:
            yield progress_teller(title, messages, lambda text: _show(request.config, text))

        try:
            built[key] = kernels.build(mmrace_home, *key[1:], step)
        except MmraceError as error:  # of all tests of this kernel; it is not built again
            built[key] = error
    found = built[key]
    with errors_end_test():
        if isinstance(found, MmraceError):
            raise found
    messages.append(f"kernel {found.kernel.release} {found.kernel.id}")
    return found


def _show(config: pytest.Config, text: str) -> None:
    """Write a line to the terminal; workers of pytest-xdist have none."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter:
        reporter.ensure_newline()
        reporter.write_line(f"mmrace: {text}")


@pytest.fixture
def mmrace_vm(request: pytest.FixtureRequest, mmrace_home: Home, mmrace_kernel: Built) -> Vm:
    """Boots that kernel: ``run`` for a race's workload, ``boot`` for a program of one's own."""
    guests = int(str(request.config.getini("mmrace_guests")))
    slot = f"pytest-guest-{_worker() % guests}"
    return Vm(mmrace_home, mmrace_kernel, wish_of(request.node), slot, _messages_of(request.node))


def _messages_of(item: pytest.Item) -> list[str]:
    if not hasattr(item, "mmrace_messages"):
        item.mmrace_messages = []  # type: ignore[attr-defined]
    return item.mmrace_messages  # type: ignore[attr-defined,no-any-return]
