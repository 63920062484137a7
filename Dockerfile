# One image for every role: `serve`, `serve --role api`, `serve --role worker`. With nothing configured it is a complete
# service on an embedded database:
#
#   docker build -t rendiff .
#   docker run -p 8000:8000 -v data:/data rendiff
#
# What the build takes from elsewhere are two images and the packages that Debian, npm and PyPI hold. Mirrors are build
# arguments: BASE_IMAGE, BUN_IMAGE, DEBIAN_MIRROR, NPM_CONFIG_REGISTRY, PIP_INDEX_URL; so are the certificates of a proxy
# that looks into TLS: PIP_CERT, NODE_EXTRA_CA_CERTS.
ARG BASE_IMAGE=debian:bookworm-slim
ARG BUN_IMAGE=oven/bun:1.4.5-slim

FROM ${BUN_IMAGE} AS bun

# --- Debian's share: what is shipped of it, and what only the build needs

FROM ${BASE_IMAGE} AS debian
ARG DEBIAN_MIRROR=""
SHELL ["/bin/bash", "-o", "pipefail", "-e", "-u", "-c"]
# Versions are those of the Debian release that the base image is of; pinned, each security fix would break the build.
# hadolint ignore=DL3008
RUN if [ -n "${DEBIAN_MIRROR}" ]; then \
      rm -f /etc/apt/sources.list.d/debian.sources; \
      echo "deb ${DEBIAN_MIRROR} bookworm main" > /etc/apt/sources.list; \
    fi; \
    apt-get update; \
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      bubblewrap ca-certificates fontconfig-config fonts-dejavu-core tini python3-pip; \
    rm -rf /var/lib/apt/lists/*

# --- FFmpeg with libvmaf: the same build for both architectures, held to its hash

FROM debian AS ffmpeg
WORKDIR /build
COPY deploy/image/ffmpeg.txt ./
# Unset unless given; the client reads them itself.
ARG PIP_INDEX_URL
ARG PIP_CERT
RUN python3 -m pip download --no-cache-dir --no-deps --only-binary=:all: --require-hashes \
      --disable-pip-version-check -d wheels -r ffmpeg.txt; \
    python3 -m zipfile -e wheels/*.whl unpacked; \
    install -D -m 0755 unpacked/imageio_ffmpeg/binaries/ffmpeg-* /out/ffmpeg; \
    /out/ffmpeg -hide_banner -version; \
    rm -rf wheels unpacked

# --- The binary, ffprobe and the packager

FROM debian AS build
COPY --from=bun /usr/local/bin/bun /usr/local/bin/bun
WORKDIR /build
ARG NPM_CONFIG_REGISTRY
ARG NODE_EXTRA_CA_CERTS
COPY package.json bun.lock bunfig.toml ./
COPY patches patches
RUN bun install --frozen-lockfile --no-progress
COPY . .
RUN bun scripts/build.ts; \
    case "$(uname -m)" in x86_64) arch=x64 ;; aarch64) arch=arm64 ;; *) echo "no build for $(uname -m)"; exit 1 ;; esac; \
    install -D -m 0755 dist/rendiff /out/rendiff; \
    install -m 0755 "node_modules/@ffprobe-installer/linux-${arch}/ffprobe" /out/ffprobe; \
    install -m 0755 "node_modules/shaka-packager/bin/packager-linux-${arch}" /out/packager

# --- What the image holds, put together

FROM build AS assemble
COPY --from=ffmpeg /out/ffmpeg /out/ffmpeg
RUN bash deploy/image/assemble.sh /rootfs /out; \
    bun scripts/image-notices.ts /rootfs

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Rendiff" \
      org.opencontainers.image.description="FFmpeg behind a REST and WebSocket API" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="MIT AND GPL-3.0-or-later AND BSD-3-Clause"
COPY --from=assemble /rootfs /
# A new volume takes its owner from here.
COPY --from=assemble --chown=10001:10001 /empty /data
# Where a storage that is shared is mounted.
COPY --from=assemble --chown=10001:10001 /empty /storage
ENV PATH=/usr/local/bin:/usr/bin \
    RENDIFF_ENV=production \
    API_HOST=0.0.0.0 \
    DATA_DIR=/data \
    SANDBOX=auto
USER 10001:10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=6s --start-period=60s --retries=3 CMD ["rendiff", "health"]
# An init collects what FFmpeg's ends leave behind; Bun waits for its own children only.
ENTRYPOINT ["tini", "--", "rendiff"]
CMD ["serve"]
