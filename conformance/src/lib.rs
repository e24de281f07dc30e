//! Suites that take the product as a user has it: a link by its trait, a libcuda and the command by
//! their paths.
//!
//! [`link`] holds what every transport must keep. [`harness`] runs programs that were never told
//! about FlexDirect: on a driver directly, under `flexdirect local` and under `flexdirect run`. The
//! tests compare what they print. `programs/` has the programs' sources; `make build programs`
//! stages and compiles what the tests look for.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod harness;
pub mod link;
