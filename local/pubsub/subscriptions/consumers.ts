import type { StatusError } from "../errors.ts";
import type { Consumer } from "./delivery.ts";

/** The consumers of one subscription, served in turn. */
export class Consumers {
  readonly #all = new Set<Consumer>();
  #turn = 0;

  get isEmpty(): boolean {
    return this.#all.size === 0;
  }

  add(consumer: Consumer): void {
    this.#all.add(consumer);
  }

  delete(consumer: Consumer): void {
    this.#all.delete(consumer);
  }

  /** Those with room; each call begins with another one. */
  listWithRoom(): Consumer[] {
    const withRoom = [...this.#all].filter((consumer) => consumer.hasRoom());
    this.#turn += 1;
    const first = withRoom.length > 0 ? this.#turn % withRoom.length : 0;
    return [...withRoom.slice(first), ...withRoom.slice(0, first)];
  }

  findOther(than: Consumer): Consumer | undefined {
    return [...this.#all].find((one) => one !== than && one.hasRoom());
  }

  end(error: StatusError): void {
    for (const consumer of this.#all) consumer.end(error);
    this.#all.clear();
  }
}
