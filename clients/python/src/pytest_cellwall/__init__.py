# SPDX-License-Identifier: MIT
"""`pytest --cellwall`: the cells of notebooks as tests, which `cellwall test` runs.

This is no part of `cellwall`, so that pytest, which loads the plugin each time, pays for
the client only when notebooks are asked for.
"""
