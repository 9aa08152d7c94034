# One image for every role; the command picks it:
#   python -m ingest | celery -A tasks worker -Q depth,trade,basket | celery -A tasks flower | python -m ingest simulate
# To pin the bases by digest: --build-arg PYTHON_IMAGE=python@sha256:... --build-arg UV_IMAGE=...@sha256:...
ARG PYTHON_IMAGE=python:3.13-slim-bookworm
ARG UV_IMAGE=ghcr.io/astral-sh/uv:0.13.9

FROM ${UV_IMAGE} AS uv

FROM ${PYTHON_IMAGE} AS builder
# Bytecode is made here once: the file system of a running container can't be written to.
ENV UV_COMPILE_BYTECODE=1 UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never PATH=/opt/venv/bin:$PATH
WORKDIR /app
COPY --from=uv /uv /usr/local/bin/uv
COPY requirements.txt ./
COPY requirements/build.txt ./requirements/
# Wheels, but for nkeys, which is plain Python; what builds it is locked too. There is no compiler here.
RUN uv venv --no-project --python "$(command -v python3)" /opt/venv \
    && VIRTUAL_ENV=/opt/venv uv pip install --require-hashes --build-constraints requirements/build.txt \
        --requirement requirements.txt
COPY . ./
# By hash, not by time: what it says stays true whatever a copy does to the times.
RUN python -m compileall -q --invalidation-mode unchecked-hash .

# Writes the passwords of the Compose stack, once. Nothing else is in it, so that it stays the same from one version of
# the application to the next: what runs from it is not recreated by an upgrade, nor is what waits for it.
FROM ${PYTHON_IMAGE} AS passwords
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin app \
    && install -d -o app -g app -m 0755 /run/passwords /run/passwords-of/redis /run/passwords-of/ingest \
        /run/passwords-of/worker /run/passwords-of/research /run/passwords-of/deliver /run/passwords-of/flower \
        /run/passwords-of/grafana /jetstream
ENV PYTHONDONTWRITEBYTECODE=1
COPY compose/passwords.py /app/passwords.py
USER 10001:10001
CMD ["python", "/app/passwords.py", "/run/passwords", "/run/passwords-of"]

FROM ${PYTHON_IMAGE} AS production
ARG VERSION=1.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Realtime Strategies" \
      org.opencontainers.image.description="Streams of market data in over NATS, trading signals out, computed by Celery workers" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# The directories are the mount points of volumes, which take their owner from here.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin app \
    && install -d -o app -g app -m 0755 /run/passwords /jetstream /flower /research
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 LOG_FORMAT=json APP_VERSION=${VERSION}
COPY --from=builder /opt/venv /opt/venv
COPY --from=builder /app /app
WORKDIR /app
USER 10001:10001
EXPOSE 8080
# Right for ingest, which is what runs unless told otherwise; the other roles say their own.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ.get('HTTP_PORT') or 8080}/healthz\", timeout=4)"]
CMD ["python", "-m", "ingest"]
