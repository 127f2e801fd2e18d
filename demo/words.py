# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""Numbers in words, for the table and for the picture."""

KIB, MIB = 1024, 1024 * 1024


def size(size):
    if size >= MIB:
        return f"{size // MIB} MiB"
    return f"{size // KIB} KiB" if size >= KIB else f"{size} B"


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def ratio(value):
    return f"{value:,.0f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.2g}"
