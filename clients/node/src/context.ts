// SPDX-License-Identifier: MIT
// A persistent interpreter on the server.
import type { Connections } from "./connections.js";
import { executionInfoOf, type Event, type ExecutionInfo } from "./events.js";
import { Files } from "./files.js";
import type { Job } from "./job.js";
import { Execution } from "./result.js";
import { runCode, streamCode, type RunOptions, type RunSettings } from "./run.js";
import { watch } from "./stream.js";
import * as read from "./values.js";
import type { Json, JsonObject } from "./values.js";

/** Limits of a context; those that are missing are the server's defaults. 0: none. */
export interface Limits {
  memoryBytes?: number;
  cpus?: number;
  processes?: number;
  openFiles?: number;
  fileBytes?: number;
  diskBytes?: number;
  diskFiles?: number;
  tmpBytes?: number;
  tmpFiles?: number;
  outputBytes?: number;
  runMs?: number;
}

export interface ContextOptions {
  language?: string;
  /** Where several have the language. */
  runtime?: string;
  name?: string;
  /** "use": take the one that has the name already. Default "error". */
  ifExists?: "error" | "use";
  /** Absolute, or relative to the workspace, and within it. */
  cwd?: string;
  env?: Record<string, string>;
  limits?: Limits;
  network?: "none" | "host";
  labels?: Record<string, string>;
  /** Delete it when it was not used for so long. 0: never. */
  idleTimeoutMs?: number;
  /** Contexts with the same one share their files. */
  workspace?: string;
  /** Open a Jupyter endpoint at once. */
  jupyter?: boolean;
}

/** A context as the server describes it. */
export interface ContextInfo {
  id: string;
  name: string | null;
  language: string;
  runtime: string;
  state: string;
  epoch: number;
  owner: string;
  created: string;
  lastUsed: string;
  executionCount: number;
  queued: number;
  labels: Record<string, string>;
  cwd: string;
  network: string;
  workspace: string | null;
  idleTimeoutMs: number;
  isolation: string;
  limits: Limits;
  jupyter: Json;
}

export interface Completion {
  matches: string[];
  /** What the matches replace, as indices of `code`. */
  cursorStart: number;
  cursorEnd: number;
  metadata: JsonObject;
}

export interface Inspection {
  found: boolean;
  /** By MIME type. */
  data: JsonObject;
  metadata: JsonObject;
}

export interface Completeness {
  status: "complete" | "incomplete" | "invalid" | "unknown";
  /** What the next line of incomplete code may begin with. */
  indent: string;
}

export interface JupyterEndpoint {
  /** The connection file that JupyterLab or a console can use. */
  file: string;
  connection: JsonObject;
}

/**
 * A context keeps the epoch that it knows: code that would run in an interpreter without
 * the variables that it counts on is refused with StaleContextError. Where this object
 * was told of the loss, by `execution.reason`, `restart()` or `refresh()`, it goes on
 * with the fresh interpreter.
 */
export class Context {
  readonly files: Files;
  readonly #connections: Connections;
  #info: ContextInfo;

  /** @internal */
  constructor(connections: Connections, info: ContextInfo) {
    this.#connections = connections;
    this.#info = info;
    this.files = new Files(connections, info.id);
  }

  /** As the server described it last: see `refresh`. */
  get info(): ContextInfo {
    return this.#info;
  }
  get id(): string {
    return this.#info.id;
  }
  get epoch(): number {
    return this.#info.epoch;
  }
  get name(): string | null {
    return this.#info.name;
  }
  get language(): string {
    return this.#info.language;
  }

  runCode(code: string, options: RunOptions & { detach: true }): Promise<Job>;
  runCode(code: string, options?: RunOptions & { detach?: false }): Promise<Execution>;
  runCode(code: string, options?: RunOptions): Promise<Execution | Job>;
  async runCode(code: string, options: RunOptions = {}): Promise<Execution | Job> {
    const outcome = await runCode(this.#connections, this.#where(), code, options);
    if (outcome instanceof Execution) this.#note(outcome);
    return outcome;
  }

  /**
   * What the code says while it runs, and at last its outcome (`type` is "end"). The run
   * begins with the first event that is asked for; stopping to read ends it.
   */
  async *stream(
    code: string,
    options: RunSettings = {},
  ): AsyncGenerator<Event, void, undefined> {
    for await (const event of streamCode(
      this.#connections,
      this.#where(),
      code,
      options,
    )) {
      if (event.type === "end") this.#note(event.execution);
      yield event;
    }
  }

  /** What others run here, until the consumer stops. There is no "end" of executions. */
  watch(): AsyncGenerator<Event, void, undefined> {
    return watch(this.#connections, this.id);
  }

  /** Whether something ran. FORCE: the interpreter is killed if it does not stop. */
  async interrupt(options: { force?: boolean } = {}): Promise<boolean> {
    const content = await this.#ask("interrupt_context_request", {
      force: options.force ?? false,
    });
    return read.booleanOr(content, "interrupted", false);
  }

