// SPDX-License-Identifier: MIT
// What this package offers.
export { Client } from "./client.js";
export type { ConnectOptions, ServerInfo, Target } from "./client.js";
export { Context } from "./context.js";
export type {
  Completeness,
  Completion,
  ContextInfo,
  ContextOptions,
  Inspection,
  JupyterEndpoint,
  Limits,
} from "./context.js";
export * from "./errors.js";
export type { Event, EventPlace, ExecutionInfo, InputRequest } from "./events.js";
export { Files } from "./files.js";
export type { FileInfo, FileList, WriteOptions } from "./files.js";
export { Job } from "./job.js";
export type { JobStatus } from "./job.js";
export { local } from "./local.js";
export type { LocalOptions } from "./local.js";
export { Execution, Result } from "./result.js";
export type { ContextState, Cut, ExecutionError, Reason, Usage } from "./result.js";
export type { Callbacks, RunOptions, RunSettings } from "./run.js";
export type { Json, JsonObject } from "./values.js";
