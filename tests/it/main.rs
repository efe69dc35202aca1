//! One binary for everything that looks at the program from outside: over HTTP, as a command, and
//! killed in the middle.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test may end at the first surprise, and nothing here is anybody's API"
)]

mod actix_facts;
mod api;
mod cli;
mod kill;
mod support;
mod tidy;
mod ugly;
