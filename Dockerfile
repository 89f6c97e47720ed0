# The CUDA runtime comes with the torch wheels; the base image brings the driver interface's
# libraries and lets `docker run --gpus all` find the device.
FROM nvidia/cuda:13.0.2-base-ubuntu24.04

RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 python3-venv \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 10001 basnet

WORKDIR /opt/basnet
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY basnet_e2e basnet_e2e
COPY extract extract
COPY weights weights
RUN python3 -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir -c constraints.txt .

# Weights that are downloaded once stay in a volume.
ENV PATH=/opt/venv/bin:$PATH BASNET_CACHE=/cache
RUN mkdir /cache && chown basnet /cache
VOLUME /cache
USER basnet
WORKDIR /data
ENTRYPOINT ["basnet"]
CMD ["--help"]
