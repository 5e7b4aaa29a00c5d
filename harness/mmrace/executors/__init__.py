# SPDX-License-Identifier: GPL-2.0-only
"""Where cells run: this machine or a Dask cluster, behind one interface."""
