FROM node:24-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json ./
COPY patches patches
RUN npm ci --omit=dev

FROM node:24-bookworm-slim
ENV NODE_ENV=production FOREBAY_SCHEMA=/app/schema FOREBAY_DATA=/var/lib/forebay HOST=0.0.0.0
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY package.json LICENSE ./
COPY drizzle drizzle
COPY src src
COPY schema schema
COPY docker docker
RUN install --directory --owner=node --group=node /var/lib/forebay
VOLUME /var/lib/forebay
USER node
EXPOSE 4000
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=6 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT ?? 4000}/healthz`).then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Node strips the types itself, outside node_modules.
ENTRYPOINT ["node", "src/cli.ts"]
CMD ["start"]
