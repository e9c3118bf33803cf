# SPDX-License-Identifier: MIT
"""Output when it happens: a progress bar that the code draws again and again."""

import sys

import cellwall

CODE = """
import time
from IPython.display import display

bar = display("starting", display_id=True)
for done in range(0, 101, 10):
    bar.update(f"[{'#' * (done // 5):20}] {done:3} %")
    time.sleep(0.05)
print("all parts are there")
done
"""

with cellwall.connect() as client:
    with client.stream(CODE) as events:
        for event in events:
            if isinstance(event, cellwall.UpdateDisplay):
                print(f"\r{event.result.text}", end="", flush=True)
            elif isinstance(event, cellwall.Stdout):
                print(f"\n{event.text}", end="")
            elif isinstance(event, cellwall.Stderr):
                print(event.text, end="", file=sys.stderr)
    execution = events.execution
    # In the outcome the updates are applied: there is one display, in its last state.
    print(f"value {execution.text}, took {execution.usage.wall_ms:.0f} ms")
