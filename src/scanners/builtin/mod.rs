//! Native scanners: built in, always available.

pub mod baseline;
pub mod dockerfile;
pub mod git_hygiene;
pub mod secrets;
