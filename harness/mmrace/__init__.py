# SPDX-License-Identifier: GPL-2.0-only
"""mmrace: a verdict with an error bound for races in the Linux memory manager."""

from importlib import metadata

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """Look the version up when it is asked for: that costs a third of `mmrace --help`."""
    if name != "__version__":
        raise AttributeError(name)
    try:
        return metadata.version("mmrace")
    except metadata.PackageNotFoundError:  # run from a checkout that was never installed
        return "0+unknown"
