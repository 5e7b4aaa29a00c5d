# SPDX-License-Identifier: GPL-2.0-only
"""Steps and tables as a terminal shows them, for the command line and the pytest plugin."""
