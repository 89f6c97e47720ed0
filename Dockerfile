# Build by `make image`, which picks docker, podman or buildah. The base needs apt and a Python of
# at least 3.11. The CUDA runtime comes with the torch wheels; this base brings the driver
# interface's libraries and lets `docker run --gpus all` find the device. The C compiler is for the
# launchers of the flow kernels.
ARG BASE=nvidia/cuda:13.0.2-base-ubuntu24.04
FROM ${BASE}

RUN apt-get update \
 && apt-get install -y --no-install-recommends \
    gcc libc6-dev python3 python3-dev python3-venv \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 10001 basnet

WORKDIR /opt/basnet
COPY pyproject.toml constraints.txt README.md LICENSE ./
# Where pip finds torch and torchvision: its options, such as `--index-url ADDRESS` of torch's CPU
# builds, without which 5 GB of CUDA libraries come along. And the extras of this package.
ARG TORCH_FROM=
ARG EXTRAS=
# Only these two come from there: such an index has its own, other releases of what they need.
RUN python3 -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --no-deps -c constraints.txt ${TORCH_FROM} \
    torch torchvision \
 && /opt/venv/bin/pip install --no-cache-dir -c constraints.txt torch torchvision
COPY basnet_e2e basnet_e2e
COPY extract extract
COPY weights weights
RUN /opt/venv/bin/pip install --no-cache-dir -c constraints.txt ".${EXTRAS}"

# Weights that are downloaded once stay in a volume, and so does compiled code. Whoever the
# container runs as (`--user`, to write into a mounted folder) can write there; the folder is root's
# and sticky, so that nobody can replace what others keep in it.
ENV PATH=/opt/venv/bin:$PATH BASNET_CACHE=/cache MPLCONFIGDIR=/cache/matplotlib \
    TRITON_CACHE_DIR=/cache/triton
RUN mkdir -m 1777 /cache /cache/downloads /cache/features /cache/weights
VOLUME /cache
USER basnet
WORKDIR /data
ENTRYPOINT ["basnet"]
CMD ["--help"]
