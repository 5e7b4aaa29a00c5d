# SPDX-License-Identifier: GPL-2.0-only
"""Guest programs from toy sources: a race, a kernel tree, an LTP tree."""

import shutil
import subprocess
from pathlib import Path

import pytest

from mmrace.definitions.race import Race, Signature, Source, Workload
from mmrace.errors import BuildError, InfraError, UserError
from mmrace.home import Home
from mmrace.sources.tree import add_tree
from mmrace.userland import program
from mmrace.userland.compiler import Program
from mmrace.userland.program import build_init, build_program

HELD = '#include "stressor.h"\nint main(void) { stressor_race(); return STRESSOR_HELD; }\n'
KERNEL = {
    "Makefile": "VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 9\nheaders:\n"
    "\tmkdir -p usr/include/linux\n\tcp include/uapi/toy.h usr/include/linux/\n",
    "mm/memory.c": "",
    "include/uapi/toy.h": "#define TOY 7\n",
    "tools/testing/selftests/kselftest.h": "#define KSFT_SKIP 4\n",
    "tools/testing/selftests/mm/vm_util.c": "int helper(void) { return 1; }\n",
    "tools/testing/selftests/mm/uffd-common.c": "int main_is_elsewhere(void);\n",
    "tools/testing/selftests/mm/toy.c": "#include <linux/toy.h>\n#include <stdio.h>\n"
    'int helper(void);\nint main(void) { printf("%d %d\\n", TOY, helper()); return KSFT_SKIP; }\n',
}
CONFIGURE = "#!/bin/sh\nmkdir -p include && echo '#define HAVE_NUMA_V2 1' > include/config.h\n"
LTP = {
    "VERSION": "20260101\n",
    "Makefile": "autotools:\n\techo >> generated\n",
    "configure": CONFIGURE,
    "include/tst_test.h": "",
    "testcases/kernel/mem/Makefile": "toy: toy.c ../../../generated\n\t$(CC) -o $@ toy.c\n",
    "testcases/kernel/mem/toy.c": "int main(void) { return 32; }\n",
}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "cache", tmp_path / "data")


@pytest.fixture
def race_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "race"
    folder.mkdir()
    (folder / "toy.c").write_text(HELD)
    monkeypatch.setattr(program, "race_dir", lambda _name: folder)
    return folder


class Messages(list[str]):
    """Progress messages."""

    def __call__(self, text: str) -> None:
        self.append(text)


def workload(source: Source, *sources: str) -> Workload:
    return Workload(
        name="toy", summary="", source=source, argv=("toy",), sources=sources, min_counts={"x": 1}
    )


def build(
    home: Home,
    item: Workload,
    commit: str = "",
    ltp: str | None = None,
    messages: Messages | None = None,
) -> Program:
    race = Race(name="toy", title="", summary="", signature=(Signature(),), workload=(item,))
    return build_program(
        home, race, item, commit, ltp, messages if messages is not None else Messages()
    )


def add(home: Home, name: str, files: dict[str, str], folder: Path) -> str:
    for path, content in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        if file.name == "configure":
            file.chmod(0o755)
    return add_tree(home, name, str(folder), None, Messages()).commit


def run(built: Program) -> tuple[int, str]:
    done = subprocess.run([built.files[0]], check=False, capture_output=True, text=True)
    return done.returncode, done.stdout


def test_init_compiles_without_a_warning_and_is_static(home: Home) -> None:
    init = build_init(home, Messages())
    assert b"/lib64/ld-linux" not in init.read_bytes()
    # It touches nothing unless it is PID 1, and then it is the image's /bin/true.
    assert subprocess.run([init], check=False).returncode == 0


def test_a_compiler_that_is_not_there_is_said(home: Home) -> None:
    with pytest.raises(InfraError, match=r"^no-such-cc, which compiles init .* not installed$"):
        build_init(home, Messages(), "no-such-cc")


def test_init_for_kernels_that_are_too_old_for_glibc(home: Home) -> None:
    if not shutil.which("musl-gcc"):
        pytest.skip("no musl-gcc here")
    assert b"glibc" in build_init(home, Messages()).read_bytes()
    assert b"glibc" not in build_init(home, Messages(), "musl-gcc").read_bytes()


def test_stressor_is_built_once(home: Home, race_folder: Path) -> None:
    item = workload(Source.STRESSOR, "toy.c")
    first, again = Messages(), Messages()
    built = build(home, item, messages=first)
    assert run(built) == (0, "mmrace: race\n")
    assert build(home, item, messages=again) == built
    assert first
    assert not again


@pytest.mark.parametrize("changed", ["toy.c", "toy.h"])
def test_stressor_is_built_anew_when_an_input_changes(
    home: Home, race_folder: Path, changed: str
) -> None:
    (race_folder / "toy.h").write_text("")
    item = workload(Source.STRESSOR, "toy.c", "toy.h")
    first = build(home, item)
    with (race_folder / changed).open("a") as file:
        file.write("/* changed */\n")
    assert build(home, item).id != first.id


