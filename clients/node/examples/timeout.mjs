// SPDX-License-Identifier: MIT
// A run that takes too long is interrupted, and the variables are still there.
import { Client } from "cellwall";

const client = await Client.connect();
try {
  const context = await client.createContext();
  await context.runCode("precious = list(range(1000))");
  const { reason, logs } = await context.runCode(
    "import time\nprint('working')\nwhile True: time.sleep(0.1)",
    { timeoutMs: 1000 },
  );
  console.log(`reason: ${reason.kind}; the variables are ${reason.state}`);
  console.log(`it had said: ${logs.stdout.trim()}`);
  console.log(`precious has ${(await context.runCode("len(precious)")).text} items`);
  await context.delete();
} finally {
  await client.close();
}
