// SPDX-License-Identifier: MIT
// What happens while code runs, as typed events.
import { errorOf, resultOf, type Execution } from "./result.js";
import type { ExecutionError, Result } from "./result.js";
import * as read from "./values.js";
import type { JsonObject } from "./values.js";
import type { Message } from "./wire.js";

/** Where an event belongs. */
export interface EventPlace {
  executionId: string | null;
  contextId: string | null;
  epoch: number | null;
  /** 1, 2, ... without gaps in an execution; null: it has none. */
  seq: number | null;
}

export interface ExecutionInfo {
  id: string;
  contextId: string;
  epoch: number;
  state: "queued" | "running" | "done";
  /** How many executions are before it in its context, the running one included. */
  position: number;
  created: string | null;
  /** Of its last event. */
  seq: number;
}

export type Event = EventPlace &
  (
    | { type: "queued"; execution: ExecutionInfo }
    | { type: "status"; state: string }
    /** The code begins to run. */
    | { type: "execute_input"; code: string; executionCount: number | null }
    | { type: "stdout"; text: string }
    | { type: "stderr"; text: string }
    /** Something was displayed. */
    | { type: "display"; result: Result }
    /** What was displayed under `result.displayId` is this from now on. */
    | { type: "update_display"; result: Result }
    /** The value of the last expression. */
    | { type: "result"; result: Result }
    /** All output so far is to be removed; with WAIT when the next one comes. */
    | { type: "clear_output"; wait: boolean }
    | { type: "error"; error: ExecutionError }
    | InputRequest
    /** The last one: the outcome. Not of `watch`. */
    | { type: "end"; execution: Execution }
  );

export interface InputRequest {
  type: "input_request";
  prompt: string;
  /** What is typed should not be seen. */
  password: boolean;
  /** Answers it. Of `watch`: does nothing. */
  reply: (value: string) => Promise<void>;
}

type Build = (content: JsonObject) => object;

const BUILDERS: Readonly<Record<string, Build>> = Object.freeze({
  execution_queued: (content) => ({
    type: "queued",
    execution: executionInfoOf(read.objectIn(content, "execution")),
  }),
  status: (content) => ({
    type: "status",
    state: read.stringIn(content, "execution_state"),
  }),
  execute_input: (content) => ({
    type: "execute_input",
    code: read.stringOr(content, "code", ""),
    executionCount: read.numberOr(content, "execution_count", null),
  }),
  stream: (content) => ({
    type: read.stringIn(content, "name") === "stderr" ? "stderr" : "stdout",
    text: read.stringIn(content, "text"),
  }),
  display_data: (content) => ({ type: "display", result: resultOf(content) }),
  execute_result: (content) => ({
    type: "result",
    result: resultOf({ ...content, is_main_result: true }),
  }),
  update_display_data: (content) => ({
    type: "update_display",
    result: resultOf(content),
  }),
  clear_output: (content) => ({
    type: "clear_output",
    wait: read.booleanOr(content, "wait", false),
  }),
  error: (content) => ({ type: "error", error: errorOf(content) }),
  input_request: (content) => ({
    type: "input_request",
    prompt: read.stringOr(content, "prompt", ""),
    password: read.booleanOr(content, "password", false),
    reply: async () => {},
  }),
});

/** Null: a message of a type that is not an event, or not yet known here. */
export function eventOf(message: Message): Event | null {
  const build = Object.hasOwn(BUILDERS, message.type) ? BUILDERS[message.type] : null;
  if (!build) return null;
  return { ...placeOf(message), ...build(message.content) } as Event;
}

function placeOf(message: Message): EventPlace {
  const place = read.objectOr(message.metadata, "cellwall", {});
  return {
    executionId: read.stringOr(place, "execution", null),
    contextId: read.stringOr(place, "context", null),
    epoch: read.numberOr(place, "epoch", null),
    seq: read.numberOr(place, "seq", null),
  };
}

export function executionInfoOf(info: JsonObject): ExecutionInfo {
  const state = read.stringIn(info, "state");
  return {
    id: read.stringIn(info, "id"),
    contextId: read.stringIn(info, "context"),
    epoch: read.numberIn(info, "epoch"),
    state: state === "queued" || state === "running" ? state : "done",
    position: read.numberOr(info, "position", 0),
    created: read.stringOr(info, "created", null),
    seq: read.numberOr(info, "seq", 0),
  };
}
