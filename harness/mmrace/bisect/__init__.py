# SPDX-License-Identifier: GPL-2.0-only
"""Bisection of a failure that shows only now and then: which revision brought it, or ended it.

Knows a graph of revisions and what single runs of them showed, nothing of git or QEMU::

    dag -> posterior -> search, proof -> values -> engine -> log -> loop

docs/concepts/bisection.md has the formulas and what they assume.
"""
