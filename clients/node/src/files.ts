// SPDX-License-Identifier: MIT
// Files in the workspace of a context.
import type { Connections } from "./connections.js";
import { ProtocolError } from "./errors.js";
import * as read from "./values.js";
import type { JsonObject } from "./values.js";

// As much as one request may carry.
const WRITE_BYTES_MAX = 32 * 1024 * 1024;
const READ_BYTES_MAX = 16 * 1024 * 1024;

export interface FileInfo {
  /** Relative to the workspace. */
  path: string;
  type: "file" | "directory" | "link" | "other";
  size: number;
  modified: Date;
  mode: number;
}

export interface FileList {
  entries: FileInfo[];
  /** There are more than these. */
  truncated: boolean;
}

export interface WriteOptions {
  /** "create": it must not exist; "at": from `offset` on. Default "replace". */
  mode?: "replace" | "create" | "append" | "at";
  offset?: number;
}

/**
 * Paths are relative to the workspace, or absolute within it (`/workspace/...`). What is
 * large (from 32 MiB on) travels in pieces, and can be seen half written.
 */
export class Files {
  readonly #connections: Connections;
  readonly #context: string;

  /** @internal */
  constructor(connections: Connections, context: string) {
    this.#connections = connections;
    this.#context = context;
  }

  /** Parent directories are made. Text is written as UTF-8. The size of the file then. */
  async write(
    path: string,
    data: Uint8Array | string,
    options: WriteOptions = {},
  ): Promise<number> {
    const bytes = typeof data === "string" ? Buffer.from(data, "utf8") : data;
    let content: JsonObject = { path, mode: options.mode ?? "replace" };
    if (options.offset !== undefined) content["offset"] = options.offset;
    let done = 0;
    for (;;) {
      const chunk = bytes.subarray(done, done + WRITE_BYTES_MAX);
      const reply = await this.#ask("write_file_request", content, [chunk]);
      const size = read.numberIn(reply.content, "size");
      done += chunk.byteLength;
      if (done >= bytes.byteLength) return size;
      const end =
        content["mode"] === "at"
          ? read.numberIn(content, "offset") + chunk.byteLength
          : size;
      content = { path, mode: "at", offset: end };
    }
  }

  /** All of it, or LENGTH bytes from OFFSET on: fewer when the file ends before. */
  async read(
    path: string,
    options: { offset?: number; length?: number } = {},
  ): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    let offset = options.offset ?? 0;
    let left = options.length ?? Infinity;
    for (;;) {
      const length = Math.min(left, READ_BYTES_MAX);
      const content = { path, offset, length };
      const reply = await this.#ask("read_file_request", content);
      const [chunk] = reply.buffers;
      if (chunk === undefined || chunk.byteLength > length) {
        throw new ProtocolError("the reply does not have the bytes that were asked for");
      }
      chunks.push(chunk);
      offset += chunk.byteLength;
      left -= chunk.byteLength;
      const eof = read.booleanOr(reply.content, "eof", chunk.byteLength === 0);
      if (eof || left <= 0 || chunk.byteLength === 0) break;
    }
    const [only] = chunks;
    return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks);
  }

  /** As UTF-8; what is not UTF-8 becomes U+FFFD. */
  async readText(path: string): Promise<string> {
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(await this.read(path));
  }

  /** Of the whole workspace, or of a directory in it. */
  async list(path?: string, options: { recursive?: boolean } = {}): Promise<FileList> {
    const recursive = options.recursive ?? false;
    const content = path === undefined ? { recursive } : { path, recursive };
    const reply = await this.#ask("list_files_request", content);
    return {
      entries: read.objectsIn(reply.content, "entries").map(fileInfoOf),
      truncated: read.booleanOr(reply.content, "truncated", false),
    };
  }

  /** A directory that is not empty only with RECURSIVE. */
  async remove(path: string, options: { recursive?: boolean } = {}): Promise<void> {
    const content = { path, recursive: options.recursive ?? false };
    await this.#ask("remove_file_request", content);
  }

  /** With its parents. */
  async makeDirectory(path: string): Promise<void> {
    await this.#ask("make_directory_request", { path });
  }

  async #ask(type: string, content: object, buffers: Uint8Array[] = []) {
    const connection = await this.#connections.main();
    return connection.request(type, { context: this.#context, ...content }, { buffers });
  }
}

function fileInfoOf(entry: JsonObject): FileInfo {
  return {
    path: read.stringIn(entry, "path"),
    type: read.stringIn(entry, "type") as FileInfo["type"],
    size: read.numberOr(entry, "size", 0),
    modified: new Date(read.numberOr(entry, "modified_ms", 0)),
    mode: read.numberOr(entry, "mode", 0),
  };
}
