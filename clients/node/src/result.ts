// SPDX-License-Identifier: MIT
// What a run leaves behind: results, logs, errors, and why it ended.
import { ExecutionFailedError } from "./errors.js";
import * as read from "./values.js";
import type { Json, JsonObject } from "./values.js";

/** The formats that have a property of their own, in the order of `formats()`. */
const FORMATS = {
  text: "text/plain",
  html: "text/html",
  markdown: "text/markdown",
  svg: "image/svg+xml",
  png: "image/png",
  jpeg: "image/jpeg",
  pdf: "application/pdf",
  latex: "text/latex",
  json: "application/json",
  javascript: "application/javascript",
} as const;
const ANSI = /\x1b\[[0-9;?]*[ -/]*[@-~]/g;
type Format = keyof typeof FORMATS;

/**
 * One thing that the code displayed, in all the formats that it has. Binary formats
 * (`png`, `jpeg`, `pdf`) are base64 text; `asBytes()` decodes them.
 */
export class Result {
  /** All formats as they came, by MIME type. */
  readonly raw: Readonly<Record<string, Json>>;
  /** The formats that have no property of their own, by MIME type. */
  readonly extra: Readonly<Record<string, Json>>;
  readonly metadata: JsonObject;
  /** It is the value of the last expression, and not something displayed. */
  readonly isMainResult: boolean;
  readonly displayId: string | null;

  constructor(
    raw: Record<string, Json>,
    options: { metadata?: JsonObject; isMainResult?: boolean; displayId?: string | null },
  ) {
    const known = new Set<string>(Object.values(FORMATS));
    this.raw = raw;
    this.extra = Object.fromEntries(
      Object.entries(raw).filter(([type]) => !known.has(type)),
    );
    this.metadata = options.metadata ?? {};
    this.isMainResult = options.isMainResult ?? false;
    this.displayId = options.displayId ?? null;
  }

  get text() {
    return this.#textOf("text");
  }
  get html() {
    return this.#textOf("html");
  }
  get markdown() {
    return this.#textOf("markdown");
  }
  get svg() {
    return this.#textOf("svg");
  }
  get png() {
    return this.#textOf("png");
  }
  get jpeg() {
    return this.#textOf("jpeg");
  }
  get pdf() {
    return this.#textOf("pdf");
  }
  get latex() {
    return this.#textOf("latex");
  }
  /** The value itself, not its text. */
  get json(): Json | undefined {
    return this.#valueOf("json");
  }
  get javascript() {
    return this.#textOf("javascript");
  }

  /** Which formats it has: names of properties first, then MIME types in `extra`. */
  formats(): string[] {
    const own = (Object.keys(FORMATS) as Format[]).filter(
      (name) => this.#valueOf(name) !== undefined,
    );
    return [...own, ...Object.keys(this.extra)];
  }

  /** The bytes of a format that travels as base64, such as `png`. */
  asBytes(format: string): Uint8Array | undefined {
    const type = Object.hasOwn(FORMATS, format) ? FORMATS[format as Format] : format;
    const value = Object.hasOwn(this.raw, type) ? this.raw[type] : undefined;
    return typeof value === "string" ? Buffer.from(value, "base64") : undefined;
  }

  toJSON() {
    return {
      data: this.raw,
      metadata: this.metadata,
      is_main_result: this.isMainResult,
      ...(this.displayId === null ? {} : { display_id: this.displayId }),
    };
  }

  #valueOf(format: Format): Json | undefined {
    const type = FORMATS[format];
    return Object.hasOwn(this.raw, type) ? this.raw[type] : undefined;
  }

  #textOf(format: Format): string | undefined {
    const value = this.#valueOf(format);
    return Array.isArray(value)
      ? value.join("")
      : typeof value === "string"
        ? value
        : undefined;
  }
}

/** The exception that the code raised. */
export interface ExecutionError {
  /** Its type, such as "ZeroDivisionError". */
  name: string;
  value: string;
  /** As plain text, without colours: for logs and models. */
  traceback: string;
  /** As a terminal shows it, with colours. */
  tracebackLines: string[];
}

/** Why the platform, and not the code, ended a run. */
export interface Reason {
  kind: string;
  /** Whether the variables are still there. */
  state: "kept" | "lost";
  text: string;
  limit?: Json;
  observed?: Json;
  signal?: Json;
  exitStatus?: Json;
  peakBytes?: Json;
}

export interface Usage {
  wallMs: number | null;
  queuedMs: number | null;
  cpuMs: number | null;
  /** Of the whole context, in its life. */
  peakMemoryBytes: number | null;
}

export interface Cut {
  totalBytes: number;
  keptBytes: number;
}

export interface ContextState {
  id: string;
  epoch: number;
  state: string;
}

