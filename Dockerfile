# One static-enough binary in a small image that runs as nobody in particular.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/securescan /usr/local/bin/securescan
ENV SECURESCAN_IN_CONTAINER=true
VOLUME ["/data"]
EXPOSE 8000
USER nonroot:nonroot
ENTRYPOINT ["/usr/local/bin/securescan"]
CMD ["serve", "--host", "0.0.0.0"]
