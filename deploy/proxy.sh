# Starts Google's proxy to the database `instance` on free ports, so that a proxy left by a run that was
# killed, perhaps of another project, is never taken for this one. Sets `proxy`, its process id, `port`
# and `health`, the port of its health check. Source it after environment.sh.
ports=$(node -e 'const { createServer } = require("node:net");
  const listen = () => new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => resolve(server));
  });
  Promise.all([listen(), listen()]).then((servers) => {
    console.log(...servers.map((server) => server.address().port));
    for (const server of servers) server.close();
  });')
port=${ports% *}
health=${ports#* }
cloud-sql-proxy --port="$port" --health-check --http-port="$health" "$instance" &
proxy=$!
