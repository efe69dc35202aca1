//! The HTTP API, as the contract has it (contract/http-api.md).

mod compare;
mod errors;
mod events;
mod findings;
mod meta;
mod paging;
mod scans;
