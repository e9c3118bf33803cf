// SPDX-License-Identifier: MIT
// Drives the Node client for tests/bench/agents.py: one command a line, answered by one
// line of JSON. CELLWALL_SERVER names the server.
import { createInterface } from "node:readline";
import { Client } from "../../clients/node/dist/index.js";

const ONE = "1+1";
const client = await Client.connect();
const contexts = [await client.createContext()];

async function one(context) {
  const { text } = await context.runCode(ONE);
  if (text !== "2") throw new Error(`1+1 is ${text}`);
}

async function life() {
  const context = await client.createContext();
  await one(context);
  await context.delete();
}

async function several(context, count) {
  for (let i = 0; i < count; i++) await one(context);
}

async function stream(code) {
  const limits = { outputBytes: 64 * 2 ** 20 };
  const context = await client.createContext({ limits });
  await one(context);
  const began = performance.now();
  let bytes = 0;
  for await (const event of context.stream(code))
    if (event.type === "stdout") bytes += event.text.length;
  const ms = performance.now() - began;
  await context.delete();
  return { ms, bytes };
}

async function timed(work) {
  const began = performance.now();
  await work();
  return { ms: performance.now() - began };
}

const commands = {
  one: () => timed(() => one(contexts[0])),
  life: () => timed(life),
  lives: (count) =>
    timed(() => Promise.all(Array.from({ length: count }, life))),
  async crowd(count, runs) {
    while (contexts.length < count) contexts.push(await client.createContext());
    const used = contexts.slice(0, count);
    return timed(() =>
      Promise.all(used.map((context) => several(context, runs))),
    );
  },
  stream,
};

for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...words] = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(await commands[name](...words))}\n`);
}
for (const context of contexts) await context.delete();
await client.close();
