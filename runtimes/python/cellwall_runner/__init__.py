# SPDX-License-Identifier: MIT
"""The Python runner: drives IPython in the sandbox and speaks frames with the server.

`main` starts it. Nothing here is meant to be imported by user code, except what a
notebook reaches through `get_ipython()`.
"""
