// SPDX-License-Identifier: MIT
// An execution that goes on whether or not anybody looks.
import type { Connections } from "./connections.js";
import { executionInfoOf, type Event, type ExecutionInfo } from "./events.js";
import { Execution } from "./result.js";
import { RunStream } from "./stream.js";
import * as read from "./values.js";
import type { JsonObject } from "./values.js";

export interface JobStatus {
  state: "queued" | "running" | "done";
  /** How many executions are before it, the running one included. */
  position: number;
  /** The number of its last event; null: it is done. */
  seq: number | null;
  /** Null: it is not done. */
  execution: Execution | null;
}

export class Job {
  readonly id: string;
  /** Null: it was not told. */
  readonly contextId: string | null;
  readonly #connections: Connections;

  /** @internal */
  constructor(connections: Connections, id: string, contextId: string | null) {
    this.#connections = connections;
    this.id = id;
    this.contextId = contextId;
  }

  /** Its outcome, when it has ended. */
  async wait(): Promise<Execution> {
    return new Execution(await this.#attach({ stream: false }));
  }

  /**
   * What it has said and says, and then its outcome. AFTER_SEQ: only what came after that
   * event. The server keeps the last events: `execution.missedEvents` of the end tells
   * how many are not there any more. Stopping to read does not end the job.
   */
  stream(options: { afterSeq?: number } = {}): AsyncGenerator<Event, void, undefined> {
    const content = { execution: this.id, after_seq: options.afterSeq ?? 0 };
    const request = { type: "attach_request", content, owns: false };
    return new RunStream(this.#connections, request).events();
  }

  async status(): Promise<JobStatus> {
    const content = await this.#attach({ stream: false, wait: false });
    const info = read.objectOr(content, "execution", null);
    if (info === null) {
      return { state: "done", position: 0, seq: null, execution: new Execution(content) };
    }
    const { state, position, seq } = executionInfoOf(info);
    return { state, position, seq, execution: null };
  }

  /**
   * Ends it: what waits is not run, what runs is interrupted. FORCE: the interpreter is
   * killed when the code does not stop. What it was doing.
   */
  async cancel(options: { force?: boolean } = {}): Promise<ExecutionInfo["state"]> {
    const connection = await this.#connections.main();
    const content = { execution: this.id, force: options.force ?? false };
    const reply = await connection.request("cancel_request", content);
    return read.stringIn(reply.content, "was") as ExecutionInfo["state"];
  }

  async #attach(options: object): Promise<JsonObject> {
    const connection = await this.#connections.main();
    const content = { execution: this.id, ...options };
    return (await connection.request("attach_request", content)).content;
  }
}

/** CONTENT: of a reply that has an execution. */
export function jobOf(connections: Connections, content: JsonObject): Job {
  const { id, contextId } = executionInfoOf(read.objectIn(content, "execution"));
  return new Job(connections, id, contextId);
}
