# One image for the API, the worker and the one-shot jobs. The command decides which of them runs. Debian, because Temporal's
# worker is built for glibc.
# `@sha256:…` pins the base image: docs/deployment.md.
ARG NODE_DIGEST=
FROM node:24.21.0-bookworm-slim${NODE_DIGEST} AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# The base image has Node, so the packages that contain it are removed again.
RUN npm ci --omit=dev && rm -r node_modules/node-linux-* node_modules/.bin/node

FROM node:24.21.0-bookworm-slim${NODE_DIGEST}
ENV NODE_ENV=production
WORKDIR /app
# The files belong to root. The process runs as another user and cannot change them.
COPY --from=dependencies /app/node_modules ./node_modules
COPY . .
USER node
EXPOSE 3000 9464 9465
CMD ["node", "api/main.ts"]
