// SPDX-License-Identifier: MIT
// The connections of one client: one for requests, and more for streams. A stream has a
// connection to itself, so that a consumer that is slow slows its own code alone.
import { Connection } from "./connection.js";
import { ClientClosedError } from "./errors.js";
import type { Address } from "./server-file.js";

const SPARE_MAX = 4;

export class Connections {
  readonly #find: () => Promise<Address>;
  readonly #silenceMs: number;
  readonly #open = new Set<Connection>();
  readonly #spare: Connection[] = [];
  #main: Promise<Connection> | null = null;
  #closed = false;

  /** FIND: called anew after a loss, as a server that was started anew has another key. */
  constructor(find: () => Promise<Address>, silenceMs: number) {
    this.#find = find;
    this.#silenceMs = silenceMs;
  }

  /** The connection for requests that are not streamed. */
  async main(): Promise<Connection> {
    const current = this.#main;
    if (current !== null) {
      const connection = await current;
      if (connection.isUsable) return connection;
      this.#open.delete(connection);
      if (this.#main === current) this.#main = null; // else somebody was faster
    }
    if (this.#main === null) {
      const next = (this.#main = this.#connect());
      next.catch(() => (this.#main = null));
    }
    return this.#main;
  }

  /** One that nobody else uses, until it is released. */
  async acquire(): Promise<Connection> {
    for (;;) {
      const spare = this.#spare.pop();
      if (spare === undefined) return this.#connect();
      if (spare.isUsable) return spare;
      await this.discard(spare);
    }
  }

  async release(connection: Connection): Promise<void> {
    const good = connection.isUsable && connection.isIdle && !this.#closed;
    if (good && this.#spare.length < SPARE_MAX) this.#spare.push(connection);
    else await this.discard(connection);
  }

  async discard(connection: Connection): Promise<void> {
    this.#open.delete(connection);
    await connection.close();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#open].map((connection) => connection.close()));
    this.#open.clear();
  }

  async #connect(): Promise<Connection> {
    if (this.#closed) throw new ClientClosedError("the client was closed");
    const address = await this.#find();
    if (this.#closed) throw new ClientClosedError("the client was closed");
    const connection = new Connection(address, this.#silenceMs);
    this.#open.add(connection);
    return connection;
  }
}
