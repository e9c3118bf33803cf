// SPDX-License-Identifier: MIT
// Ten contexts at once: each has variables of its own, and none waits for another.
import { Client } from "cellwall";

const client = await Client.connect();
try {
  const numbers = Array.from({ length: 10 }, (_, index) => index);
  const contexts = await Promise.all(numbers.map(() => client.createContext()));
  await Promise.all(contexts.map((context, n) => context.runCode(`mine = ${n}`)));
  const code = "import time; time.sleep(0.5); mine ** 2";
  const outcomes = await Promise.all(contexts.map((context) => context.runCode(code)));
  console.log("squares:", outcomes.map(({ text }) => text).join(" "));
  await Promise.all(contexts.map((context) => context.delete()));
} finally {
  await client.close();
}
