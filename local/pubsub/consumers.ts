import type { Consumer } from "./delivery.ts";
import type { Refusal } from "./refusal.ts";

/** Who takes messages of one subscription, each in its turn. */
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

  /** Those with room, another one first each time. */
  nextHungry(): Consumer[] {
    const hungry = [...this.#all].filter((consumer) => consumer.hasRoom());
    this.#turn += 1;
    const first = hungry.length > 0 ? this.#turn % hungry.length : 0;
    return [...hungry.slice(first), ...hungry.slice(0, first)];
  }

  findOther(than: Consumer): Consumer | undefined {
    return [...this.#all].find((one) => one !== than && one.hasRoom());
  }

  end(refusal: Refusal): void {
    for (const consumer of this.#all) consumer.end(refusal);
    this.#all.clear();
  }
}
