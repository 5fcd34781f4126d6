# Two images from the scripts that a person uses:
#   docker build --target cpu  --build-arg GIT_COMMIT="$(git rev-parse --short=12 HEAD)" -t qtipd:cpu .
#   docker build --target cuda --build-arg GIT_COMMIT="$(git rev-parse --short=12 HEAD)" -t qtipd:cuda .
#   docker run --network host -v qtipd:/var/lib/qtipd [--gpus all] qtipd:cpu
# gRPC listens on loopback only (other machines would need TLS), so the container shares the host's
# network, or qtipctl runs inside it: docker exec NAME qtipctl info.
ARG CPU_IMAGE=debian:bookworm-slim
ARG CUDA_BUILD_IMAGE=nvidia/cuda:13.0.1-devel-ubuntu24.04
ARG CUDA_RUNTIME_IMAGE=nvidia/cuda:13.0.1-runtime-ubuntu24.04

FROM ${CUDA_BUILD_IMAGE} AS build-cuda
WORKDIR /src
# First, so that a changed source does not install everything again.
COPY script/lib.sh script/install-deps script/
RUN script/install-deps --build
COPY . .
ARG GIT_COMMIT=unknown
# Empty: every GPU that a release serves.
ARG CUDAARCHS=
ENV QTIPD_GIT_COMMIT=${GIT_COMMIT} CUDAARCHS=${CUDAARCHS} QTIPD_CMAKE_ARGS=-DQTIPD_ENABLE_CUDA=ON
RUN script/build release-all qtipd_package_contents \
    && cmake --install build/release-all --prefix /opt/qtipd --strip

FROM ${CPU_IMAGE} AS build-cpu
WORKDIR /src
COPY script/lib.sh script/install-deps script/
RUN script/install-deps --build
COPY . .
ARG GIT_COMMIT=unknown
ENV QTIPD_GIT_COMMIT=${GIT_COMMIT}
RUN script/build cpu qtipd_package_contents \
    && cmake --install build/cpu --prefix /opt/qtipd --strip

FROM ${CUDA_RUNTIME_IMAGE} AS cuda
# What hardware profiles need beside the runtime: counters, and the text of instructions.
ARG CUDA_PACKAGE_VERSION=13-0
RUN apt-get update \
    && apt-get install -y --no-install-recommends "cuda-cupti-${CUDA_PACKAGE_VERSION}" \
       "cuda-cuobjdump-${CUDA_PACKAGE_VERSION}" "cuda-nvdisasm-${CUDA_PACKAGE_VERSION}" \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build-cuda /opt/qtipd /opt/qtipd
RUN groupadd --system --gid 10070 qtipd \
    && useradd --system --uid 10070 --gid qtipd --home-dir /var/lib/qtipd --create-home qtipd
USER 10070:10070
ENV PATH=/opt/qtipd/bin:$PATH QTIPD_LISTEN=127.0.0.1:7070 QTIPD_HTTP_LISTEN=0.0.0.0:9464 \
    QTIPD_DATA_DIR=/var/lib/qtipd NVIDIA_DRIVER_CAPABILITIES=compute,utility
VOLUME /var/lib/qtipd
EXPOSE 9464
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["qtipctl", "--target", "127.0.0.1:7070", "health"]
ENTRYPOINT ["/opt/qtipd/bin/qtipd"]

FROM ${CPU_IMAGE} AS cpu
COPY --from=build-cpu /opt/qtipd /opt/qtipd
RUN groupadd --system --gid 10070 qtipd \
    && useradd --system --uid 10070 --gid qtipd --home-dir /var/lib/qtipd --create-home qtipd
USER 10070:10070
ENV PATH=/opt/qtipd/bin:$PATH QTIPD_LISTEN=127.0.0.1:7070 QTIPD_HTTP_LISTEN=0.0.0.0:9464 \
    QTIPD_DATA_DIR=/var/lib/qtipd
VOLUME /var/lib/qtipd
EXPOSE 9464
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["qtipctl", "--target", "127.0.0.1:7070", "health"]
ENTRYPOINT ["/opt/qtipd/bin/qtipd"]
