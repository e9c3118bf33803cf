// SPDX-License-Identifier: MIT
// One DEALER socket and the requests that wait on it. All waiting for the server is here.
import { randomBytes } from "node:crypto";
import { Dealer } from "zeromq";
import * as errors from "./errors.js";
import type { Address } from "./server-file.js";
import { stringOr, objectOr, stringIn, type JsonObject } from "./values.js";
import { MESSAGE_BYTES_MAX, Wire, type Message } from "./wire.js";

const TICK_MS = 1000;
const LINGER_MS = 1000;
const RECEIVE_MESSAGES_MAX = 64; // waiting in ZeroMQ, before the server is made to wait

export interface RequestOptions {
  buffers?: readonly Uint8Array[];
  /**
   * Gets what comes before the reply, in order. While its promise is pending, nothing
   * more is read from this connection.
   */
  onMessage?: (message: Message) => void | Promise<void>;
  /** Messages go on coming after the reply, until the connection is closed. */
  subscribe?: boolean;
  /** With `subscribe`: nothing more will come. */
  onLost?: (error: Error) => void;
}

interface Waiting extends RequestOptions {
  settle: (reply: Message) => void;
  fail: (error: Error) => void;
  replied: boolean;
}

export class Connection {
  readonly #socket: Dealer;
  readonly #wire: Wire;
  readonly #address: Address;
  readonly #silenceMs: number;
  readonly #waiting = new Map<string, Waiting>();
  #sending: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | null = null;
  #silentTicks = 0;
  #handling = false; // of a message: it is we who do not read
  #refused = false; // nothing listens there
  #gone = false; // the peer has hung up
  #closed = false;

  /** SILENCE_MS: how long requests may wait without any message from the server. */
  constructor(address: Address, silenceMs: number) {
    this.#address = address;
    this.#silenceMs = silenceMs;
    this.#wire = new Wire(address.key);
    this.#socket = new Dealer({
      routingId: randomBytes(16).toString("hex"),
      linger: LINGER_MS,
      maxMessageSize: MESSAGE_BYTES_MAX,
      receiveHighWaterMark: RECEIVE_MESSAGES_MAX,
      ...(address.curve === null
        ? {}
        : {
            curvePublicKey: address.curve.publicKey,
            curveSecretKey: address.curve.secretKey,
            curveServerKey: address.curve.serverKey,
          }),
    });
    this.#observe();
    this.#socket.connect(address.endpoint);
    void this.#read();
  }

  /** New requests may be sent here. */
  get isUsable(): boolean {
    return !this.#closed && !this.#gone;
  }

  /** Nothing waits here, nor will anything more come. */
  get isIdle(): boolean {
    return this.#waiting.size === 0;
  }

  /** The reply. Throws what the server says when it refuses. */
  async request(
    type: string,
    content: object,
    options: RequestOptions = {},
  ): Promise<Message> {
    const { id, frames } = this.#wire.encode(type, content, options.buffers);
    const reply = new Promise<Message>((settle, fail) => {
      this.#waiting.set(id, { ...options, settle, fail, replied: false });
    });
    this.#watchClock();
    this.#send(frames).catch((cause: Error) => this.#fail(id, cause));
    const message = await reply;
    throwRefusal(message.content);
    return message;
  }

  /** A message that has no reply. */
  async tell(type: string, content: object): Promise<void> {
    await this.#send(this.#wire.encode(type, content).frames);
  }

  /** What waits fails with ERROR. What was sent before still goes out. */
  async close(error: Error = new errors.ClientClosedError("the client was closed")) {
    if (this.#closed) return;
    this.#closed = true;
    for (const id of [...this.#waiting.keys()]) this.#fail(id, error);
    if (!this.#gone && !this.#refused) await settledWithin(this.#sending, LINGER_MS);
    else this.#socket.linger = 0;
    this.#socket.close();
  }

  async #send(frames: Uint8Array[]): Promise<void> {
    // ZeroMQ takes one message at a time.
    const sent = this.#sending.then(() => {
      if (this.#socket.closed)
        throw new errors.ClientClosedError("the client was closed");
      return this.#socket.send(frames);
    });
    this.#sending = sent.catch(() => {});
    await sent;
  }

  async #read(): Promise<void> {
    try {
      while (!this.#closed) {
        const frames = await this.#socket.receive();
        const message = this.#wire.decode(frames);
        if (message === null) continue;
        this.#silentTicks = 0;
        if (message.parentId) await this.#take(message, message.parentId);
      }
    } catch (cause) {
      if (!this.#closed) this.#lose("its socket failed", cause);
    }
  }

  async #take(message: Message, id: string): Promise<void> {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    if (message.type.endsWith("_reply") && !waiting.replied) {
      waiting.replied = true;
      if (!waiting.subscribe) this.#forget(id);
      waiting.settle(message);
      return;
    }
    if (waiting.onMessage === undefined || message.type === "keepalive") return;
    this.#handling = true;
    try {
      await waiting.onMessage(message);
    } catch (error) {
      this.#fail(id, error as Error);
    } finally {
      this.#handling = false;
    }
  }

  #forget(id: string): void {
    this.#waiting.delete(id);
    if (this.#waiting.size > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }

  #fail(id: string, error: Error): void {
    const waiting = this.#waiting.get(id);
    this.#forget(id);
    waiting?.fail(error);
    waiting?.onLost?.(error);
  }

  #watchClock(): void {
    if (this.#timer !== null) return;
    this.#silentTicks = 0;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  // Ticks are counted, not time: a process that was stopped, or was busy for long with
  // something else, has not listened, and must not take that for silence.
  #tick(): void {
    if (this.#handling) {
      this.#silentTicks = 0;
      return;
    }
    this.#silentTicks++;
    if (this.#gone) return this.#lose("it has ended, or closed the connection");
    if (this.#refused) return this.#lose("nothing listens there");
    const silentMs = this.#silentTicks * TICK_MS;
    if (silentMs >= this.#silenceMs) {
      this.#lose(`nothing came from it for ${silentMs / 1000} s`);
      return;
    }
    // The server says nothing of its own to one that only subscribes.
    const idle = [...this.#waiting.values()].every((waiting) => waiting.replied);
    if (idle && this.#silentTicks * 3 * TICK_MS >= this.#silenceMs)
      this.request("server_info_request", {}).catch(() => {});
  }

  #lose(why: string, cause?: unknown): void {
    const message = `the server at ${this.#address.endpoint} is lost: ${why}`;
    this.#gone = true;
    void this.close(new errors.ConnectionLostError(message, { cause }));
  }

  #observe(): void {
    const events = this.#socket.events;
    events.on("handshake:error:auth", () => {
      const message = `the server at ${this.#address.endpoint} does not know this key`;
      void this.close(new errors.NotAllowedError(message));
    });
    // Over a network a connection that broke can come back; on one machine the server
    // that hung up is no more, and another that may come has another key.
    if (!this.#address.endpoint.startsWith("ipc:")) return;
    events.on("connect:retry", () => (this.#refused = true));
    events.on("connect", () => (this.#refused = false));
    events.on("disconnect", () => (this.#gone = true));
  }
}

function throwRefusal(content: JsonObject): void {
  if (content["status"] !== "error" || typeof content["code"] !== "string") return;
  throw errors.errorOf(content["code"], stringIn(content, "message"), {
    suggestion: stringOr(content, "suggestion", ""),
    details: objectOr(content, "details", {}),
  });
}

async function settledWithin(promise: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, ms)));
  await Promise.race([promise, late]);
  clearTimeout(timer);
}
