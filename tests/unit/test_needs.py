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


UEVENT, CALLS = "lib/kobject_uevent.c", "kernel/moker/syscalls.c"
POLICY = ["CONFIG_MOKER_FRAMEWORK=y", "CONFIG_MOKER_EDF_CBS_POLICY=y"]


@pytest.mark.parametrize(
    ("file", "text", "lines"),
    [
        ("mm/rmap.c", "", []),
        (UEVENT, MAINLINE, []),
        (UEVENT, WITHOUT_NET, ["CONFIG_NET=y"]),
        (CALLS, "#ifdef CONFIG_MOKER_EDF_CBS_POLICY\n#endif\n", []),
        (CALLS, "\tprint(0,\n\t      current->edf_cbs.id);\n", POLICY),
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
