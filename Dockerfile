# Both processes without App Engine: a Cloud Run worker pool runs the subscriber of it, which pulls;
# compose.yaml runs both. The same Node builds and runs, or what V8 compiled would be of no use.
FROM node:24.21.0-trixie-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci
COPY . .
RUN npm run gcp-build

FROM node:24.21.0-trixie-slim
ENV NODE_ENV=production
WORKDIR /app
# No node_modules and no sources: the bundle needs neither. It belongs to root, and `node` runs it.
COPY --from=build /app/dist dist
USER node
# As in subscriber.yaml. Cloud Run sends SIGTERM and waits ten seconds; the process needs two.
CMD ["node", "--max-old-space-size=512", "--initial-old-space-size=130", "--import=./dist/compile-cache.js", "dist/subscriber.js"]
