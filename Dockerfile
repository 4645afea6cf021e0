# One image for the API, the worker and the one-shot jobs. The command decides which of them runs. Debian, because Temporal's
# worker is built for glibc.
# `@sha256:…` pins the base image: docs/deployment.md.
ARG NODE_DIGEST=
FROM node:24.21.0-bookworm-slim${NODE_DIGEST} AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# The base image has Node, so the packages that contain it are removed again.
RUN npm ci --omit=dev && rm -r node_modules/node-linux-* node_modules/.bin/node

# The page needs development packages to be built, and none to be served.
FROM node:24.21.0-bookworm-slim${NODE_DIGEST} AS page
WORKDIR /app
COPY package.json package-lock.json .npmrc tsconfig.json ./
RUN npm ci
COPY client ./client
COPY web ./web
COPY docs ./docs
RUN node web/build/build-command.ts

FROM node:24.21.0-bookworm-slim${NODE_DIGEST}
ENV NODE_ENV=production
WORKDIR /app
# The files belong to root. The process runs as another user and cannot change them.
COPY --from=dependencies /app/node_modules ./node_modules
COPY . .
COPY --from=page /app/web/dist ./web/dist
USER node
EXPOSE 3000 9464 9465
CMD ["node", "api/main.ts"]
