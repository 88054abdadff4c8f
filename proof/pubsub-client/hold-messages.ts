import { pullFrom } from "./setup.ts";

/* Pulls and prints each message, and settles none, until it is killed. */
const [host = "", subscription = "", deadLetterSubscription = ""] = process.argv.slice(2);
pullFrom(host, { subscription, deadLetterSubscription }, async ({ data }) => {
  console.log(`holds ${data}`);
  return new Promise(() => {});
});
