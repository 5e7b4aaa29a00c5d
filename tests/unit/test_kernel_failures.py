# SPDX-License-Identifier: GPL-2.0-only
"""Builds that fail, are killed, or fill the disk."""

import errno
import os
import re
import shutil
import time
from pathlib import Path

import pytest

from fakes.kernellab import FAKE, Lab
from mmrace.building import checkout as checkout_module
from mmrace.building import directory as directory_module
from mmrace.errors import BuildError, InfraError
from mmrace.home import Home


def test_a_compile_error_names_the_patch(lab: Lab) -> None:
    (lab.tree / "mm/migrate.c").write_text("int migrate(void)\n{\n\treturn mapping;\n}\n")
    with pytest.raises(BuildError) as caught:
        lab.build(touched=[("mm/migrate.c", "0001-mm-migrate.patch")])
    assert re.search(
        r"mm/migrate\.c:3: .mapping. undeclared .*\(0001-mm-migrate.patch touches mm/migrate.c\)",
        caught.value.message,
    )
    assert "return mapping;" in caught.value.detail
    assert not list(lab.home.kernels.glob("[!r]*"))


def test_a_build_goes_on_after_a_failed_one(lab: Lab) -> None:
    good = (lab.tree / "mm/migrate.c").read_text()
    (lab.tree / "mm/migrate.c").write_text("broken\n")
    with pytest.raises(BuildError):
        lab.build("a")
    kept = set(lab.compiled()) - {"mm/migrate.o"}
    (lab.tree / "mm/migrate.c").write_text(good)
    lab.build("b")
    assert "mm/migrate.o" in lab.compiled()
    assert not kept & set(lab.compiled())


def test_a_killed_build_leaves_no_cut_off_object_in_use(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.build("a")
    for hours, folder in ((2, lab.benches()[0].source), (1, lab.benches()[0].build)):
        for path in folder.rglob("*"):
            os.utime(path, (time.time() - hours * 3600,) * 2)

    def killed(_home: Home, _commit: str, folder: Path) -> None:
        (folder.parent / "build/mm/rmap.o").write_bytes(b"cut")
        raise KeyboardInterrupt

    monkeypatch.setattr(checkout_module, "checkout", killed)
    with pytest.raises(KeyboardInterrupt):
        lab.build("b")
    monkeypatch.setattr(checkout_module, "checkout", lab.checkout)
    built = lab.build("b")
    assert lab.compiled() == ["mm/rmap.o"]
    assert b"cut" not in built.vmlinux.read_bytes()


def test_a_full_disk_is_no_build_failure(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    (lab.tree / "mm/rmap.c").write_text("#error No space left on device\n")
    with pytest.raises(InfraError, match="disk is full"):
        lab.build()
    shutil.copyfile(FAKE / "mm/rmap.c", lab.tree / "mm/rmap.c")

    def full(*_args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(directory_module.shutil, "copyfile", full)
    monkeypatch.setattr(checkout_module, "checkout", lambda *_args: None)
    with pytest.raises(InfraError, match="disk is full"):
        lab.build()
    assert not list(lab.home.kernels.glob(".tmp-*"))