  /** A fresh interpreter: the variables are gone, the files are there. */
  async restart(): Promise<void> {
    const content = await this.#ask("restart_context_request", {});
    this.#info = contextInfoOf(read.objectIn(content, "context"));
  }

  async delete(): Promise<void> {
    await this.#ask("delete_context_request", {});
  }

  /** Asks the server how it is. */
  async refresh(): Promise<ContextInfo> {
    const content = await this.#ask("get_context_request", {});
    this.#info = contextInfoOf(read.objectIn(content, "context"));
    return this.#info;
  }

  /** Those that wait or run. */
  async executions(): Promise<ExecutionInfo[]> {
    const content = await this.#ask("get_context_request", {});
    return read.objectsIn(content, "executions").map(executionInfoOf);
  }

  /** What can stand at CURSOR, an index of CODE; default: its end. */
  async complete(code: string, cursor = code.length): Promise<Completion> {
    const content = await this.#ask("complete_request", {
      ...this.#where(),
      code,
      cursor_pos: pointsBefore(code, cursor),
    });
    return {
      matches: read.stringsIn(content, "matches"),
      cursorStart: indexOfPoint(code, read.numberOr(content, "cursor_start", 0)),
      cursorEnd: indexOfPoint(code, read.numberOr(content, "cursor_end", 0)),
      metadata: read.objectOr(content, "metadata", {}),
    };
  }

  /** What is known of the name at CURSOR. DETAIL 1: its source, too. */
  async inspect(
    code: string,
    cursor = code.length,
    detail: 0 | 1 = 0,
  ): Promise<Inspection> {
    const content = await this.#ask("inspect_request", {
      ...this.#where(),
      code,
      cursor_pos: pointsBefore(code, cursor),
      detail_level: detail,
    });
    return {
      found: read.booleanOr(content, "found", false),
      data: read.objectOr(content, "data", {}),
      metadata: read.objectOr(content, "metadata", {}),
    };
  }

  /** Whether CODE could be run as it is, or needs another line. */
  async isComplete(code: string): Promise<Completeness> {
    const content = await this.#ask("is_complete_request", { ...this.#where(), code });
    return {
      status: read.stringIn(content, "status") as Completeness["status"],
      indent: read.stringOr(content, "indent", ""),
    };
  }

  /** A Jupyter kernel in front of this interpreter: a person can look in. */
  async openJupyter(): Promise<JupyterEndpoint> {
    const content = await this.#ask("open_jupyter_request", {});
    return {
      file: read.stringIn(content, "file"),
      connection: read.objectIn(content, "connection"),
    };
  }

  async closeJupyter(): Promise<void> {
    await this.#ask("close_jupyter_request", {});
  }

  #where() {
    return { context: { id: this.id, epoch: this.epoch } };
  }

  #note({ context, executionCount }: Execution): void {
    if (context?.id !== this.id) return;
    const { state } = context;
    const epoch = Math.max(this.epoch, context.epoch);
    this.#info = {
      ...this.#info,
      state,
      epoch,
      executionCount: executionCount ?? this.#info.executionCount,
    };
  }

  async #ask(type: string, content: object): Promise<JsonObject> {
    const connection = await this.#connections.main();
    const reply = await connection.request(type, { context: this.id, ...content });
    return reply.content;
  }
}

/** INFO: a context of a reply. */
export function contextInfoOf(info: JsonObject): ContextInfo {
  return {
    id: read.stringIn(info, "id"),
    name: read.stringOr(info, "name", null),
    language: read.stringIn(info, "language"),
    runtime: read.stringOr(info, "runtime", ""),
    state: read.stringIn(info, "state"),
    epoch: read.numberIn(info, "epoch"),
    owner: read.stringOr(info, "owner", ""),
    created: read.stringOr(info, "created", ""),
    lastUsed: read.stringOr(info, "last_used", ""),
    executionCount: read.numberOr(info, "execution_count", 0),
    queued: read.numberOr(info, "queued", 0),
    labels: read.stringMembers(read.objectOr(info, "labels", {})),
    cwd: read.stringOr(info, "cwd", ""),
    network: read.stringOr(info, "network", "none"),
    workspace: read.stringOr(info, "workspace", null),
    idleTimeoutMs: read.numberOr(info, "idle_timeout_s", 0) * 1000,
    isolation: read.stringOr(info, "isolation", ""),
    limits: read.camelNumbers(read.objectOr(info, "limits", {})),
    jupyter: info["jupyter"] ?? null,
  };
}

// Jupyter counts code points, JavaScript UTF-16 units.

function pointsBefore(code: string, index: number): number {
  return [...code.slice(0, index)].length;
}

function indexOfPoint(code: string, point: number): number {
  return [...code].slice(0, point).join("").length;
}
