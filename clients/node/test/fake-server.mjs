// SPDX-License-Identifier: MIT
// A server that says what a test tells it to say, also what no real one would. It signs
// by itself, not by what it is to test.
import { createHmac } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Router } from "zeromq";

const KEY = "0123456789abcdef";

export const INFO = { status: "ok", version: "0", protocol: 1, languages: [] };
export const OUTCOME = {
  status: "ok",
  execution_id: "run_1",
  execution_count: 1,
  results: [],
  logs: { stdout: "", stderr: "" },
  error: null,
  reason: null,
  user_expressions: {},
  usage: { wall_ms: 1, queued_ms: 0, cpu_ms: null, peak_memory_bytes: null },
  truncated: null,
  context: { id: "ctx_1", epoch: 1, state: "idle" },
};
export const CONTEXT = {
  id: "ctx_1",
  name: null,
  language: "python",
  runtime: "python",
  state: "idle",
  epoch: 1,
};

/** The frames of a message that is signed with KEY. */
export function signedFrames(type, parent, content, options = {}) {
  const { key = KEY, metadata = {}, buffers = [] } = options;
  const header = { msg_id: `s-${Math.random()}`, msg_type: type, session: "s" };
  const parts = [header, parent, metadata, content].map((part) =>
    typeof part === "string" ? part : JSON.stringify(part),
  );
  const mac = createHmac("sha256", key);
  for (const part of parts) mac.update(part);
  return ["<IDS|MSG>", mac.digest("hex"), ...parts, ...buffers];
}

export class FakeServer {
  /** HANDLERS: by request type, each a function of a Call. SENDHIGHWATERMARK: so many
   *  messages wait for a client, then sending fails with EAGAIN. */
  static async start(handlers, { sendHighWaterMark = 1000 } = {}) {
    const server = new FakeServer(handlers, sendHighWaterMark);
    server.folder = await mkdtemp(join(tmpdir(), "cellwall-fake-"));
    server.endpoint = `ipc://${server.folder}/s`;
    server.file = join(server.folder, "server.json");
    await server.socket.bind(server.endpoint);
    await writeFile(
      server.file,
      JSON.stringify({ endpoint: server.endpoint, key: KEY, version: "0" }),
      { mode: 0o600 },
    );
    server.reading = server.#read();
    return server;
  }

  constructor(handlers, sendHighWaterMark) {
    this.handlers = { server_info_request: (call) => call.reply(INFO), ...handlers };
    this.requests = [];
    this.socket = new Router({ linger: 0, mandatory: true, sendHighWaterMark });
  }

  async #read() {
    for await (const [client, , signature, ...parts] of this.socket) {
      const mac = createHmac("sha256", KEY);
      for (const part of parts.slice(0, 4)) mac.update(part);
      if (mac.digest("hex") !== String(signature)) throw new Error("wrong signature");
      const header = JSON.parse(parts[0]);
      const content = JSON.parse(parts[3]);
      const request = { type: header.msg_type, content, buffers: parts.slice(4) };
      this.requests.push(request);
      const handler = this.handlers[request.type];
      await handler?.({
        ...request,
        parent: header,
        reply: (answer, options) =>
          this.send(
            client,
            header.msg_type.replace(/request$/, "reply"),
            header,
            answer,
            options,
          ),
        tell: (type, answer, seq) =>
          this.send(client, type, header, answer, {
            metadata: {
              cellwall: { context: "ctx_1", epoch: 1, execution: "run_1", seq },
            },
          }),
        raw: (frames) => this.socket.send([client, ...frames]),
      });
    }
  }

  async send(client, type, parent, content, options) {
    await this.socket.send([client, ...signedFrames(type, parent, content, options)]);
  }

  ofType(type) {
    return this.requests.filter((request) => request.type === type);
  }

  async close() {
    this.socket.close();
    await this.reading.catch(() => {});
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** The events of a run that says LINES, numbered from FIRST on. */
export async function tellRun(call, lines, first = 1) {
  let seq = first;
  await call.tell(
    "execution_queued",
    { execution: { id: "run_1", context: "ctx_1", epoch: 1, state: "queued" } },
    seq++,
  );
  await call.tell("status", { execution_state: "busy" }, seq++);
  for (const text of lines) await call.tell("stream", { name: "stdout", text }, seq++);
  await call.tell("status", { execution_state: "idle" }, seq++);
}
