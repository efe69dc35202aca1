//! The `securescan` program.

fn main() {}
