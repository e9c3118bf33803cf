// SPDX-License-Identifier: MIT
// Work that goes on while nobody is there: one client starts it, another comes back for
// it, and misses nothing.
import { Client } from "cellwall";

const code = `
import time

for part in range(1, 6):
    time.sleep(0.2)
    print("part", part, "is done", flush=True)
"all done"
`;

const first = await Client.connect();
const context = await first.createContext();
const { id } = await context.runCode(code, { detach: true });
console.log("started, and leaving");
await first.close();

const second = await Client.connect();
try {
  const job = await second.attach(id);
  for await (const event of job.stream()) {
    if (event.type === "stdout") process.stdout.write(event.text);
  }
  const { state, execution } = await job.status();
  console.log(`${state}: ${execution.text}`);
  await second.deleteContext(job.contextId);
} finally {
  await second.close();
}
