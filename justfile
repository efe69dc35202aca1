# Names for the steps of .ci/run, which is the truth.

fmt:
    cargo fmt --all

lint:
    cargo clippy --all-targets --locked -- -D warnings

test *args:
    ./test {{args}}

deny:
    cargo deny check

bench:
    cargo bench

ci:
    .ci/run
