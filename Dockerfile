# One image for server, workers, app and the small S3 server: docker build -t segnets:0.1.0 .
FROM python:3.11-slim

ENV DO_NOT_TRACK=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PREFECT_SERVER_ANALYTICS_ENABLED=false \
    PYTHONUNBUFFERED=1 \
    SEGNETS_HOME=/app

WORKDIR /app

# Packages first: this layer (6.7 GB, torch with CUDA) changes only with the lock.
COPY requirements.lock ./
RUN pip install --no-cache-dir --no-deps --require-hashes -r requirements.lock \
    && pip check \
    && ln -s "$(python -c 'import rclone_api, pathlib; print(pathlib.Path(rclone_api.__file__).parent)')/bin/rclone" /usr/local/bin/rclone

COPY pyproject.toml README.md LICENSE prefect.yaml results_app.py ./
COPY segnets segnets
COPY tasks tasks
COPY flows flows
COPY deployments deployments
# Editable: flows are loaded from /app, so the packages must be the same files.
RUN pip install --no-cache-dir --no-deps --no-build-isolation --editable .

# Nothing runs as root. The folders exist with their owner, so that new volumes on them have it too.
RUN useradd --uid 1000 --create-home segnets \
    && mkdir -p data masks /s3 /frames /home/segnets/.cache \
    && chown -R segnets:segnets data masks /s3 /home/segnets/.cache
USER segnets

# A worker that lets its trials save when it is stopped; compose.yaml gives each service its own command.
STOPSIGNAL SIGTERM
CMD ["python", "deployments/worker.py", "--queue", "default", "--limit", "4"]
