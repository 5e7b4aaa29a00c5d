# SPDX-License-Identifier: GPL-2.0-only
"""The lab in which kernels of the toy tree are built."""

from pathlib import Path

import pytest

from fakes.kernellab import Lab, on_the_host
from mmrace.building import build as building
from mmrace.building import checkout as checkout_module
from mmrace.building import request as request_module
from mmrace.proc import Sandbox


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    made = Lab(tmp_path)
    monkeypatch.setattr(Sandbox, "wrap", on_the_host)
    monkeypatch.setattr(checkout_module, "checkout", made.checkout)
    monkeypatch.setattr(building, "check_names", lambda *_args: None)  # there is no git
    monkeypatch.setattr(request_module, "missing_tools", lambda **_named: None)
    monkeypatch.setattr(request_module, "toolchain", lambda _env: ("gcc 12", "ld 2"))
    monkeypatch.setattr(request_module, "find_needs", lambda *_args: ())
    return made
