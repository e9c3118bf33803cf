// SPDX-License-Identifier: MIT
// The client against a real server: the one that CELLWALL_SERVER names.
import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import { Client } from "../../dist/index.js";

let client;
before(async () => {
  client = await Client.connect();
});
after(async () => {
  try {
    for (const context of await client.listContexts()) await context.delete();
  } finally {
    await client.close();
  }
});

async function fresh(t, options) {
  const context = await client.createContext(options);
  t.after(() => context.delete().catch(() => {}));
  return context;
}

async function collect(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

const textOf = (events, type = "stdout") =>
  events.map((event) => (event.type === type ? event.text : "")).join("");

test("the server tells what it is", async () => {
  const info = await client.serverInfo();
  assert.equal(info.protocol, 1);
  assert.ok(info.languages.some(({ language }) => language === "python"));
  assert.ok(info.limits.defaults.memoryBytes > 0);
  assert.ok(info.bounds.contextsPerOwner > 0);
});

test("code runs in the default context of its language, which keeps variables", async () => {
  await client.runCode("kept = 20");
  const execution = await client.runCode("import sys\nprint('out')\nkept + 22");
  assert.equal(execution.text, "42");
  assert.equal(execution.logs.stdout, "out\n");
  assert.equal(execution.error, null);
  assert.ok(execution.ok);
  assert.ok(execution.executionCount > 0);
  assert.ok(execution.usage.wallMs > 0);
  assert.match(execution.id, /^run_/);
});

test("an exception of the code is told, and stderr apart", async (t) => {
  const context = await fresh(t);
  const { error, logs, reason } = await context.runCode(
    "import sys\nprint('e', file=sys.stderr)\n1 / 0",
  );
  assert.equal(error.name, "ZeroDivisionError");
  assert.match(error.traceback, /division by zero/);
  assert.ok(!error.traceback.includes("\u001b"));
  assert.equal(logs.stderr, "e\n");
  assert.equal(reason, null);
});

test("a shell tells the exit status of its last command", async (t) => {
  const shell = await fresh(t, { language: "bash" });
  const missing = await shell.runCode("false; ls missing");
  assert.deepEqual([missing.ok, missing.exitStatus], [true, 2]);
  assert.equal((await client.runCode("1")).exitStatus, null);
});

test("all formats of a result are kept, unknown ones too", async (t) => {
  const context = await fresh(t);
  const { results } = await context.runCode(`
from IPython.display import display
display({"text/plain": "t", "text/html": "<b>h</b>", "x/unknown": [1, 2]}, raw=True)
display({"image/png": "AAEC"}, raw=True)
5
`);
  assert.deepEqual(
    results.map((result) => result.formats()),
    [["text", "html", "x/unknown"], ["png"], ["text"]],
  );
  assert.deepEqual(results[0].extra["x/unknown"], [1, 2]);
  assert.deepEqual([...results[1].asBytes("png")], [0, 1, 2]);
  assert.deepEqual(
    results.map((result) => result.isMainResult),
    [false, false, true],
  );
});

test("a timeout is a reason, and keeps the variables", async (t) => {
  const context = await fresh(t);
  await context.runCode("kept = 1");
  const { reason } = await context.runCode("while True: pass", { timeoutMs: 300 });
  assert.equal(reason.kind, "timeout");
  assert.equal(reason.state, "kept");
  assert.equal((await context.runCode("kept")).text, "1");
});

test("an interpreter that dies is replaced, and the handle goes on", async (t) => {
  const context = await fresh(t);
  const { reason } = await context.runCode("import os; os._exit(3)");
  assert.equal(reason.state, "lost");
  assert.equal(context.epoch, 2);
  assert.equal((await context.runCode("1 + 1")).text, "2");
});

test("a handle that was not told of the loss is stale", async (t) => {
  const context = await fresh(t);
  const other = await client.getContext(context.id);
  await other.restart();
  await assert.rejects(context.runCode("1"), { code: "STALE_CONTEXT" });
  await context.refresh();
  assert.equal((await context.runCode("1")).text, "1");
});

test("contexts are found by name, id and label, and deleted", async () => {
  const labels = { purpose: "naming" };
  const context = await client.createContext({ name: "named", labels });
  await assert.rejects(client.createContext({ name: "named" }), { code: "NAME_TAKEN" });
  const same = await client.createContext({ name: "named", ifExists: "use" });
  assert.equal(same.id, context.id);
  assert.equal((await client.getContext("named")).id, context.id);
  const found = await client.listContexts({ labels });
  assert.deepEqual(
    found.map(({ id }) => id),
    [context.id],
  );
  assert.deepEqual(found[0].info.labels, labels);
  await client.deleteContext(context);
  await assert.rejects(client.getContext("named"), { code: "CONTEXT_NOT_FOUND" });
});

test("limits, environment and working directory are applied", async (t) => {
  const context = await fresh(t, {
    cwd: "sub/folder",
    env: { OF_CONTEXT: "a" },
    limits: { runMs: 5000 },
    idleTimeoutMs: 60_000,
  });
  assert.equal(context.info.limits.runMs, 5000);
  assert.equal(context.info.idleTimeoutMs, 60_000);
  const { logs } = await context.runCode(
    "import os; print(os.getcwd(), os.environ['OF_CONTEXT'], os.environ['OF_RUN'])",
    { env: { OF_RUN: "b" } },
  );
  assert.equal(logs.stdout, "/workspace/sub/folder a b\n");
});

test("what is wrong with a request is told by field", async () => {
  await assert.rejects(client.createContext({ limits: { memoryBytes: -1 } }), {
    code: "INVALID_ARGUMENT",
  });
  await assert.rejects(client.createContext({ language: "none" }), {
    code: "LANGUAGE_NOT_FOUND",
  });
  await assert.rejects(client.runCode("1", { context: "nowhere" }), {
    code: "CONTEXT_NOT_FOUND",
  });
});

test("callbacks come in the program's order", async (t) => {
  const context = await fresh(t);
  const said = [];
  const say = (text) => {
    if (text.trim() !== "") said.push(text.trim()); // an end of a line may come apart
  };
  const { text } = await context.runCode(
    `
import sys
from IPython.display import display
print("a", flush=True)
print("b", file=sys.stderr, flush=True)
display({"text/plain": "c"}, raw=True)
print("d")
"e"
`,
    {
      onStdout: say,
      onStderr: say,
      onResult: (result) => void said.push(result.text),
    },
  );
  assert.equal(text, "'e'");
  assert.deepEqual(said, ["a", "b", "c", "d", "'e'"]);
});

test("a display that is updated is told and applied", async (t) => {
  const context = await fresh(t);
  const updates = [];
  const { results } = await context.runCode(
    `
from IPython.display import display
handle = display({"text/plain": "0 %"}, raw=True, display_id="bar")
handle.update({"text/plain": "100 %"}, raw=True)
`,
    { onDisplayUpdate: (result) => void updates.push(result.text) },
  );
  assert.deepEqual(updates, ["100 %"]);
  assert.equal(results[0].text, "100 %");
  assert.equal(results[0].displayId, "bar");
});

test("a stream is numbered without gaps and ends with the outcome", async (t) => {
  const context = await fresh(t);
  const events = await collect(context.stream("for n in range(100): print(n)\n'v'"));
  const last = events.pop();
  assert.equal(last.type, "end");
  assert.equal(last.execution.text, "'v'");
  assert.equal(events[0].type, "queued");
  assert.equal(events.at(-1).type, "status");
  assert.deepEqual(
    events.map(({ seq }) => seq),
    events.map((_, index) => index + 1),
  );
  const wanted = Array.from({ length: 100 }, (_, n) => `${n}\n`).join("");
  assert.equal(textOf(events), wanted);
  assert.equal(last.execution.logs.stdout, wanted);
});

test("stopping to read ends the run, and frees the context", async (t) => {
  const context = await fresh(t);
  const code = "kept = 7\nwhile True: print('on and on')";
  for await (const event of context.stream(code)) if (event.type === "stdout") break;
  assert.equal((await context.runCode("kept")).text, "7");
});

test("a consumer that does not read slows its own code alone", async (t) => {
  const outputBytes = 48 * 2 ** 20;
  const [slow, quick] = [await fresh(t, { limits: { outputBytes } }), await fresh(t)];
  const lines = 350; // more than fits between the code and the consumer, and is not cut
  const stream = slow.stream(
    `block = 'x' * 60_000\nfor n in range(${lines}): print(n, block)\n'done'`,
    { timeoutMs: 0 },
  );
  await stream.next();
  for (let n = 0; n < 20; n++) assert.equal((await quick.runCode(`${n}`)).text, `${n}`);
  const numbers = [];
  let text = "";
  for await (const event of stream) {
    if (event.type === "stdout") text += event.text;
    if (event.type === "end") assert.equal(event.execution.text, "'done'");
  }
  for (const line of text.split("\n")) if (line) numbers.push(Number.parseInt(line));
  assert.deepEqual(
    numbers,
    Array.from({ length: lines }, (_, n) => n),
  );
});

test("input is asked for and given", async (t) => {
  const context = await fresh(t);
  const prompts = [];
  const answers = ["Ada", "secret"];
  const execution = await context.runCode(
    "import getpass\nname = input('name? ')\nword = getpass.getpass('word? ')\n(name, word)",
    {
      onInput: (request) => {
        prompts.push(request);
        return answers.shift();
      },
    },
  );
  assert.equal(execution.text, "('Ada', 'secret')");
  assert.deepEqual(prompts, [
    { prompt: "name? ", password: false },
    { prompt: "word? ", password: true },
  ]);
});

test("input that nobody gives is an error, not a hang", async (t) => {
  const context = await fresh(t);
  const { error } = await context.runCode("input('x')");
  assert.equal(error.name, "StdinNotImplementedError");
});

test("an abort ends the run on the server and keeps the variables", async (t) => {
  const context = await fresh(t);
  const controller = new AbortController();
  await assert.rejects(
    context.runCode("kept = 3\nprint('on', flush=True)\nwhile True: pass", {
      signal: controller.signal,
      onStdout: () => controller.abort(),
    }),
    { name: "AbortError" },
  );
  assert.equal((await context.runCode("kept")).text, "3");
});

test("an abort takes a run that waits out of the queue", async (t) => {
  const context = await fresh(t);
  const job = await context.runCode("import time\nwhile True: time.sleep(0.05)", {
    detach: true,
    timeoutMs: 0,
  });
  while ((await job.status()).state !== "running");
  const controller = new AbortController();
  const waiting = context.runCode("never = 1", {
    signal: controller.signal,
    onEvent: (event) => event.type === "queued" && controller.abort(),
  });
  await assert.rejects(waiting, { name: "AbortError" });
  assert.equal(await job.cancel(), "running");
  assert.equal((await job.wait()).reason.kind, "interrupted");
  const { error } = await context.runCode("never");
  assert.equal(error.name, "NameError");
});

test("an interrupt ends what runs", async (t) => {
  const context = await fresh(t);
  let interrupted;
  const code = "print('on', end='', flush=True)\nwhile True: pass"; // in one piece
  const { reason } = await context.runCode(code, {
    onStdout: async () => {
      interrupted = await context.interrupt();
    },
  });
  assert.equal(interrupted, true);
  assert.equal(reason.kind, "interrupted");
  await context.runCode("1"); // until then it may still be seen to have stopped
  assert.equal(await context.interrupt(), false);
});

test("runs of one context wait for each other, or are refused", async (t) => {
  const context = await fresh(t);
  const job = await context.runCode("import time\nwhile True: time.sleep(0.05)", {
    detach: true,
    timeoutMs: 0,
  });
  while ((await job.status()).state !== "running");
  const busy = { rejectIfBusy: true };
  await assert.rejects(context.runCode("1", busy), { code: "CONTEXT_BUSY" });
  const next = context.runCode("2", { detach: true });
  const { position } = await (await next).status();
  assert.equal(position, 1);
  const [running, queued] = await context.executions();
  assert.equal(running.state, "running");
  assert.equal(queued.state, "queued");
  await job.cancel();
  assert.equal((await (await next).wait()).text, "2");
});

test("a detached run is followed from the beginning, by another client", async (t) => {
  const context = await fresh(t);
  const { id } = await context.runCode("print('early', end='')\n'value'", {
    detach: true,
  });
  const other = await Client.connect();
  t.after(() => other.close());
  const job = await other.attach(id);
  assert.equal(job.contextId, context.id);
  assert.equal((await job.wait()).text, "'value'");
  const events = await collect(job.stream());
  assert.equal(textOf(events), "early"); // in one piece
  assert.equal(events.at(-1).execution.missedEvents, 0);
  const { seq } = events.find((event) => event.type === "stdout");
  const later = await collect(job.stream({ afterSeq: seq }));
  assert.equal(textOf(later), "");
  assert.equal(later.at(-1).type, "end");
  const status = await job.status();
  assert.equal(status.state, "done");
  assert.equal(status.execution.text, "'value'");
  await assert.rejects(other.attach("run_none"), { code: "EXECUTION_NOT_FOUND" });
});

test("a watcher sees what others run", async (t) => {
  const context = await fresh(t);
  const other = await Client.connect();
  t.after(() => other.close());
  const watching = (await other.getContext(context.id)).watch();
  const first = watching.next(); // the watch is set up by the first event asked for
  const seen = [];
  // The watch begins at some time: what it has to see is repeated until it has.
  let done = false;
  const running = (async () => {
    while (!done) await context.runCode("print('watched', end='')");
  })();
  seen.push((await first).value);
  for await (const event of watching) {
    seen.push(event);
    if (event.type === "stdout") break;
  }
  done = true;
  await running;
  assert.equal(seen.at(-1).text, "watched"); // in one piece
  assert.equal(seen.at(-1).contextId, context.id);
});

test("files are written, read, listed and removed", async (t) => {
  const { files, runCode } = await fresh(t);
  assert.equal(typeof runCode, "function");
  const bytes = new Uint8Array(256).map((_, index) => index);
  assert.equal(await files.write("a/b.bin", bytes), 256);
  assert.deepEqual(new Uint8Array(await files.read("a/b.bin")), bytes);
  assert.deepEqual(
    [...(await files.read("/workspace/a/b.bin", { offset: 250, length: 10 }))],
    [250, 251, 252, 253, 254, 255],
  );
  assert.equal(await files.write("t", "é"), 2);
  assert.equal(await files.write("t", "!", { mode: "append" }), 3);
  assert.equal(await files.write("t", "?", { mode: "at", offset: 2 }), 3);
  assert.equal(await files.readText("t"), "é?");
  await assert.rejects(files.write("t", "", { mode: "create" }), { code: "FILE_EXISTS" });
  await assert.rejects(files.read("no"), { code: "FILE_NOT_FOUND" });
  await assert.rejects(files.read("../x"), { code: "PATH_INVALID" });
  await assert.rejects(files.remove("a"), { code: "NOT_EMPTY" });
  await files.makeDirectory("c/d");
  const { entries, truncated } = await files.list(undefined, { recursive: true });
  assert.equal(truncated, false);
  assert.deepEqual(entries.map(({ path, type }) => `${path} ${type}`).sort(), [
    "a directory",
    "a/b.bin file",
    "c directory",
    "c/d directory",
    "t file",
  ]);
  await files.remove("a", { recursive: true });
  const left = await files.list();
  assert.deepEqual(left.entries.map(({ path }) => path).sort(), ["c", "t"]);
});

test("a file that is larger than one message comes back as it was", async (t) => {
  const context = await fresh(t);
  const bytes = Buffer.alloc(50 * 1024 * 1024);
  for (let index = 0; index < bytes.length; index += 4096)
    bytes.writeUInt32LE(index, index);
  assert.equal(await context.files.write("large", bytes), bytes.length);
  assert.ok(bytes.equals(await context.files.read("large")));
  const { text } = await context.runCode("import os; os.stat('large').st_size");
  assert.equal(text, String(bytes.length));
});

test("completion, inspection and completeness", async (t) => {
  const context = await fresh(t);
  await context.runCode("something_long = 'text'");
  const code = "'𝔛'; something_l";
  const { matches, cursorStart, cursorEnd } = await context.complete(code);
  assert.deepEqual(matches, ["something_long"]);
  assert.equal(code.slice(cursorStart, cursorEnd), "something_l");
  const { found, data } = await context.inspect("something_long");
  assert.equal(found, true);
  assert.match(data["text/plain"], /str/);
  assert.equal((await context.isComplete("for x in y:")).status, "incomplete");
  assert.equal((await context.isComplete("1")).status, "complete");
});

test("a restart forgets the variables and keeps the files", async (t) => {
  const context = await fresh(t);
  await context.runCode("x = 1; open('f', 'w').write('kept')");
  await context.restart();
  assert.equal(context.epoch, 2);
  assert.equal((await context.runCode("x")).error.name, "NameError");
  assert.equal(await context.files.readText("f"), "kept");
});

test("a Jupyter endpoint is opened and closed", async (t) => {
  const context = await fresh(t);
  const { file, connection } = await context.openJupyter();
  assert.ok(file.startsWith("/"));
  assert.ok(connection.key.length > 0);
  await context.closeJupyter();
});

test("outputs that are too much are cut, and it is told", async (t) => {
  const context = await fresh(t, { limits: { outputBytes: 100_000 } });
  const { logs, truncated } = await context.runCode("print('x' * 1_000_000)");
  assert.ok(truncated.stdout.totalBytes > 1_000_000);
  assert.ok(truncated.stdout.keptBytes < 200_000);
  assert.ok(logs.stdout.length < 300_000);
});

test("many contexts and runs at once", async () => {
  const contexts = await Promise.all(
    Array.from({ length: 10 }, () => client.createContext()),
  );
  const runs = contexts.flatMap((context, n) =>
    Array.from({ length: 10 }, (_, m) => [context, n * 100 + m]),
  );
  const texts = await Promise.all(
    runs.map(async ([context, number], index) => {
      const options = index % 3 === 0 ? { onStdout() {} } : {};
      return (await context.runCode(`${number}`, options)).text;
    }),
  );
  assert.deepEqual(
    texts,
    runs.map(([, number]) => String(number)),
  );
  await Promise.all(contexts.map((context) => context.delete()));
});
