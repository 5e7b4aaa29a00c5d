# SPDX-License-Identifier: GPL-2.0-only
"""The number of objects that a config asks for, from makefiles in the syntax of Kbuild."""

from pathlib import Path

import pytest

from mmrace.building.objects import estimate_objects

TREE = {
    "Makefile": "core-y := init/ mm/\nlibs-y := lib/\ncore-$(CONFIG_BLOCK) += block/\n",
    "init/Makefile": "obj-y := main.o version.o # as ever\n",
    "init/main.c": "",
    "init/version.c": "",
    "mm/Makefile": "mmu-y := nommu.o\nmmu-$(CONFIG_MMU) := memory.o \\\n\trmap.o\n"
    "obj-y := $(mmu-y) pack.o\npack-y := deflate.o inflate.o\npack-$(CONFIG_RARE) += rare.o\n"
    "ifdef CONFIG_NUMA\nobj-y += numa.o\nelse\nobj-y += uma.o\nendif\n"
    "ifeq ($(CONFIG_64BIT),y)\nobj-y += wide_$(BITS).o\nelse ifdef CONFIG_MMU\nobj-y += narrow.o\n"
    "endif\nobj-$(CONFIG_PART) += part.o kasan/\n",
    **{f"mm/{name}.c": "" for name in ("nommu", "memory", "rmap", "deflate", "inflate", "rare")},
    **{f"mm/{name}.c": "" for name in ("numa", "uma", "wide_64", "narrow", "part")},
    "mm/kasan/Kbuild": "obj-y := report.o ../rmap.o\n",
    "mm/kasan/report.c": "",
    "lib/Makefile": "lib-y := string.o absent.o\nobj-$(subst m,y,$(CONFIG_CRC)) += crc.o\n",
    "lib/string.S": "",
    "lib/crc.c": "",
    "block/Makefile": "obj-y += bio.o block/\n",
    "block/bio.c": "",
    "arch/x86/boot/Makefile": "setup-y := pm.o\n",
    "arch/x86/boot/pm.c": "",
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("tree")
    for name, text in TREE.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    return top


ALWAYS = 2 + 2 + 1 + 1  # init, pack, string.S, the boot image


@pytest.mark.parametrize(
    ("config", "objects"),
    [
        ({}, 1 + 1),  # nommu, uma
        ({"MMU": "n", "NUMA": "n"}, 1 + 1),
        ({"MMU": "y"}, 2 + 1 + 1),  # memory and rmap, uma, narrow
        ({"MMU": "y", "64BIT": "y"}, 2 + 1 + 1),
        ({"NUMA": "y", "RARE": "y"}, 1 + 1 + 1),
        ({"PART": "y"}, 1 + 1 + 1 + 2),  # part.o and a directory, with one object of another's
        ({"PART": "m"}, 1 + 1),  # modules are not built
        ({"CRC": "m"}, 1 + 1 + 1),
        ({"BLOCK": "y"}, 1 + 1 + 1),
    ],
)
def test_objects_are_those_that_the_config_selects(
    tree: Path, config: dict[str, str], objects: int
) -> None:
    assert estimate_objects(tree, config) == ALWAYS + objects
