# SPDX-License-Identifier: GPL-2.0-only
"""``make setup``: what harness/setup.sh says, with an apt-get and a pip that only print."""

import os
import subprocess
from pathlib import Path

import pytest

SETUP = Path(__file__).parents[2] / "harness" / "setup.sh"
PRINTS = '#!/bin/sh\necho "DEPRECATION: from $0 $*" >&2\nexit {}\n'


def script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    top = tmp_path / "checkout"
    script(top / ".venv/bin/python", PRINTS.format(0))
    script(top / ".venv/bin/pip", PRINTS.format(0))
    (top / "harness").mkdir()
    (top / "harness/packages.txt").write_text(f"# name file\nflex {top}/no/flex kernel\n")
    (top / "requirements.lock").write_text("click==8.5.1 \\\n    --hash=x\nrich==15.0.0\n")
    (top / "pyproject.toml").touch()
    script(tmp_path / "bin/apt-get", PRINTS.format(0))
    script(tmp_path / "bin/id", "#!/bin/sh\necho 0\n")
    return top


def setup(top: Path) -> tuple[int, list[str], str]:
    path = f"{top.parent / 'bin'}:{os.environ['PATH']}"
    argv = ["bash", str(SETUP), str(top)]
    done = subprocess.run(
        argv, capture_output=True, text=True, check=False, env={**os.environ, "PATH": path}
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


def test_setup_says_its_steps_and_not_what_they_print(checkout: Path) -> None:
    code, out, err = setup(checkout)
    assert (code, err) == (0, "")
    assert out.pop(0).rstrip() == "missing Debian packages: flex"
    assert out[::2] == [
        "reading Debian's package lists ...",
        "installing Debian packages ...",
        "installing 2 Python packages ...",
        "installing mmrace ...",
    ]
    assert [line.partition(": done (")[0] + " ..." for line in out[1::2]] == out[::2]


def test_a_step_that_fails_shows_what_it_printed_and_ends_the_setup(checkout: Path) -> None:
    script(checkout / ".venv/bin/pip", PRINTS.format(3))
    code, out, err = setup(checkout)
    assert code == 3
    assert "DEPRECATION: from" in err
    assert "installing 2 Python packages: failed (" in err
    assert "installing mmrace ..." not in out
    assert not (checkout / ".venv/.installed-run").exists()


def test_an_index_that_lacks_a_version_for_a_moment_is_asked_again(checkout: Path) -> None:
    once = 'if [ ! -e "$0.asked" ]; then touch "$0.asked"; echo "no such version"; exit 1; fi\n'
    script(checkout / ".venv/bin/pip", f"#!/bin/sh\n{once}")
    code, out, err = setup(checkout)
    assert (code, err) == (0, "")
    assert out[-1].startswith("installing mmrace: done")


def test_a_setup_that_has_nothing_to_do_says_nothing(checkout: Path) -> None:
    (checkout / "no").mkdir()
    (checkout / "no/flex").touch()
    setup(checkout)
    assert setup(checkout) == (0, [], "")
