# SPDX-License-Identifier: GPL-2.0-only
"""Where cells run, behind one interface: this machine, or a Dask cluster, which also builds."""
