# Both processes outside of App Engine: the subscriber in a Cloud Run worker pool, and both in
# compose.yaml. The stages use the same Node, because V8 rejects the compile cache of another version.
FROM node:24.21.0-trixie-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci
COPY . .
RUN npm run gcp-build

FROM node:24.21.0-trixie-slim
ENV NODE_ENV=production
WORKDIR /app
# The bundle needs no node_modules and no sources. It belongs to root and runs as the user `node`.
COPY --from=build /app/dist dist
USER node
# The flags of subscriber.yaml. Cloud Run waits ten seconds after SIGTERM; the process needs two.
CMD ["node", "--max-old-space-size=512", "--initial-old-space-size=130", "--no-allocation-site-pretenuring", "--import=./dist/compile-cache.js", "dist/subscriber.js"]
