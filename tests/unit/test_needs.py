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


@pytest.mark.parametrize(
    ("text", "lines"), [(None, []), (MAINLINE, []), (WITHOUT_NET, ["CONFIG_NET=y"])]
)
def test_a_tree_that_frees_an_skb_without_networking_gets_it(
    tmp_path: Path, text: str | None, lines: list[str]
) -> None:
    folder = tmp_path / "linux"
    shutil.copytree(FAKE, folder)
    if text is not None:
        (folder / "lib").mkdir()
        (folder / "lib/kobject_uevent.c").write_text(text)
    home = Home(tmp_path / "cache", tmp_path / "data")
    tree = add_tree(home, "mine", str(folder), None, lambda _text: None)
    needs = find_needs(home, tree.tree_hash)
    assert [line for need in needs for line in need.lines] == lines
    assert needs == find_needs(home, tree.commit)
