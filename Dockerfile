# One image for worker, web app and every other command of DN.ai:
#   docker build -t dnai .          or          docker compose build
# Any image with Debian or Ubuntu and Python 3.11 to 3.13 (with its module venv) can be the base.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
COPY requirements/run.txt /opt/dnai/requirements/run.txt
RUN python3 -m venv /opt/dnai/venv \
    && /opt/dnai/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --progress-bar off \
        --require-hashes -r /opt/dnai/requirements/run.txt
COPY pyproject.toml /opt/dnai/app/pyproject.toml
COPY dnai /opt/dnai/app/dnai
COPY web /opt/dnai/app/web
COPY workers /opt/dnai/app/workers
COPY models /opt/dnai/app/models
RUN /opt/dnai/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
        --no-deps --no-build-isolation -e /opt/dnai/app
# The analysis is compiled on first use; here, so that the first scan starts at once.
RUN NUMBA_CACHE_DIR=/opt/dnai/numba /opt/dnai/venv/bin/python -c 'from dnai.audio.features import warm_up; warm_up()'

FROM ${BASE_IMAGE}
# Nothing runs as root; the data directory is all that may be written to.
RUN useradd --uid 1000 --create-home dnai && mkdir /data && chown dnai: /data
COPY --from=build /opt/dnai/venv /opt/dnai/venv
COPY --from=build /opt/dnai/app /opt/dnai/app
# A new volume at /data begins with what the image has there.
COPY --from=build --chown=dnai /opt/dnai/numba /data/numba
COPY docker/members docker/health /opt/dnai/bin/
ENV PATH=/opt/dnai/venv/bin:/opt/dnai/bin:/usr/local/bin:/usr/bin:/bin \
    NUMBA_CACHE_DIR=/data/numba \
    PYTHONUNBUFFERED=1 \
    DNAI_DATA_DIR=/data
USER dnai
VOLUME /data
ENTRYPOINT ["dnai"]
CMD ["--help"]
