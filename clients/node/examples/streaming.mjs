// SPDX-License-Identifier: MIT
// What the code says, when it says it: a progress bar that the code draws.
import { Client } from "cellwall";

const code = `
import sys, time

steps = 20
for step in range(1, steps + 1):
    time.sleep(0.05)
    bar = "#" * step + "." * (steps - step)
    print(f"\\r[{bar}] {step * 100 // steps} %", end="", flush=True)
print()
print("a warning goes to stderr", file=sys.stderr)
steps
`;

const client = await Client.connect();
try {
  for await (const event of client.stream(code)) {
    if (event.type === "stdout") process.stdout.write(event.text);
    if (event.type === "stderr") process.stderr.write(event.text);
    if (event.type === "result") console.log("value:", event.result.text);
    if (event.type === "end") {
      console.log(`took ${Math.round(event.execution.usage.wallMs)} ms`);
    }
  }
} finally {
  await client.close();
}
