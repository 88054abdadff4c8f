import { after, before } from "node:test";
import { createTestEnvironment, type StartOptions, type TestEnvironment } from "./environment.ts";
import { type Client, createClient } from "./http.ts";

const TEST_MIGRATIONS = new URL("../migrations/", import.meta.url);

/**
 * Starts an API in an environment of its own for the tests of the `describe` that calls it, and a
 * subscriber where asked; stops them after the last test. Collections are those of the product, or
 * the given ones, whose tables are made by `test/migrations`. What it returns is for the tests and
 * later hooks; it is empty before.
 */
export function startApi({
  subscriber = false,
  ...options
}: StartOptions & { subscriber?: boolean } = {}) {
  const environment = {} as TestEnvironment;
  const api = {} as Client;
  const migrations = options.collections ? [TEST_MIGRATIONS] : [];
  before(async () => {
    Object.assign(environment, await createTestEnvironment({ migrations }));
    Object.assign(api, createClient((await environment.startApi(options)).url));
    if (subscriber) await environment.startSubscriber(options);
  });
  after(() => environment.close?.());
  return { environment, api };
}
