// SPDX-License-Identifier: MIT
// The loop of an agent: the model writes code, reads what came of it, and goes on. The
// model is a stand-in that follows a script; put a real one in its place.
import { Client } from "cellwall";

const script = [
  { code: "orders = [12.5, 7.25, 99.0, 3.4]\ntotal = sum(order)" }, // with a mistake
  { code: "total = sum(orders)\nprint('orders:', len(orders))\ntotal" },
  { answer: "The four orders add up to 122.15." },
];

/** What a model would say next, given the conversation so far. */
async function askModel(conversation) {
  const turns = conversation.filter(({ role }) => role === "assistant");
  return script[turns.length];
}

/** What the model is told about a run: short, and true about what is left. */
function describe({ logs, text, error, reason }) {
  const parts = [];
  if (logs.stdout) parts.push(`stdout:\n${logs.stdout}`);
  if (logs.stderr) parts.push(`stderr:\n${logs.stderr}`);
  if (text !== undefined) parts.push(`value: ${text}`);
  if (error) parts.push(`error: ${error.name}: ${error.value}`);
  if (reason) parts.push(`ended: ${reason.text}; the variables are ${reason.state}`);
  return parts.join("\n") || "no output";
}

const client = await Client.connect();
try {
  const context = await client.createContext({ labels: { example: "agent-loop" } });
  const conversation = [{ role: "user", content: "What do the orders add up to?" }];
  for (let step = 0; step < 10; step++) {
    const said = await askModel(conversation);
    if (said.answer) {
      console.log(said.answer);
      break;
    }
    conversation.push({ role: "assistant", content: said.code });
    const execution = await context.runCode(said.code, { timeoutMs: 20_000 });
    const content = describe(execution);
    console.log(`--- step ${step + 1}\n${content}`);
    conversation.push({ role: "tool", content });
  }
  await context.delete();
} finally {
  await client.close();
}
