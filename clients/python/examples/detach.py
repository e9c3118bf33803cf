# SPDX-License-Identifier: MIT
"""Begin a long run, leave, come back from elsewhere, and miss nothing."""

import cellwall

CODE = """
import time
for part in range(1, 6):
    print("part", part, "is done", flush=True)
    time.sleep(0.2)
"all of it"
"""

with cellwall.connect() as client:
    job = client.detach(CODE)
    print("began, and it is", job.status().state)

    # Another client, as after a restart of this program: the name of the run is enough.
    with cellwall.Client(client.server_file) as other:
        again = other.attach(job.id)
        stream = again.stream()
        for event in stream:
            if isinstance(event, cellwall.Stdout):
                print(event.text, end="")
        print("outcome:", stream.execution.text)
        print("state:", again.status().state)
