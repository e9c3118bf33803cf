// SPDX-License-Identifier: MIT
// The client against a server that says what it is told: order, loss, hostile replies.
import assert from "node:assert/strict";
import test from "node:test";
import { Client } from "../dist/index.js";
import { CONTEXT, FakeServer, OUTCOME, signedFrames, tellRun } from "./fake-server.mjs";

async function connected(t, handlers, { sendHighWaterMark, ...options } = {}) {
  const server = await FakeServer.start(handlers, { sendHighWaterMark });
  const client = await Client.connect({ server: server.file, ...options });
  t.after(async () => {
    await client.close();
    await server.close();
  });
  return { server, client };
}

const running = { run_code_request: (call) => call.reply(OUTCOME) };

test("options become members of the request", async (t) => {
  const { server, client } = await connected(t, running);
  await client.runCode("1", {
    timeoutMs: 5,
    onTimeout: "restart",
    rejectIfBusy: true,
    env: { someName: "v" },
  });
  assert.deepEqual(server.ofType("run_code_request")[0].content, {
    language: "python",
    code: "1",
    timeout_ms: 5,
    on_timeout: "restart",
    reject_if_busy: true,
    env: { someName: "v" },
  });
});

test("an option that there is not is refused", async (t) => {
  const { server, client } = await connected(t, running);
  await assert.rejects(client.runCode("1", { timeout: 5 }), TypeError);
  await assert.rejects(client.runCode("1", { context: "a", language: "b" }), TypeError);
  await assert.rejects(client.runCode("1", { detach: true, onStdout() {} }), TypeError);
  assert.equal(server.ofType("run_code_request").length, 0);
});

test("limits and times become the protocol's", async (t) => {
  const { server, client } = await connected(t, {
    create_context_request: (call) => call.reply({ status: "ok", context: CONTEXT }),
  });
  await client.createContext({
    name: "a",
    ifExists: "use",
    idleTimeoutMs: 1500,
    limits: { memoryBytes: 1, runMs: 2 },
    labels: { keepThis: "x" },
  });
  assert.deepEqual(server.ofType("create_context_request")[0].content, {
    name: "a",
    if_exists: "use",
    idle_timeout_s: 1.5,
    limits: { memory_bytes: 1, run_ms: 2 },
    labels: { keepThis: "x" },
  });
});

test("a refusal is an error of its code's class", async (t) => {
  const { client } = await connected(t, {
    get_context_request: (call) =>
      call.reply({
        status: "error",
        code: "CONTEXT_NOT_FOUND",
        message: "there is none",
        suggestion: "list them",
        details: { a: 1 },
      }),
    list_contexts_request: (call) =>
      call.reply({ status: "error", code: "NEWER_CODE", message: "m" }),
  });
  await assert.rejects(client.getContext("x"), {
    name: "ContextNotFoundError",
    code: "CONTEXT_NOT_FOUND",
    message: "there is none",
    suggestion: "list them",
    details: { a: 1 },
  });
  await assert.rejects(client.listContexts(), {
    name: "CellwallError",
    code: "NEWER_CODE",
  });
});

test("code that failed is no exception", async (t) => {
  const { client } = await connected(t, {
    run_code_request: (call) =>
      call.reply({
        ...OUTCOME,
        status: "error",
        error: { ename: "E", evalue: "v", traceback: [] },
      }),
  });
  assert.equal((await client.runCode("1")).error.name, "E");
});

test("many requests at once get each its own reply", async (t) => {
  const held = [];
  const { client } = await connected(t, {
    run_code_request: async (call) => {
      held.push(call);
      if (held.length < 50) return;
      for (const one of held.reverse())
        await one.reply({ ...OUTCOME, logs: { stdout: one.content.code, stderr: "" } });
    },
  });
  const codes = Array.from({ length: 50 }, (_, index) => `code ${index}`);
  const outcomes = await Promise.all(codes.map((code) => client.runCode(code)));
  assert.deepEqual(
    outcomes.map((outcome) => outcome.logs.stdout),
    codes,
  );
});

test("what is not the server's is not believed", async (t) => {
  const { client } = await connected(t, {
    run_code_request: async (call) => {
      const fake = { ...OUTCOME, logs: { stdout: "forged", stderr: "" } };
      const options = { key: "another" };
      await call.raw(signedFrames("run_code_reply", call.parent, fake, options));
      await call.raw(signedFrames("run_code_reply", { msg_id: "unknown" }, fake));
      await call.raw(signedFrames("run_code_reply", {}, fake));
      await call.raw(["<IDS|MSG>"]);
      await call.raw([""]);
      await call.reply(OUTCOME);
      await call.reply(fake);
    },
  });
  assert.equal((await client.runCode("1")).logs.stdout, "");
  assert.equal((await client.runCode("1")).logs.stdout, "");
});

