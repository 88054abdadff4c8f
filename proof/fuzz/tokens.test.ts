// The same test as in `npm test`, on 10,000 forgeries.
process.env.FORGED_TOKENS ||= "10000";
await import("../../test/settling/push-tokens.test.ts");
