const BODY = '{"nombre":"smuggled"}';
/** The request that must never be handled: it is hidden in another request's bytes. */
export const SMUGGLED_PATH = "/api/data/smuggled";
const SMUGGLED =
  `PUT ${SMUGGLED_PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n` +
  `Content-Length: ${BODY.length}\r\n\r\n${BODY}`;

const request = (headers: string, body: string) =>
  `POST /api/data HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${headers}\r\n${body}`;
const chunked = (body: string) => request("Transfer-Encoding: chunked\r\n", body);

/**
 * Requests whose end two servers may see in different places, each followed by a hidden request
 * (RFC 9112, sections 5 to 7 and 11.2). All are refused with 400, and the connection is closed.
 */
export const SMUGGLING: Record<string, string> = {
  "both lengths": request(
    "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
    `0\r\n\r\n${SMUGGLED}`,
  ),
  "both lengths, the other way": request(
    "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    `5c\r\n${SMUGGLED}\r\n0\r\n\r\n`,
  ),
  "two lengths that differ": request("Content-Length: 0\r\nContent-Length: 40\r\n", SMUGGLED),
  "two lengths that agree": request("Content-Length: 2\r\nContent-Length: 2\r\n", `{}${SMUGGLED}`),
  "a list of lengths": request("Content-Length: 2, 2\r\n", `{}${SMUGGLED}`),
  "a length with a sign": request("Content-Length: +2\r\n", `{}${SMUGGLED}`),
  "a length in hex": request("Content-Length: 0x2\r\n", `{}${SMUGGLED}`),
  "a length with a tail": request("Content-Length: 2 2\r\n", `{}${SMUGGLED}`),
  "a coding that is not chunked": request(
    "Transfer-Encoding: xchunked\r\n",
    `0\r\n\r\n${SMUGGLED}`,
  ),
  "chunked, but not last": request(
    "Transfer-Encoding: chunked, identity\r\n",
    `0\r\n\r\n${SMUGGLED}`,
  ),
  "chunked twice": request("Transfer-Encoding: chunked, chunked\r\n", `0\r\n\r\n${SMUGGLED}`),
  "a coding behind a vertical tab": request(
    "Transfer-Encoding:\x0bchunked\r\n",
    `0\r\n\r\n${SMUGGLED}`,
  ),
  "a space before the colon": request("Transfer-Encoding : chunked\r\n", `0\r\n\r\n${SMUGGLED}`),
  "a folded header": request("Transfer-Encoding:\r\n chunked\r\n", `0\r\n\r\n${SMUGGLED}`),
  "a folded header that says nothing": request("X-A: b\r\n c\r\nContent-Length: 0\r\n", SMUGGLED),
  "a header's bare line feed": request("X-A: b\nContent-Length: 0\r\n", SMUGGLED),
  "a header's bare carriage return": request("X-A: b\rContent-Length: 0\r\n", SMUGGLED),
  "a NUL in a header": request("X-A: b\0\r\nContent-Length: 0\r\n", SMUGGLED),
  "line feeds only": request("Content-Length: 0\r\n", SMUGGLED).replaceAll("\r\n", "\n"),
  "a chunk's size in other digits": chunked(`0x0\r\n\r\n${SMUGGLED}`),
  "a chunk's size below zero": chunked(`-1\r\n\r\n${SMUGGLED}`),
  "a chunk's size past 64 bits": chunked(`10000000000000000\r\n${SMUGGLED}\r\n0\r\n\r\n`),
  "a chunk longer than its size": chunked(`2\r\n{}${SMUGGLED}\r\n0\r\n\r\n`),
  "a chunk's bare line feed": chunked(`2\n{}\n0\n\n${SMUGGLED}`),
  "a chunk extension's bare line feed": chunked(`0;x\n\r\n${SMUGGLED}`),
  "a chunk extension without an end": chunked(
    `2;${"x".repeat(20_000)}\r\n{}\r\n0\r\n\r\n${SMUGGLED}`,
  ),
  "no host": `GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n${SMUGGLED}`,
  "two hosts": `GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 0\r\n\r\n${SMUGGLED}`,
  "an older version": `GET / HTTP/0.9\r\nHost: x\r\n\r\n${SMUGGLED}`,
  "a version that there is not": `GET / HTTP/2.0\r\nHost: x\r\n\r\n${SMUGGLED}`,
  "a newer version": `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${SMUGGLED}`,
};