def test_compile_error_is_the_compilers_own(home: Home, race_folder: Path) -> None:
    (race_folder / "toy.c").write_text("int main(void)\n{\n\treturn nowhere;\n}\n")
    with pytest.raises(BuildError, match=r"toy\.c:3:16: error: .*nowhere") as caught:
        build(home, workload(Source.STRESSOR, "toy.c"))
    assert "return nowhere" in caught.value.detail
    assert not [path for path in home.programs.iterdir() if path.name.startswith("toy")]
    assert not list(home.programs.glob(".tmp-*"))


def test_build_sees_no_home_and_no_network(home: Home, race_folder: Path) -> None:
    (race_folder / "toy.c").write_text(f'#include "{home.programs}/../secret.h"\n' + HELD)
    home.cache.mkdir()
    (home.cache / "secret.h").write_text("")
    with pytest.raises(BuildError, match="No such file"):
        build(home, workload(Source.STRESSOR, "toy.c"))


def test_missing_source_is_named(home: Home, race_folder: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.c"):
        build(home, workload(Source.STRESSOR, "gone.c"))


def test_selftest_is_built_from_the_tree(home: Home, tmp_path: Path) -> None:
    commit = add(home, "k", KERNEL, tmp_path / "k")
    folder = "tools/testing/selftests"
    item = workload(Source.SELFTEST, f"{folder}/vm/toy.c", f"{folder}/mm/toy.c")
    built = build(home, item, commit)
    assert run(built) == (4, "7 1\n")
    # A patch elsewhere in the tree changes nothing about it; one in its headers does.
    messages = Messages()
    other = add(home, "o", {**KERNEL, "mm/memory.c": "x"}, tmp_path / "o")
    assert build(home, item, other, messages=messages) == built
    assert not messages
    other = add(home, "p", {**KERNEL, "include/uapi/toy.h": "#define TOY 8\n"}, tmp_path / "p")
    assert run(build(home, item, other)) == (4, "8 1\n")


def test_a_selftest_may_name_what_is_shared_as_any_kernel_does(home: Home, tmp_path: Path) -> None:
    """Headers without their path (v6.19), helpers of another name (v7.3), what others made."""
    folder = "tools/testing/selftests"
    tree = {name: text for name, text in KERNEL.items() if "vm_util" not in name}
    tree[f"{folder}/kselftest_harness.h"] = '#include "kselftest.h"\n#define TEST_HARNESS_MAIN'
    tree[f"{folder}/pidfd/pidfd.h"] = ""
    named = ("kselftest_harness.h", "../pidfd/pidfd.h", "local_config.h")
    own = "".join(f'#include "{name}"\n' for name in named)
    tree[f"{folder}/mm/toy.c"] = own + KERNEL[f"{folder}/mm/toy.c"]
    tree[f"{folder}/mm/renamed.c"] = '#include "kselftest.h"\nint helper(void) { return 1; }\n'
    tree[f"{folder}/mm/other.c"] = '#include "../kselftest_harness.h"\nTEST_HARNESS_MAIN 1\n'
    commit = add(home, "k", tree, tmp_path / "k")
    built = build(home, workload(Source.SELFTEST, f"{folder}/mm/toy.c"), commit)
    assert run(built) == (4, "7 1\n")


def test_a_selftest_that_is_a_link_to_nothing(home: Home, tmp_path: Path) -> None:
    source = "tools/testing/selftests/mm/toy.c"
    (tmp_path / "k" / source).parent.mkdir(parents=True)
    (tmp_path / "k" / source).symlink_to("gone.c")
    tree = {name: text for name, text in KERNEL.items() if name != source}
    commit = add(home, "k", tree, tmp_path / "k")
    with pytest.raises(BuildError, match=rf"^selftest {source}: .* link that leads to none$"):
        build(home, workload(Source.SELFTEST, source), commit)


def test_tree_without_the_selftest(home: Home, tmp_path: Path) -> None:
    commit = add(home, "k", KERNEL, tmp_path / "k")
    with pytest.raises(UserError, match=r"lacks a/b\.c, c/d\.c"):
        build(home, workload(Source.SELFTEST, "a/b.c", "c/d.c"), commit)


def test_ltp_is_configured_once(home: Home, tmp_path: Path) -> None:
    commit = add(home, "ltp", LTP, tmp_path / "ltp")
    messages = Messages()
    built = build(home, workload(Source.LTP, "testcases/kernel/mem"), "", commit, messages)
    assert run(built)[0] == 32
    assert "LTP: make autotools" in messages
    messages.clear()
    with pytest.raises(BuildError, match="No rule to make target"):
        build(home, workload(Source.LTP, "testcases/kernel"), "", commit, messages)
    assert "LTP: make autotools" not in messages


def test_ltp_without_libnuma_would_skip_everything(home: Home, tmp_path: Path) -> None:
    commit = add(home, "l", {**LTP, "configure": CONFIGURE.replace(" 1", " 0")}, tmp_path / "l")
    with pytest.raises(InfraError, match="libnuma-dev"):
        build(home, workload(Source.LTP, "testcases/kernel/mem"), "", commit)


def test_ltp_has_to_be_named(home: Home) -> None:
    with pytest.raises(UserError, match="--ltp"):
        build(home, workload(Source.LTP, "testcases/kernel/mem"))
