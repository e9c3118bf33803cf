// SPDX-License-Identifier: MIT
// Messages as bytes: framing, signatures, bounds. Knows no sockets.
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { userInfo } from "node:os";
import { TooLargeError } from "./errors.js";
import { isObject, type JsonObject } from "./values.js";

export const MESSAGE_BYTES_MAX = 64 * 1024 * 1024;
export const FRAMES_MAX = 64;
const PROTOCOL_VERSION = "5.5";
const DELIMITER = Buffer.from("<IDS|MSG>");
const JSON_FRAMES = 4;

export interface Message {
  type: string;
  /** Of the request that this answers; null when there is none. */
  parentId: string | null;
  metadata: JsonObject;
  content: JsonObject;
  buffers: Uint8Array[];
}

/** A message that is ready to be sent. */
export interface Outgoing {
  id: string;
  frames: Uint8Array[];
}

export function sign(key: Buffer, frames: readonly Uint8Array[]): string {
  if (key.length === 0) return "";
  const mac = createHmac("sha256", key);
  for (const frame of frames) mac.update(frame);
  return mac.digest("hex");
}

/** One side of one conversation: its key, its session and its message ids. */
export class Wire {
  readonly #key: Buffer;
  readonly #session = randomBytes(16).toString("hex");
  readonly #username = userName();
  #count = 0;
  /** Messages that were not signed rightly or were malformed, and so left unread. */
  dropped = 0;

  constructor(key: string) {
    this.#key = Buffer.from(key, "utf8");
  }

  encode(type: string, content: object, buffers: readonly Uint8Array[] = []): Outgoing {
    const id = `${this.#session}_${++this.#count}`;
    const header = {
      msg_id: id,
      msg_type: type,
      session: this.#session,
      username: this.#username,
      date: new Date().toISOString(),
      version: PROTOCOL_VERSION,
    };
    const parts = [header, {}, {}, content].map((part) =>
      Buffer.from(JSON.stringify(part), "utf8"),
    );
    const signature = Buffer.from(sign(this.#key, parts));
    const frames = [DELIMITER, signature, ...parts, ...buffers];
    const size = frames.reduce((sum, frame) => sum + frame.byteLength, 0);
    if (size > MESSAGE_BYTES_MAX) {
      throw new TooLargeError(`a message of ${size} bytes is too large`, {
        details: { limit: MESSAGE_BYTES_MAX },
      });
    }
    return { id, frames };
  }

  /** Null: it is not one that a server with our key can have sent; it is counted. */
  decode(frames: readonly Uint8Array[]): Message | null {
    const message = this.#decode(frames);
    if (message === null) this.dropped++;
    return message;
  }

  #decode(frames: readonly Uint8Array[]): Message | null {
    const [delimiter, signature, ...rest] = frames;
    if (delimiter === undefined || signature === undefined) return null;
    if (rest.length < JSON_FRAMES || frames.length > FRAMES_MAX) return null;
    if (frames.reduce((sum, f) => sum + f.byteLength, 0) > MESSAGE_BYTES_MAX) return null;
    if (!DELIMITER.equals(delimiter)) return null;
    const parts = rest.slice(0, JSON_FRAMES);
    // Nothing is parsed before it is known to be the server's.
    const wanted = Buffer.from(sign(this.#key, parts));
    if (signature.byteLength !== wanted.length || !timingSafeEqual(signature, wanted))
      return null;
    const [header, parent, metadata, content] = parts.map(parseObject);
    if (!header || !parent || !metadata || !content) return null;
    if (typeof header["msg_type"] !== "string") return null;
    const parentId = parent["msg_id"];
    return {
      type: header["msg_type"],
      parentId: typeof parentId === "string" ? parentId : null,
      metadata,
      content,
      buffers: rest.slice(JSON_FRAMES),
    };
  }
}

function parseObject(frame: Uint8Array): JsonObject | null {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(frame);
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return ""; // a uid without an entry, as in containers
  }
}
