// SPDX-License-Identifier: MIT
// Follows one execution, event by event, to its outcome.
import { Channel } from "./channel.js";
import type { Connection } from "./connection.js";
import type { Connections } from "./connections.js";
import { CellwallError, ConnectionLostError } from "./errors.js";
import { eventOf, type Event } from "./events.js";
import { Execution } from "./result.js";
import type { Message } from "./wire.js";

const EVENTS_MAX = 64; // that wait for the consumer

/** A request that is streamed: `run_code_request` or `attach_request`. */
export interface Streamed {
  type: string;
  content: object;
  /** Whether to end the run when its events are not wanted any more. */
  owns: boolean;
}

/**
 * One streamed run. Its events end with the outcome. Also for those who want to end it
 * from outside while it is being read.
 */
export class RunStream {
  readonly #connections: Connections;
  readonly #request: Streamed;
  readonly #channel = new Channel<Event>(EVENTS_MAX);
  #connection: Connection | null = null;
  #executionId: string | null = null;
  #lastSeq = 0;
  #sawIdle = false; // the last event of an execution
  #ended = false;
  #cancelled = false;

  constructor(connections: Connections, request: Streamed) {
    this.#connections = connections;
    this.#request = request;
  }

  /** The server is asked to end the run; the events go on until it has. */
  async cancel(force = false): Promise<void> {
    this.#cancelled = true;
    if (this.#executionId === null || this.#ended) return;
    const main = await this.#connections.main();
    const content = { execution: this.#executionId, force };
    await main.request("cancel_request", content);
  }

  /** Whoever reads the events gets ERROR, at once. */
  fail(error: unknown): void {
    this.#channel.fail(error);
  }

  /** Starts the run when the first event is asked for. To be called once. */
  async *events(): AsyncGenerator<Event, void, undefined> {
    const connection = await this.#connections.acquire();
    this.#connection = connection;
    void this.#follow(connection);
    try {
      yield* this.#channel;
    } finally {
      this.#channel.end();
      await this.#leave(connection);
    }
  }

  async #leave(connection: Connection): Promise<void> {
    if (this.#ended) return this.#connections.release(connection);
    // Before the connection is closed: else the server would need a while to notice.
    if (this.#request.owns) await this.cancel().catch(() => {});
    await this.#connections.discard(connection);
  }

  async #follow(connection: Connection): Promise<void> {
    const { type, content } = this.#request;
    try {
      let execution = await this.#ask(connection, type, content);
      const id = this.#executionId ?? execution.id;
      // A consumer that was too slow for the server has lost the stream: the log has it.
      while (!this.#sawIdle && id !== null) {
        const before = this.#lastSeq;
        const again = await this.#askAgain(connection, id);
        if (again !== null) execution = again;
        if (again === null || this.#lastSeq === before) break;
      }
      this.#ended = true;
      await this.#channel.push(this.#endOf(execution));
      this.#channel.end();
    } catch (error) {
      this.#ended = !(error instanceof ConnectionLostError);
      this.#channel.fail(error);
    }
  }

  async #ask(connection: Connection, type: string, content: object) {
    const onMessage = (message: Message) => this.#take(message);
    const reply = await connection.request(type, content, { onMessage });
    return new Execution(reply.content);
  }

  async #askAgain(connection: Connection, id: string): Promise<Execution | null> {
    try {
      const content = { execution: id, after_seq: this.#lastSeq };
      return await this.#ask(connection, "attach_request", content);
    } catch (error) {
      // It was forgotten meanwhile: the outcome is had already.
      if (error instanceof CellwallError && error.code === "EXECUTION_NOT_FOUND")
        return null;
      throw error;
    }
  }

  async #take(message: Message): Promise<void> {
    const event = eventOf(message);
    if (event === null) return;
    this.#lastSeq = event.seq ?? this.#lastSeq;
    this.#executionId ??= event.executionId;
    if (event.type === "queued") {
      this.#executionId ??= event.execution.id;
      if (this.#cancelled) this.cancel().catch(() => {});
    }
    if (event.type === "status" && event.state === "idle") this.#sawIdle = true;
    if (event.type === "input_request") event.reply = (value) => this.#answer(value);
    await this.#channel.push(event);
  }

  async #answer(value: string): Promise<void> {
    const content = { value, execution: this.#executionId };
    await this.#connection?.tell("input_reply", content);
  }

  #endOf(execution: Execution): Event {
    return {
      type: "end",
      execution,
      executionId: execution.id,
      contextId: execution.context?.id ?? null,
      epoch: execution.context?.epoch ?? null,
      seq: null,
    };
  }
}

/** The events of all that others run in a context, until the consumer stops. */
export async function* watch(
  connections: Connections,
  contextId: string,
): AsyncGenerator<Event, void, undefined> {
  const channel = new Channel<Event>(EVENTS_MAX);
  const connection = await connections.acquire();
  const onMessage = async (message: Message) => {
    const event = eventOf(message);
    if (event !== null) await channel.push(event);
  };
  try {
    await connection.request(
      "watch_context_request",
      { context: contextId },
      { onMessage, subscribe: true, onLost: (error) => channel.fail(error) },
    );
    yield* channel;
  } finally {
    channel.end();
    await connections.discard(connection);
  }
}
