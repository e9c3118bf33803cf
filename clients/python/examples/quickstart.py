# SPDX-License-Identifier: MIT
"""The shortest program: run some code, and see what it gives."""

import cellwall

with cellwall.connect() as client:
    execution = client.run_code("import math; print('hello'); math.factorial(30)")
    print(execution.logs.stdout, end="")
    print(execution.text)
