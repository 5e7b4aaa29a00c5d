# SPDX-License-Identifier: GPL-2.0-only
"""The project's tests use its own pytest plugin, also in a checkout that was never installed."""

from importlib.metadata import entry_points

if not entry_points(group="pytest11", name="mmrace"):
    pytest_plugins = ("mmrace.plugin",)
