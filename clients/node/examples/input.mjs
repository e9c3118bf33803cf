// SPDX-License-Identifier: MIT
// Code that asks for input gets it from here. In a terminal a person is asked; else the
// answers are made up.
import { createInterface } from "node:readline/promises";
import { Client } from "cellwall";

const code = `
name = input("Your name: ")
age = int(input("Your age: "))
print(f"{name} will be {age + 1} next year")
`;

const madeUp = ["Ada", "36"];

async function onInput({ prompt }) {
  if (!process.stdin.isTTY) return madeUp.shift();
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return await terminal.question(prompt);
  } finally {
    terminal.close();
  }
}

const client = await Client.connect();
try {
  const options = { onInput, onStdout: (text) => void process.stdout.write(text) };
  (await client.runCode(code, options)).orThrow();
} finally {
  await client.close();
}
