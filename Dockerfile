# The service's image. The build stage has uv and makes the environment that uv.lock names; the last one is the base
# with that environment, and neither uv, pip nor a compiler. No step depends on the processor: linux/amd64 and
# linux/arm64 build alike, from wheels alone.
#
#   docker build --build-arg VERSION=0.1.0 --build-arg REVISION="$(git rev-parse HEAD)" -t globeco-allocation-service .

FROM ghcr.io/astral-sh/uv:0.13.9 AS uv

FROM python:3.13-slim AS python

FROM python AS build
COPY --from=uv /uv /usr/local/bin/uv
ENV UV_PROJECT_ENVIRONMENT=/opt/globeco-allocation \
    UV_PYTHON=/usr/local/bin/python3 \
    UV_PYTHON_DOWNLOADS=never \
    UV_LINK_MODE=copy
WORKDIR /build
# What we depend on changes seldom: a layer of its own.
COPY pyproject.toml uv.lock ./
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --quiet --locked --no-default-groups --extra kubernetes --extra tracing --no-install-project --no-build
COPY README.md LICENSE ./
COPY migrations migrations
COPY src src
# No file in the image ever changes: bytecode that is never compared with its source starts soonest. What is left out
# comes with Litestar and is never loaded.
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --quiet --locked --no-default-groups --extra kubernetes --extra tracing --no-editable \
 && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash \
    -x '/site-packages/(faker|polyfactory|pygments)/' /opt/globeco-allocation/lib

FROM python
# The base has no bytecode of the standard library, and a read-only root could not keep what each start would compile.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3.13/ensurepip /usr/local/lib/python3.13/site-packages/pip* \
 && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash \
    -x '/(idlelib|lib2to3|pydoc_data|site-packages|test|tests|tkinter|turtledemo)/' /usr/local/lib/python3.13 \
 && install -d -o 65532 -g 65532 -m 2775 /usr/local/share/files
COPY deploy/image/healthcheck.py /usr/local/lib/globeco-allocation/healthcheck.py
COPY --from=build /opt/globeco-allocation /opt/globeco-allocation

# No user of this number has a name here; yoyo asks for one when it migrates, and looks into USER first.
ENV PATH=/opt/globeco-allocation/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/nonexistent \
    USER=globeco
USER 65532:65532
WORKDIR /
# OUTPUT_DIR, shared with the accounting CLI: writable for the group too.
VOLUME /usr/local/share/files
EXPOSE 8089
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["/usr/local/bin/python3", "-I", "-S", "/usr/local/lib/globeco-allocation/healthcheck.py"]
ENTRYPOINT ["globeco-allocation"]
CMD ["serve"]

ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="globeco-allocation-service" \
      org.opencontainers.image.description="Takes finished trade executions, finds their portfolios, and sends them to Portfolio Accounting in batches." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/python:3.13-slim" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED" \
      org.opencontainers.image.source="$SOURCE"
