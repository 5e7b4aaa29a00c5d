# SPDX-License-Identifier: GPL-2.0-only
"""What a build needs for what is in its tree."""

import shutil
from pathlib import Path

import pytest

from mmrace.building.needs import find_needs
from mmrace.home import Home
from mmrace.sources.tree import add_tree

FAKE = Path(__file__).parents[1] / "fakes" / "linux"
MAINLINE = """\
#ifdef CONFIG_NET
static void send(struct sk_buff *skb)
{
\tkfree_skb(skb);
}
#else
static void send(struct sk_buff *skb)
{
}
#endif
"""
WITHOUT_NET = MAINLINE.replace("{\n}", "{\n\tkfree_skb(skb);\n}")


UEVENT = "lib/kobject_uevent.c"
TYPES = "include/linux/mm_types.h"
REPLICATED = '#ifndef CONFIG_X\n#error "{} is not defined."\n#endif\n'
HYDRA = "CONFIG_HYDRA_NUMA_NODE_COUNT"


@pytest.mark.parametrize(
    ("file", "text", "lines"),
    [
        (UEVENT, MAINLINE, []),
        (UEVENT, WITHOUT_NET, ["CONFIG_NET=y"]),
        (TYPES, REPLICATED.format("CONFIG_NODES"), []),
        (TYPES, REPLICATED.format(HYDRA), ["CONFIG_PARAVIRT_XXL=y"]),
        ("mm/rmap.c", "", []),
    ],
)
def test_a_tree_gets_what_it_does_not_compile_without(
    tmp_path: Path, file: str, text: str, lines: list[str]
) -> None:
    folder = tmp_path / "linux"
    shutil.copytree(FAKE, folder)
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(text)
    home = Home(tmp_path / "cache", tmp_path / "data")
    tree = add_tree(home, "mine", str(folder), None, lambda _text: None)
    needs = find_needs(home, tree.tree_hash)
    assert [line for need in needs for line in need.lines] == lines
    assert needs == find_needs(home, tree.commit)