test("malformed replies are protocol errors, and the client goes on", async (t) => {
  const { client } = await connected(t, {
    run_code_request: (call) => call.reply({ status: "ok", results: 7 }),
    list_contexts_request: (call) => call.reply({ status: "ok", contexts: [{}] }),
    get_context_request: (call) => call.reply({ status: "error", code: "X", message: 1 }),
    list_files_request: (call) => call.reply({ status: "ok", entries: [1] }),
    read_file_request: (call) => call.reply({ status: "ok", eof: true }),
  });
  const malformed = { code: "PROTOCOL_ERROR" };
  await assert.rejects(client.runCode("1"), malformed);
  await assert.rejects(client.listContexts(), malformed);
  await assert.rejects(client.getContext("x"), malformed);
  await assert.rejects(client.files("x").list(), malformed);
  await assert.rejects(client.files("x").read("f"), malformed);
  assert.equal((await client.serverInfo()).protocol, 1);
});

test("a read that brings more than was asked for is refused", async (t) => {
  const { client } = await connected(t, {
    read_file_request: (call) =>
      call.reply({ status: "ok", eof: true }, { buffers: [Buffer.alloc(10)] }),
  });
  await assert.rejects(client.files("x").read("f", { length: 5 }), {
    code: "PROTOCOL_ERROR",
  });
});

test("a malformed event ends its run alone", async (t) => {
  const { client } = await connected(t, {
    run_code_request: async (call) => {
      if (call.content.code === "bad") await call.tell("stream", { name: 1 }, 1);
      else await tellRun(call, ["fine"]);
      await call.reply(OUTCOME);
    },
  });
  const options = { onStdout() {} };
  const [bad, good] = await Promise.allSettled([
    client.runCode("bad", options),
    client.runCode("good", options),
  ]);
  assert.equal(bad.reason.code, "PROTOCOL_ERROR");
  assert.equal(good.value.ok, true);
});

test("callbacks come in the order of the events, one at a time", async (t) => {
  const { client } = await connected(t, {
    run_code_request: async (call) => {
      await call.tell("status", { execution_state: "busy" }, 1);
      await call.tell("stream", { name: "stdout", text: "a" }, 2);
      await call.tell("display_data", { data: { "text/plain": "b" }, metadata: {} }, 3);
      await call.tell("stream", { name: "stderr", text: "c" }, 4);
      await call.tell("unknown_type", { x: 1 }, 5);
      await call.tell("execute_result", { data: { "text/plain": "d" } }, 6);
      await call.tell("error", { ename: "e", evalue: "", traceback: [] }, 7);
      await call.tell("status", { execution_state: "idle" }, 8);
      await call.reply(OUTCOME);
    },
  });
  const said = [];
  let inside = 0;
  const note = async (text) => {
    assert.equal(++inside, 1);
    await new Promise((resolve) => setImmediate(resolve));
    said.push(text);
    inside--;
  };
  await client.runCode("1", {
    onStdout: (text) => note(text),
    onStderr: (text) => note(text),
    onResult: (result) => note(result.text + result.isMainResult),
    onError: (error) => note(error.name),
  });
  assert.deepEqual(said, ["a", "bfalse", "c", "dtrue", "e"]);
});

test("an exception of a callback ends the run and comes out", async (t) => {
  const { server, client } = await connected(t, {
    run_code_request: (call) => tellRun(call, ["a"]),
    cancel_request: (call) => call.reply({ status: "ok", was: "running" }),
  });
  const onStdout = () => {
    throw new RangeError("mine");
  };
  await assert.rejects(client.runCode("1", { onStdout }), RangeError);
  assert.equal(server.ofType("cancel_request")[0].content.execution, "run_1");
});

test("a stream ends with the outcome", async (t) => {
  const { client } = await connected(t, {
    run_code_request: async (call) => {
      await tellRun(call, ["a", "b"]);
      await call.reply(OUTCOME);
    },
  });
  const types = [];
  for await (const event of client.stream("1")) types.push(event.type);
  assert.deepEqual(types, ["queued", "status", "stdout", "stdout", "status", "end"]);
});

test("stopping to read ends the run", async (t) => {
  const { server, client } = await connected(t, {
    run_code_request: (call) => tellRun(call, ["a", "b"]),
    cancel_request: (call) => call.reply({ status: "ok", was: "running" }),
  });
  for await (const event of client.stream("1")) if (event.type === "stdout") break;
  assert.deepEqual(
    server.ofType("cancel_request").map((request) => request.content),
    [{ execution: "run_1", force: false }],
  );
});

