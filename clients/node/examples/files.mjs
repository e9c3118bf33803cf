// SPDX-License-Identifier: MIT
// Files go into the workspace of a context and come out of it; they outlive a restart.
import { Client, FileNotFoundError } from "cellwall";

const client = await Client.connect();
try {
  const context = await client.createContext();
  const { files } = context;
  await files.makeDirectory("data");
  await files.write("data/words.txt", "one\ntwo\nthree\n");
  await context.runCode(`
with open("data/words.txt") as words, open("data/upper.txt", "w") as upper:
    upper.write(words.read().upper())
`);
  console.log(await files.readText("data/upper.txt"));

  await files.write("data/bytes.bin", new Uint8Array([0, 1, 2, 254, 255]));
  const size = await context.runCode("len(open('data/bytes.bin', 'rb').read())");
  console.log("Python sees", size.text, "bytes");

  await context.restart();
  const { entries } = await files.list("data");
  for (const { path, size } of entries) console.log(path, size);

  await files.remove("data", { recursive: true });
  try {
    await files.read("data/words.txt");
  } catch (error) {
    if (!(error instanceof FileNotFoundError)) throw error;
    console.log("gone:", error.code);
  }
  await context.delete();
} finally {
  await client.close();
}
