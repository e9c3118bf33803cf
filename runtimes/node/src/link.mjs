// SPDX-License-Identifier: MIT
// The addon that holds the channel to the server: ext/addon.c says what it can.
import { createRequire } from "node:module";

export const link = createRequire(import.meta.url)("../cellwall.node");

// Sends CONTENT, an object, as a frame of REQUEST. What can only be about a request under
// way is dropped when that has ended: the cell was stopped, but a promise of it went on.
export function send(type, request, content, { flags = 0, metadata } = {}) {
  const isLate =
    request.hasEnded && (type === link.EXECUTE_RESULT || type === link.ERROR);
  if (!isLate) {
    link.send(type, request.number, flags, toJson(content), metadata && toJson(metadata));
  }
}

// Sends the reply to REQUEST; whatever user code put into it, there is one.
export function sendReply(request, content, flags = 0) {
  try {
    send(link.REPLY, request, content, { flags });
  } catch (error) {
    const evalue = `the reply cannot be sent: ${error.message}`;
    const instead = { ename: error.name, evalue, traceback: [evalue] };
    const { execution_count } = content;
    send(
      link.REPLY,
      request,
      { status: "error", execution_count, ...instead },
      { flags: flags | link.FLAG_ERROR },
    );
  }
}

// User code may replace these.
const { stringify } = JSON;
export const fromJson = JSON.parse;

export function toJson(value) {
  return stringify(value, (_, item) => (typeof item === "bigint" ? `${item}` : item));
}
