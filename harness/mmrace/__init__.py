# SPDX-License-Identifier: GPL-2.0-only
"""mmrace: a verdict with an error bound for races in the Linux memory manager."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("mmrace")
except PackageNotFoundError:  # run from a checkout that was never installed
    __version__ = "0+unknown"
