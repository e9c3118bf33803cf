// SPDX-License-Identifier: MIT
// process.stdout, process.stderr and console. Text goes out at once, as a frame of the
// request it belongs to; bytes that are no text go raw to the file descriptor.
import { isUtf8 } from "node:buffer";
import { Console } from "node:console";
import { writeSync } from "node:fs";
import { Writable } from "node:stream";

import { link, send } from "./link.mjs";
import { current } from "./requests.mjs";

const PIECE_CHARACTERS = 1 << 17; // a stream frame is bounded

function writeRaw(fd, data) {
  let at = 0;
  while (at < data.length) {
    try {
      at += writeSync(fd, data, at);
    } catch (error) {
      if (error.code !== "EAGAIN" && error.code !== "EINTR") throw error;
    }
  }
}

class OutputStream extends Writable {
  constructor(fd) {
    super({ decodeStrings: false, autoDestroy: false });
    this.fd = fd;
    this.isTTY = false;
    this._type = "pipe";
  }

  write(chunk, encoding, callback) {
    const done = typeof encoding === "function" ? encoding : callback;
    if (typeof chunk === "string" && /^utf-?8$/i.test(encoding ?? "utf8")) {
      this.#send(chunk);
    } else if (typeof chunk === "string") {
      if (typeof encoding === "string") writeRaw(this.fd, Buffer.from(chunk, encoding));
      else this.#send(chunk);
    } else {
      if (!ArrayBuffer.isView(chunk)) {
        throw new TypeError(`a string or bytes are needed, not ${typeof chunk}`);
      }
      if (isUtf8(chunk)) this.#send(Buffer.from(chunk).toString());
      else writeRaw(this.fd, chunk);
    }
    if (typeof done === "function") process.nextTick(done);
    return true;
  }

  #send(text) {
    for (let at = 0; at < text.length;) {
      let end = Math.min(at + PIECE_CHARACTERS, text.length);
      const code = text.charCodeAt(end - 1);
      if (end < text.length && code >= 0xd800 && code < 0xdc00) end++;
      link.stream(current().number, this.fd === 2, text.slice(at, end));
      at = end;
    }
  }

  // Later cells print, too.
  end(chunk, encoding, callback) {
    const done = [chunk, encoding, callback].find((item) => typeof item === "function");
    if (chunk != null && typeof chunk !== "function") this.write(chunk, encoding);
    if (done) process.nextTick(done);
    return this;
  }

  destroy() {
    return this;
  }

  getColorDepth() {
    return 1;
  }

  hasColors() {
    return false;
  }
}

export const stdout = new OutputStream(1);
export const stderr = new OutputStream(2);

// Puts them in the place of Node's own.
export function install() {
  for (const [name, stream] of Object.entries({ stdout, stderr })) {
    Object.defineProperty(process, name, {
      configurable: true,
      enumerable: true,
      get: () => stream,
    });
  }
  // Without colours: what is printed is often read by programs.
  const plain = new Console({ stdout, stderr, colorMode: false });
  for (const name of Object.keys(plain)) {
    if (typeof plain[name] === "function") console[name] = plain[name];
  }
  console.clear = () => {
    send(link.CLEAR_OUTPUT, current(), { wait: false });
  };
}
