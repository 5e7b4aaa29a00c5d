# SPDX-License-Identifier: GPL-2.0-only
_MMRACE_COMPLETE=fish_source mmrace | source