test("a lost stream is got back from the log", async (t) => {
  const { server, client } = await connected(t, {
    run_code_request: async (call) => {
      await call.tell("stream", { name: "stdout", text: "a" }, 2);
      await call.reply(OUTCOME); // no idle: the rest was not taken in time
    },
    attach_request: async (call) => {
      if (call.content.after_seq === 2) {
        await call.tell("stream", { name: "stdout", text: "b" }, 3);
        await call.reply(OUTCOME);
      } else {
        await call.tell("stream", { name: "stdout", text: "c" }, 4);
        await call.tell("status", { execution_state: "idle" }, 5);
        await call.reply({ ...OUTCOME, missed_events: 2 });
      }
    },
  });
  let said = "";
  const execution = await client.runCode("1", {
    onStdout: (text) => void (said += text),
  });
  assert.equal(said, "abc");
  assert.equal(execution.missedEvents, 2);
  assert.equal(server.ofType("attach_request").length, 2);
});

test("a consumer that does not read stops the server, and no other stream", async (t) => {
  const sent = { slow: 0, quick: 0 };
  const total = 5000;
  const handlers = {
    run_code_request: (call) => {
      const run = async () => {
        const { code } = call.content;
        const text = "x".repeat(10_000);
        for (let seq = 1; seq <= total; seq++) {
          await retry(() => call.tell("stream", { name: "stdout", text }, seq));
          sent[code] = seq;
        }
        await retry(() => call.tell("status", { execution_state: "idle" }, total + 1));
        await retry(() => call.reply(OUTCOME));
      };
      void run().catch(() => {}); // the server is closed
    },
    attach_request: (call) => retry(() => call.reply(OUTCOME)),
    cancel_request: (call) => retry(() => call.reply({ status: "ok", was: "running" })),
  };
  const { client } = await connected(t, handlers, { sendHighWaterMark: 8 });
  const slow = client.stream("slow");
  await slow.next();
  let quick = 0;
  for await (const event of client.stream("quick")) if (event.type === "stdout") quick++;
  assert.equal(quick, total);
  assert.ok(sent.slow < total, `the slow one got ${sent.slow}`);
  await slow.return();
});

