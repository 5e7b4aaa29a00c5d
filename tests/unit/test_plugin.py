# SPDX-License-Identifier: GPL-2.0-only
"""The pytest plugin, in a pytest of its own, with a QEMU that boots nothing."""

import json
import os
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import mmrace

pytest_plugins = ("pytester",)

FAKE = Path(__file__).parents[1] / "fakes" / "qemu.py"
GOOD = """console booting
channel KTAP version 1
channel # release 6.1.192
channel # start program
channel # out mmrace: race
channel # out mmrace: count turns 4
channel ok 1 - program # exit=0 seconds=2.00
channel 1..1
channel # end
poweroff
"""
# A user may bring a kernel of their own by overriding the fixture; here it is the fake's script.
CONFTEST = """
from pathlib import Path
import pytest
from mmrace.runs.kernels import Built
from mmrace.building.kernel import Kernel
from mmrace.patching.series import Applied
from mmrace.sources.tree import Tree

@pytest.fixture
def mmrace_kernel(request):
    folder = Path(__file__).parent / "home/cache/kernels/k"
    folder.mkdir(parents=True, exist_ok=True)
    tree = Tree("t", "0" * 40, "1" * 40, "6.1.192", "t", "linux")
    applied = Applied("0" * 40, "1" * 40, (), (), ())
    image, config = folder / "bzImage", folder / "config"
    image.write_text((Path(__file__).parent / "kernel").read_text())
    config.write_text("CONFIG_SMP=y\\n")
    kernel = Kernel("k", "6.1.192", image, image, config, folder, 0.0, True)
    return Built(tree, (), applied, kernel, boot=("panic=1",))
"""
PROGRAM = '#include "stressor.h"\nint main(void) { stressor_race(); return STRESSOR_HELD; }\n'


@pytest.fixture
def tests(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    programs = pytester.mkdir("bin")
    (programs / "qemu-system-x86_64").symlink_to(FAKE)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("MMRACE_HOME", str(pytester.path / "home"))
    pytester.makeconftest(CONFTEST)
    pytester.path.joinpath("kernel").write_text(GOOD)
    pytester.path.joinpath("config").write_text("CONFIG_SMP=y\n")
    pytester.path.joinpath("mine.c").write_text(PROGRAM)
    monkeypatch.setenv("PYTHONPATH", str(Path(mmrace.__file__).parents[1]))
    installed = bool(entry_points(group="pytest11", name="mmrace"))
    plugin = "" if installed else "-p mmrace.plugin"
    pytester.makeini(f"[pytest]\naddopts = {plugin} --strict-markers\n")
    return pytester


BOOTS = """
import pytest
from pathlib import Path

@pytest.mark.mmrace(accel="tcg")
def test_mine(mmrace_vm):
    shown = mmrace_vm.boot(Path(__file__).with_name("mine.c"), min_counts={"turns": %d})
    assert shown.outcome == "PASS", shown.judgement.notes
    assert "booting" in shown.output
"""


def test_a_boot_test_is_an_ordinary_test(tests: pytest.Pytester) -> None:
    tests.makepyfile(BOOTS % 3)
    tests.runpytest_subprocess().assert_outcomes(passed=1)
    runs = list((tests.path / "home" / "data" / "runs").glob("*-test-program-*"))
    assert len(runs) == 1


def test_what_a_base_wants_comes_after_the_machine_s_parameters(tests: pytest.Pytester) -> None:
    tests.makepyfile(BOOTS % 3)
    tests.runpytest_subprocess().assert_outcomes(passed=1)
    (run,) = (tests.path / "home" / "data" / "runs").glob("*-test-program-*")
    boot = json.loads((run / "spec.json").read_text())["boot"]
    assert boot.index("panic=-1") < boot.index("panic=1"), "the kernel takes the last one"


def test_a_failure_names_the_run(tests: pytest.Pytester) -> None:
    tests.makepyfile(BOOTS % 5)
    result = tests.runpytest_subprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*turns: 4, at least 5 wanted*", "*- mmrace -*", "run directory:*"]
    )


