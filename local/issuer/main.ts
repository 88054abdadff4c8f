import { parseArgs } from "node:util";
import { listen } from "../../common/http-server.ts";
import { createIssuer } from "./app.ts";
import { openSigner } from "./signer.ts";

const { values } = parseArgs({
  options: { port: { type: "string", default: "8091" }, data: { type: "string", default: "" } },
});
const port = Number(values.port);
const issuer = `http://localhost:${port}`;
const say = (line: string) => console.log(`issuer: ${line}`);
const signer = await openSigner(values.data);
const server = await listen(createIssuer({ issuer, signer, say }), { port, host: "127.0.0.1" });
say(`ready at ${issuer}`);
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => server.close().then(() => process.exit(0)));
