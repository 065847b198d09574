# The image without a container engine: `make image` does what the last stage says.
FROM rust:1.95-bookworm AS builder
WORKDIR /src
COPY . .
# The target is the builder's own, on amd64 as on arm64, and is named all the same: without a target the flags would
# reach build scripts and procedural macros, which cannot be static.
RUN target=$(rustc --print host-tuple) \
    && RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --locked --bin wavegate --target "$target" \
    && mkdir /out \
    && cp "target/$target/release/wavegate" /out/ \
    && ! ldd /out/wavegate | grep '=>' \
    && cargo run --quiet --locked --example sbom -- "$target" > /out/wavegate.cdx.json

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE=https://wavegate.dev
LABEL org.opencontainers.image.title="wavegate" \
      org.opencontainers.image.description="Keeps schema and code in step on Kubernetes" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="$SOURCE" \
      org.opencontainers.image.revision="$REVISION"
# Modes are told so that they do not depend on how the sources were checked out.
COPY --from=builder --chmod=0555 /out/wavegate /wavegate
COPY --from=builder --chmod=0444 /out/wavegate.cdx.json /usr/share/doc/wavegate/sbom.cdx.json
COPY --chmod=0444 LICENSE /usr/share/doc/wavegate/LICENSE
# As numbers: Kubernetes refuses a name where a pod asks for runAsNonRoot.
USER 65532:65532
ENTRYPOINT ["/wavegate"]