def test_a_failure_has_the_title_in_the_assertion(tests: pytest.Pytester) -> None:
    bad = GOOD.replace("channel ok 1", "channel # out mmrace: fail lost a page\nchannel not ok 1")
    assert bad != GOOD
    tests.path.joinpath("kernel").write_text(bad)
    tests.makepyfile(BOOTS % 3)
    result = tests.runpytest_subprocess("-rf", "--tb=no", "-v")
    result.stdout.fnmatch_lines(["FAILED *test_mine - FAIL los*"])


@pytest.mark.parametrize(
    ("ci", "words"), [("", ()), ("", ("-s",)), ("true", ()), ("true", ("-s",))]
)
def test_a_kernel_that_does_not_build_is_tried_and_told_once(
    tests: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str, words: tuple[str, ...]
) -> None:
    monkeypatch.delenv("BUILD_NUMBER", raising=False)
    monkeypatch.setenv("CI", ci)
    tests.makeconftest(
        """
        from pathlib import Path
        from mmrace.errors import BuildError
        from mmrace.runs import kernels
        from mmrace import plugin

        def build(*_words):
            Path("builds").open("a").write("one build\\n")
            raise BuildError("the kernel did not build: mm/x.c:1: no", "all of the output")

        plugin.find_tree = lambda *_: __import__("types").SimpleNamespace(name="t")
        kernels.build = build
        """
    )
    tests.makepyfile("def test_a(mmrace_vm): ...\ndef test_b(mmrace_vm): ...")
    result = tests.runpytest_subprocess(*words)
    result.assert_outcomes(errors=2)
    output = result.stdout.str() + result.stderr.str()
    assert tests.path.joinpath("builds").read_text() == "one build\n"
    assert output.count("all of the output") == 1
    assert output.count("mm/x.c:1: no") >= 2  # each test says why it could not run


@pytest.mark.whole
def test_workers_of_xdist_take_turns_with_guests(tests: pytest.Pytester) -> None:
    slow = GOOD.replace("channel 1..1", "sleep 0.7\nchannel 1..1")
    tests.path.joinpath("kernel").write_text(slow)
    tests.makepyfile(BOOTS % 3 + BOOTS.replace("test_mine", "test_other") % 3)
    result = tests.runpytest_subprocess("-n", "2")
    result.assert_outcomes(passed=2)
    spans = []
    for run in (tests.path / "home" / "data" / "runs").iterdir():
        end = (run / "qemu.json").stat().st_mtime
        spans.append(end)
    assert abs(spans[0] - spans[1]) > 0.7


def test_an_unknown_argument_of_the_mark_is_named(tests: pytest.Pytester) -> None:
    tests.makepyfile(
        """
        import pytest

        @pytest.mark.mmrace(serie="fixes")
        def test_it(mmrace_vm): ...
        """
    )
    result = tests.runpytest_subprocess()
    result.stdout.fnmatch_lines(["*mark mmrace: serie; it knows:*series*"])


def test_what_mmrace_cannot_do_is_one_line(tests: pytest.Pytester) -> None:
    tests.makepyfile(
        """
        import pytest

        def test_no_race(mmrace_vm):
            mmrace_vm.run()

        @pytest.mark.mmrace(race="no-such-race")
        def test_unknown(mmrace_vm):
            mmrace_vm.run()

        @pytest.mark.mmrace(tree="nowhere")
        def test_tree(mmrace_tree): ...
        """
    )
    result = tests.runpytest_subprocess()
    result.assert_outcomes(failed=2, errors=1)
    result.stdout.fnmatch_lines(
        ["*needs a race; @pytest.mark.mmrace*", "*no race named 'no-such-race'*"]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.fnmatch_lines(["*no tree named 'nowhere'*"])


def test_a_run_is_shown_with_its_title(tmp_path):
    from mmrace.boottest import Shown
    from mmrace.outcome import Judgement, Outcome
    from mmrace.runs.record import RunDir

    shown = Shown(RunDir(tmp_path), Judgement(Outcome.CRASH, "kernel BUG in move_page"))
    assert repr(shown) == f"<CRASH kernel BUG in move_page, {tmp_path}>"
