# SPDX-License-Identifier: GPL-2.0-only
"""From a tree and fragments to a kernel, in a build directory that is kept."""
