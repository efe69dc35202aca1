//! SecureScan: many security scanners, one list of findings, as a service and a CLI.
//!
//! The rooms, from the inside out: [`domain`] (plain types and rules), [`engine`] (from raw findings
//! to results), [`scanners`], [`storage`], [`actors`], [`http`] and [`cli`]; [`config`] and
//! [`telemetry`] serve all of them, and [`app`] wires them; at [`kill_points`] tests kill the program. Arrows point inwards (ARCHITECTURE.md).

pub mod actors;
pub mod app;
pub mod cli;
pub mod config;
pub mod domain;
pub mod engine;
pub mod http;
pub mod kill_points;
pub mod scanners;
pub mod storage;
pub mod telemetry;
