# SPDX-License-Identifier: GPL-2.0-only
"""mmrace: a verdict with an error bound for races in the Linux memory manager."""

from mmrace.lazy import Lazy

__all__ = ["__version__"]
metadata = Lazy("importlib.metadata")


def __getattr__(name: str) -> str:
    """Look the version up when it is asked for: that costs a third of `mmrace --help`."""
    if name != "__version__":
        raise AttributeError(name)
    try:
        found: str = metadata.version("mmrace")
        return found
    except metadata.PackageNotFoundError:  # run from a checkout that was never installed
        return "0+unknown"
