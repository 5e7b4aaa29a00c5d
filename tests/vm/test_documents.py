# SPDX-License-Identifier: GPL-2.0-only
"""README and the tutorials, followed from top to bottom on real kernels."""

import pytest

from documents import RUN, blocks, run


@pytest.mark.slow
@pytest.mark.parametrize("page", [pytest.param(page, id=page.stem) for page in RUN])
def test_what_readme_and_tutorials_tell_to_type_works(page, tmp_path):
    for block in blocks(page, "sh"):
        if block.how != "parse":
            codes, output = run(block, tmp_path)
            assert codes == block.codes, f"{block.name}\n{output}"
