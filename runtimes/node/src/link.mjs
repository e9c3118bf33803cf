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

export function toJson(value) {
  return JSON.stringify(value, (_, item) =>
    typeof item === "bigint" ? `${item}` : item,
  );
}
