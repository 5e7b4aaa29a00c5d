# SPDX-License-Identifier: GPL-2.0-only
"""Modules that are imported when they are first used."""

import importlib
from typing import Any


class Lazy:
    """One module: scipy.stats alone takes a second of every command that imports it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)
