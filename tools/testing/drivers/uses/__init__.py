# SPDX-License-Identifier: GPL-2.0
"""How each driver is used."""