/** The outcome of one run. */
export class Execution {
  readonly id: string | null;
  readonly executionCount: number | null;
  readonly results: Result[];
  readonly logs: { stdout: string; stderr: string };
  /** What the code raised, or null. */
  readonly error: ExecutionError | null;
  /** Why the platform ended the run, or null: `reason.kind` is "timeout", "memory", ... */
  readonly reason: Reason | null;
  readonly usage: Usage;
  /** What was too much to be kept, or null. */
  readonly truncated: { stdout?: Cut; stderr?: Cut; results?: Cut } | null;
  readonly userExpressions: JsonObject;
  readonly context: ContextState | null;
  /** Events that were too old to be had again; only of executions attached to. */
  readonly missedEvents: number;
  /** Of a shell: that of its last command; null in other languages. */
  readonly exitStatus: number | null;
  readonly #content: JsonObject;

  /** CONTENT: of a `run_code_reply`. */
  constructor(content: JsonObject) {
    const logs = read.objectOr(content, "logs", {});
    const error = read.objectOr(content, "error", null);
    const reason = read.objectOr(content, "reason", null);
    const usage = read.objectOr(content, "usage", {});
    const context = read.objectOr(content, "context", null);
    this.#content = content;
    this.id = read.stringOr(content, "execution_id", null);
    this.executionCount = read.numberOr(content, "execution_count", null);
    this.results = read.objectsIn(content, "results").map(resultOf);
    this.logs = {
      stdout: read.stringOr(logs, "stdout", ""),
      stderr: read.stringOr(logs, "stderr", ""),
    };
    this.error = error === null ? null : errorOf(error);
    this.reason = reason === null ? null : reasonOf(reason);
    this.usage = {
      wallMs: read.numberOr(usage, "wall_ms", null),
      queuedMs: read.numberOr(usage, "queued_ms", null),
      cpuMs: read.numberOr(usage, "cpu_ms", null),
      peakMemoryBytes: read.numberOr(usage, "peak_memory_bytes", null),
    };
    this.truncated = truncatedOf(read.objectOr(content, "truncated", null));
    this.userExpressions = read.objectOr(content, "user_expressions", {});
    this.context = context === null ? null : contextStateOf(context);
    this.missedEvents = read.numberOr(content, "missed_events", 0);
    this.exitStatus = read.numberOr(content, "exit_status", null);
  }

  /** Neither did the code fail, nor did the platform end it. */
  get ok(): boolean {
    return this.error === null && this.reason === null;
  }

  /** The value of the last expression as text, if it has one. */
  get text(): string | undefined {
    return this.results.find((result) => result.isMainResult)?.text;
  }

  /** Itself when it is `ok`; else throws ExecutionFailedError. */
  orThrow(): this {
    if (this.ok) return this;
    const said = this.error && `${this.error.name}: ${this.error.value}`;
    throw new ExecutionFailedError(this.reason?.text || said || "it was ended", {
      details: { execution: this },
    });
  }

  /** As it came from the server, for storing. */
  toJSON(): JsonObject {
    return this.#content;
  }
}

/** CONTENT: one of `results`, or of a message that displays something. */
export function resultOf(content: JsonObject): Result {
  const transient = read.objectOr(content, "transient", {});
  return new Result(read.objectOr(content, "data", {}), {
    metadata: read.objectOr(content, "metadata", {}),
    isMainResult: read.booleanOr(content, "is_main_result", false),
    displayId:
      read.stringOr(content, "display_id", null) ??
      read.stringOr(transient, "display_id", null),
  });
}

/** CONTENT: of an `error` message, or `error` of a reply. */
export function errorOf(content: JsonObject): ExecutionError {
  const tracebackLines = read.stringsIn(content, "traceback");
  return {
    name: read.stringOr(content, "ename", ""),
    value: read.stringOr(content, "evalue", ""),
    traceback: tracebackLines.join("\n").replace(ANSI, ""),
    tracebackLines,
  };
}

function reasonOf(reason: JsonObject): Reason {
  return {
    ...read.camelMembers(reason),
    kind: read.stringIn(reason, "kind"),
    state: read.stringIn(reason, "state") === "kept" ? "kept" : "lost",
    text: read.stringOr(reason, "text", ""),
  };
}

function truncatedOf(truncated: JsonObject | null): Execution["truncated"] {
  if (truncated === null) return null;
  const cuts: { stdout?: Cut; stderr?: Cut; results?: Cut } = {};
  for (const name of ["stdout", "stderr", "results"] as const) {
    const cut = read.objectOr(truncated, name, null);
    if (cut === null) continue;
    cuts[name] = {
      totalBytes: read.numberIn(cut, "total_bytes"),
      keptBytes: read.numberIn(cut, "kept_bytes"),
    };
  }
  return cuts;
}

function contextStateOf(context: JsonObject): ContextState {
  return {
    id: read.stringIn(context, "id"),
    epoch: read.numberIn(context, "epoch"),
    state: read.stringOr(context, "state", "idle"),
  };
}
