# SPDX-License-Identifier: GPL-2.0-only
import shutil
from pathlib import Path

import pytest

from mmrace.building import kexplain

FAKE = Path(__file__).parents[1] / "fakes" / "linux"


@pytest.fixture
def reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    shutil.copy(FAKE / "Kconfig", tmp_path)
    config = tmp_path / "config"
    config.write_text("CONFIG_PREEMPT=y\nCONFIG_FORCED=y\nCONFIG_MODULES=y\nCONFIG_TRI=m\n")
    monkeypatch.setenv("srctree", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def ask(request: str) -> str:
        kexplain.main([str(config), request])
        import json

        return json.loads(capsys.readouterr().out)[request.partition("=")[0]]

    return ask


@pytest.mark.parametrize(
    ("request_", "parts"),
    [
        ("ACPI=y", ["depends on PCI (PCI=n)"]),
        ("NUMA=y", ["depends on ACPI (ACPI=n)", "ACPI depends on PCI"]),
        ("PREEMPT_NONE=y", ["PREEMPT was taken", "PREEMPT=n"]),
        ("NUMAA=y", ["no such option", "NUMA"]),
        ("HIDDEN=y", ["no prompt"]),
        ("FORCED=n", ["selected by FORCES"]),
        ("SHY=y", ["only if EXPERT"]),
        ("CONDITIONAL=y", ["depends on ACPI || !(EXPERT || PREEMPT)", "PREEMPT=y"]),
        ("ACPI=m", ["ACPI is a bool; m is not possible"]),
        ("TRI=7", ["TRI is a tristate; 7 is not possible"]),
        ("NUMBER=y", ["NUMBER is an int; y is not possible"]),
        ("ONLY_M=y", ["depends on TRI, which is m; ask for TRI=y"]),
        ("UNCONDITIONAL=y", ["the tree settled on n"]),
        ("DERIVED=", ["depends on HIDDEN (HIDDEN=n), which OTHER or SELECTS selects"]),
    ],
)
def test_reasons(reason, request_: str, parts: list[str]) -> None:
    text = reason(request_)
    assert all(part in text for part in parts), text
    assert "MODULES" not in text  # the failed dependency alone, not those that are met


def test_help_texts_stay_as_they_are() -> None:
    text = "config A\n\tbool\n\thelp\n\t  Load modules first.\n"
    assert kexplain.modernise(text) == text


def test_m_without_modules(reason, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("CONFIG_PREEMPT=y\n")
    assert reason("TRI=m") == "there are no modules here (MODULES=n); ask for y"
