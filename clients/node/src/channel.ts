// SPDX-License-Identifier: MIT
// A bounded queue between one producer and one consumer, both asynchronous.

export class Channel<T> implements AsyncIterable<T> {
  readonly #limit: number;
  readonly #items: T[] = [];
  #ended = false;
  #error: unknown = undefined;
  #failed = false;
  #wakeConsumer: (() => void) | null = null;
  #wakeProducer: (() => void) | null = null;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Resolves when there is room for the next one. Ignored after the end. */
  async push(item: T): Promise<void> {
    if (this.#ended) return;
    this.#items.push(item);
    this.#wake();
    while (this.#items.length >= this.#limit && !this.#ended)
      await new Promise<void>((resolve) => (this.#wakeProducer = resolve));
  }

  /** What was pushed is still delivered. */
  end(): void {
    this.#ended = true;
    this.#wake();
    this.#wakeProducer?.();
  }

  /** The consumer gets ERROR, after what was pushed before. */
  fail(error: unknown): void {
    if (this.#ended) return;
    this.#failed = true;
    this.#error = error;
    this.end();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      while (this.#items.length > 0) {
        const item = this.#items.shift() as T;
        this.#wakeProducer?.();
        yield item;
      }
      if (this.#failed) throw this.#error;
      if (this.#ended) return;
      await new Promise<void>((resolve) => (this.#wakeConsumer = resolve));
    }
  }

  #wake(): void {
    this.#wakeConsumer?.();
    this.#wakeConsumer = null;
  }
}
