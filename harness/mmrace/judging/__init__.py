# SPDX-License-Identifier: GPL-2.0-only
"""Pure functions from what a run left behind to test results and an outcome."""
