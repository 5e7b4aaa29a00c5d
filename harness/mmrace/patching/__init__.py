# SPDX-License-Identifier: GPL-2.0-only
"""Patches, from here or elsewhere, as commits in that store."""