// A ROUTER that must not drop says EAGAIN while a client does not read; another message
// may be under way.
async function retry(send) {
  for (;;) {
    try {
      return await send();
    } catch (error) {
      if (error.code !== "EAGAIN" && error.code !== "EBUSY") throw error;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
}

test("input is asked for and answered", async (t) => {
  let asked;
  const { server, client } = await connected(t, {
    run_code_request: async (call) => {
      asked = call;
      await call.tell("input_request", { prompt: "name? ", password: true }, 1);
    },
    input_reply: async (call) => {
      await asked.tell("stream", { name: "stdout", text: call.content.value }, 2);
      await asked.tell("status", { execution_state: "idle" }, 3);
      await asked.reply(OUTCOME);
    },
  });
  let said;
  await client.runCode("1", {
    onInput: ({ prompt, password }) => `${prompt}${password}`,
    onStdout: (text) => void (said = text),
  });
  assert.equal(said, "name? true");
  assert.equal(server.ofType("run_code_request")[0].content.allow_stdin, true);
  assert.equal(server.ofType("input_reply")[0].content.execution, "run_1");
});

test("an abort cancels the run and rejects with the signal's reason", async (t) => {
  let run;
  const { client } = await connected(t, {
    run_code_request: async (call) => {
      run = call;
      await call.tell("execution_queued", QUEUED, 1);
      await call.tell("stream", { name: "stdout", text: "a" }, 2);
    },
    cancel_request: async (call) => {
      await call.reply({ status: "ok", was: "running" });
      await run.tell("status", { execution_state: "idle" }, 3);
      await run.reply({ ...OUTCOME, reason: { kind: "interrupted", state: "kept" } });
    },
  });
  const controller = new AbortController();
  const { signal } = controller;
  const onStdout = () => controller.abort();
  await assert.rejects(client.runCode("1", { signal, onStdout }), { name: "AbortError" });
  await assert.rejects(client.runCode("1", { signal }), { name: "AbortError" });
});

const QUEUED = {
  execution: { id: "run_1", context: "ctx_1", epoch: 1, state: "queued", position: 0 },
};

test("a run without output can be aborted", async (t) => {
  const controller = new AbortController();
  let run;
  const { client } = await connected(t, {
    run_code_request: async (call) => {
      run = call;
      await call.tell("execution_queued", QUEUED, 1);
      controller.abort(new Error("enough"));
    },
    cancel_request: async (call) => {
      await call.reply({ status: "ok", was: "queued" });
      await run.reply({ status: "error", code: "CANCELLED", message: "cancelled" });
    },
  });
  const { signal } = controller;
  await assert.rejects(client.runCode("1", { signal }), { message: "enough" });
});

test("a context follows the epoch that its own runs tell", async (t) => {
  const epochs = [];
  const { client } = await connected(t, {
    create_context_request: (call) => call.reply({ status: "ok", context: CONTEXT }),
    run_code_request: (call) => {
      epochs.push(call.content.context.epoch);
      const context = { id: "ctx_1", epoch: 2, state: "idle" };
      return call.reply({
        ...OUTCOME,
        context,
        reason: { kind: "memory", state: "lost" },
      });
    },
  });
  const context = await client.createContext();
  await context.runCode("1");
  assert.equal(context.epoch, 2);
  await context.runCode("1");
  assert.deepEqual(epochs, [1, 2]);
});

test("cursors count what JavaScript counts", async (t) => {
  const { server, client } = await connected(t, {
    create_context_request: (call) => call.reply({ status: "ok", context: CONTEXT }),
    complete_request: (call) =>
      call.reply({ status: "ok", matches: ["𝔛.abc"], cursor_start: 1, cursor_end: 3 }),
  });
  const context = await client.createContext();
  const { cursorStart, cursorEnd } = await context.complete("𝔛.a");
  assert.equal(server.ofType("complete_request")[0].content.cursor_pos, 3);
  assert.deepEqual([cursorStart, cursorEnd], [2, 4]);
});

test("large files travel in pieces", async (t) => {
  const written = [];
  const size = 40 * 1024 * 1024;
  const { client } = await connected(t, {
    write_file_request: (call) => {
      const { mode, offset = 0 } = call.content;
      const length = call.buffers[0].length;
      written.push([mode, offset, length]);
      return call.reply({ status: "ok", bytes_written: length, size: offset + length });
    },
    read_file_request: (call) => {
      const { offset, length } = call.content;
      const part = Buffer.alloc(Math.min(length, size - offset), 7);
      const eof = offset + part.length === size;
      return call.reply({ status: "ok", size, offset, eof }, { buffers: [part] });
    },
  });
  const files = client.files("ctx_1");
  assert.equal(await files.write("f", new Uint8Array(size)), size);
  assert.deepEqual(written, [
    ["replace", 0, 32 * 1024 * 1024],
    ["at", 32 * 1024 * 1024, 8 * 1024 * 1024],
  ]);
  const whole = await files.read("f");
  assert.equal(whole.length, size);
  assert.ok(whole.every((byte) => byte === 7));
  assert.equal((await files.read("f", { offset: 5, length: 6 })).length, 6);
});

test("a server that says nothing is lost", async (t) => {
  const { client } = await connected(t, { run_code_request() {} }, { silenceMs: 2000 });
  await assert.rejects(client.runCode("1"), {
    code: "CONNECTION_LOST",
    message: /nothing came/,
  });
});

test("keepalives are heard", async (t) => {
  const { client } = await connected(
    t,
    {
      run_code_request: async (call) => {
        for (let count = 0; count < 5; count++) {
          await call.raw(signedFrames("keepalive", {}, {}));
          await new Promise((resolve) => setTimeout(resolve, 500));
        }
        await call.reply(OUTCOME);
      },
    },
    { silenceMs: 2000 },
  );
  assert.equal((await client.runCode("1")).ok, true);
});

test("a server that hangs up is lost, and found when it is back", async (t) => {
  const { server, client } = await connected(t, {
    run_code_request: () => server.socket.close(),
  });
  await assert.rejects(client.runCode("1"), { code: "CONNECTION_LOST" });
  await assert.rejects(client.serverInfo(), { code: "CONNECTION_LOST" });
});

test("a server that is not there is not found", async () => {
  const server = await FakeServer.start({});
  server.socket.close();
  await assert.rejects(Client.connect({ server: server.file }), {
    code: "SERVER_NOT_FOUND",
  });
  await server.close();
});

test("a server of another protocol is not used", async () => {
  const server = await FakeServer.start({
    server_info_request: (call) =>
      call.reply({ status: "ok", version: "9", protocol: 2, languages: [] }),
  });
  await assert.rejects(Client.connect({ server: server.file }), {
    code: "PROTOCOL_ERROR",
    message: /version 2/,
  });
  await server.close();
});

test("what waits when the client is closed is told so", async (t) => {
  const { client } = await connected(t, { run_code_request() {} });
  const waiting = client.runCode("1");
  const streaming = client.runCode("1", { onStdout() {} });
  const failures = Promise.allSettled([waiting, streaming]);
  await client.serverInfo();
  await client.close();
  for (const { reason } of await failures) assert.equal(reason.code, "CLIENT_CLOSED");
  await assert.rejects(client.runCode("1"), { code: "CLIENT_CLOSED" });
  await client.close();
});
