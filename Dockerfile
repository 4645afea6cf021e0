# The API, the worker and the one-shot jobs are one image; the command says which it is. Debian, because Temporal's worker
# is built for glibc.
FROM node:24.21.0-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# No package needs a script of its own to run: of those that package.json approves only `node` is installed here, and what
# it fetches the base image has already.
RUN npm ci --omit=dev --ignore-scripts

FROM node:24.21.0-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
# All of it is root's and is only read: the process, another user, changes nothing here.
COPY --from=dependencies /app/node_modules ./node_modules
COPY . .
USER node
EXPOSE 3000 9464
CMD ["node", "api/main.ts"]
