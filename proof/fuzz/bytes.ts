import fc from "fast-check";

const LIVE = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";
const ITEM = '{"nombre":"bytes"}';
const POST = `POST /api/data HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${ITEM.length}\r\n\r\n${ITEM}`;
/** Completes a body that was announced, and is not a request itself. */
const END = `${"\0".repeat(64)}\r\n\r\n\r\n`;

const METHODS = ["GET", "POST", "PUT", "DELETE", "PRI", "CONNECT", "OPTIONS", "get", "G\xe9T"];
const SEPARATORS = " |  |\t|\r\n|\n|\r|\0|\r\n\r\n|\n\n|:|: |,|;|\xff\xfe|\x16\x03\x01".split("|");
const TARGETS = ["*", "//", "/%", "/\xf1", `/${"x".repeat(20_000)}`];
const VERSIONS = ["HTTP/1.1\r\n", "HTTP/1.0\r\n", "HTTP/0.9\r\n", "HTTP/2.0\r\n", "HTTP/1.1\n"];
const HEADERS = [
  "Host: x",
  "Host: x",
  "Host:",
  "Host : x",
  "X-A: b\r\n c",
  "X-\0: y",
  "X: \x7f",
  "Content-Type: application/json",
  "Connection: close",
  "Connection: keep-alive",
  "Connection: upgrade\r\nUpgrade: websocket",
  "Expect: 100-continue",
  "Expect: x",
  "Content-Length: 0",
  "Content-Length: 18",
  "Content-Length: 5",
  "Content-Length: -1",
  "Content-Length: 0x5",
  "Content-Length: 1e1",
  "Content-Length: 18, 18",
  "Content-Length: 99999999999999999999",
  "Content-Length:",
  "Transfer-Encoding: chunked",
  "Transfer-Encoding: identity",
  "Transfer-Encoding:\x0bchunked",
  "Transfer-Encoding: gzip, chunked",
  "Trailer: If-Match",
  `X: ${"y".repeat(17_000)}`,
].map((line) => `${line}\r\n`);
const CHUNK_SIZES = "12|5|0\r\n|12;a=b|-1|fffffffffffffffff|0\r\nX: y\r\n".split("|");

/** Parts of requests, valid and not. None is HEAD, whose answers do not tell their length. */
const PIECES = [
  ...METHODS,
  ...SEPARATORS,
  ...TARGETS,
  "/",
  "/api/data",
  "/api/data/a",
  "http://x/api/data",
  ...VERSIONS.map((version) => ` ${version}`),
  " http/1.1\r\n",
  ...HEADERS,
  ...CHUNK_SIZES.map((size) => `${size}\r\n`),
  ITEM,
  `${ITEM}\r\n`,
  "[",
  "{}",
];

/** The bytes of a connection, in the parts in which they are written; some are HTTP. */
export const anyBytes: fc.Arbitrary<string[]> = fc
  .array(
    fc.oneof(
      { weight: 12, arbitrary: fc.constantFrom(...PIECES) },
      { weight: 1, arbitrary: fc.constantFrom(LIVE, POST) },
      { weight: 1, arbitrary: randomBytes() },
      { weight: 2, arbitrary: request() },
    ),
    { maxLength: 12, size: "max" },
  )
  .chain((pieces) => cut(pieces.join("") + END));

/** A head with its pieces in the right order, so that the body after it is reached. */
function request(): fc.Arbitrary<string> {
  const headers = HEADERS.filter((line) => /^[A-Z][A-Za-z-]*:.*\r\n$/.test(line));
  const chunked = "Transfer-Encoding: chunked\r\n";
  const chunk = `12\r\n${ITEM}\r\n`;
  const bodies = [ITEM, "", `${chunk}0\r\n\r\n`, `${chunk}0\r\nIf-Match: *\r\n\r\n`, `${chunk}x`];
  return fc
    .tuple(
      fc.constantFrom("GET / ", "POST /api/data ", "PUT /api/data/a ", "DELETE /api/data/a "),
      fc.array(fc.oneof(fc.constantFrom(...headers), fc.constant(chunked)), { maxLength: 3 }),
      fc.constantFrom(...bodies),
    )
    .map(([line, chosen, body]) => `${line}HTTP/1.1\r\nHost: x\r\n${chosen.join("")}\r\n${body}`);
}

function randomBytes(): fc.Arbitrary<string> {
  return fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
}

/** In one part or in a few, which may end anywhere. */
function cut(bytes: string): fc.Arbitrary<string[]> {
  return fc.array(fc.nat(bytes.length), { maxLength: 3 }).map((places) => {
    const ends = [...places.toSorted((one, other) => one - other), bytes.length];
    return ends.map((end, index) => bytes.slice(ends[index - 1] ?? 0, end)).filter(Boolean);
  });
}
