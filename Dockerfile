# Two stages: the first installs from the lock file with hashes, the second holds what runs and nothing else.
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /src
COPY requirements.lock pyproject.toml README.md ./
RUN python -m venv /opt/hub && /opt/hub/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY hub hub
COPY connectors connectors
COPY consumers consumers
COPY rules rules
COPY schemas schemas
RUN /opt/hub/bin/pip install --no-cache-dir --no-build-isolation --no-deps .

FROM python:3.11.14-slim-bookworm
RUN groupadd --gid 10001 hub && useradd --uid 10001 --gid hub --no-create-home --shell /usr/sbin/nologin hub \
    && install -d -o hub -g hub -m 0700 /var/lib/hub
COPY --from=build /opt/hub /opt/hub
COPY rules /etc/hub/rules
COPY schemas /etc/hub/schemas
ENV PATH=/opt/hub/bin:$PATH HUB_HOME=/var/lib/hub HUB_RULES_DIR=/etc/hub/rules HUB_SCHEMAS_DIR=/etc/hub/schemas \
    HUB_HEALTH_HOST=0.0.0.0 HUB_HEALTH_PORT=8080 PYTHONUNBUFFERED=1
USER hub
VOLUME /var/lib/hub
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/ready', timeout=4)"]
ENTRYPOINT ["hub"]
CMD ["up"]
