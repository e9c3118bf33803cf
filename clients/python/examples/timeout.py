# SPDX-License-Identifier: MIT
"""A timeout that keeps the variables: code that hangs costs its time, not its work."""

import cellwall

HANGS = """
found = []
for n in range(10**9):
    found.append(n * n)
    if n == 1000:
        import time
        print("working on it")
        time.sleep(3600)
"""

with cellwall.connect() as client, client.create_context() as context:
    execution = context.run_code(HANGS, timeout=1.0)
    reason = execution.reason
    assert reason is not None
    print(execution.logs.stdout, end="")
    print(f"{reason.kind}: the variables are {reason.state}")
    print("found has", context.run_code("len(found)").text, "items")
