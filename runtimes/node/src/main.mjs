// SPDX-License-Identifier: MIT
// Serves the requests of the server, one at a time.
import { constrainedMemory } from "node:process";
import os from "node:os";

import * as cells from "./cells.mjs";
import { complete } from "./complete.mjs";
import * as engine from "./engine.mjs";
import * as errors from "./errors.mjs";
import * as globals from "./globals.mjs";
import { inspectCode } from "./inspect.mjs";
import { isComplete } from "./completeness.mjs";
import { languageInfo, LANGUAGES } from "./language.mjs";
import { link, send, sendReply } from "./link.mjs";
import * as modules from "./modules.mjs";
import * as requests from "./requests.mjs";
import * as streams from "./streams.mjs";

// Values get what is left of the memory by code, buffers and what the operating system
// needs; and at most what V8 takes by itself where there is enough.
const MEMORY_REST = 128 * 2 ** 20;
const HEAP_BYTES_MAX = 4 * 2 ** 30;

const language = LANGUAGES[process.argv[2]];

const handlers = {
  [link.EXECUTE_REQUEST]: (request) => cells.execute(request, language.prepare),
  [link.COMPLETE_REQUEST]: (request) => ask(request, complete),
  [link.INSPECT_REQUEST]: (request) => ask(request, inspectCode),
  [link.IS_COMPLETE_REQUEST]: (request) => ask(request, (it) => isComplete(it, language)),
  [link.PING]: (request) => send(link.REPLY, request, {}),
  [link.COMM_OPEN]: (request) => {
    // Nobody here can answer a comm.
    send(link.COMM_CLOSE, request, { comm_id: request.content.comm_id ?? "", data: {} });
    send(link.REPLY, request, {});
  },
  [link.COMM_MSG]: (request) => send(link.REPLY, request, {}),
  [link.COMM_CLOSE]: (request) => send(link.REPLY, request, {}),
};

// Answers a question about code; it may look at values of the user's, which takes time.
function ask(request, answer) {
  const work = async () => answer(request.content);
  cells.enter(request, work, (stop, failure, content) => {
    const isAnswered = stop === link.STOP_NONE && !failure;
    const reply = isAnswered ? content : { status: "error", ...refusal(stop, failure) };
    const flags = isAnswered ? 0 : link.FLAG_ERROR;
    sendReply(request, reply, flags);
  });
}

function refusal(stop, failure) {
  if (failure) return errors.errorContent(failure);
  return { ename: "Interrupted", evalue: "", traceback: [] };
}

function onEvent(kind, what, number, executionCount, header, metadata, content) {
  if (kind === link.REQUEST) {
    const request = new requests.Request(what, number, executionCount, metadata, content);
    handlers[what]?.(request);
  } else if (kind === link.STOPPED) {
    cells.stopped(what);
  } else if (kind === link.DRAINED) {
    cells.drained();
  } else {
    end();
  }
}

// Lets user code tidy up; the addon sees to it that this ends.
function end() {
  try {
    process.emit("exit", 0);
  } finally {
    process.reallyExit(0);
  }
}

// What the heap may grow to, in bytes; 0: no further than it would by itself.
function heapMax() {
  const chosen = `${process.env.NODE_OPTIONS} ${process.execArgv.join(" ")}`;
  if (/--max[-_]old[-_]space[-_]size/.test(chosen)) return 0;
  const memory = Math.min(constrainedMemory?.() || Infinity, os.totalmem());
  const heap = memory - Math.max(MEMORY_REST, memory / 3);
  return Math.max(0, Math.min(Math.floor(heap), HEAP_BYTES_MAX));
}

// Before the hello: what cells find must be there when the first request comes.
function prepare() {
  errors.install();
  engine.connect();
  requests.install();
  streams.install();
  modules.install();
  globals.install();
  link.watchHeap(heapMax());
}

JSON.parse(link.connect());
prepare();
const info = languageInfo(language);
const banner = `${language.title} on Node.js ${process.version}`;
link.send(
  link.HELLO,
  0,
  0,
  JSON.stringify({
    frame_version: link.FRAME_VERSION,
    build: link.VERSION,
    language_info: info,
    banner,
    implementation_version: process.version.slice(1),
  }),
);
link.start(onEvent);
