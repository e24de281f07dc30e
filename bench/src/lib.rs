//! Measurements against a libcuda that is opened by its path: the driver itself, and the shim in
//! front of the same driver, in one process and by turns. And of the interpreter by itself.
//!
//! [`driver`] is the little of libcuda that the benches call. `benches/driver.rs` measures calls,
//! `benches/interpreter` kernels on CPUs; `results/` keeps what was measured where.

#[expect(
    unsafe_code,
    reason = "calls a shared library through the function pointers found in it"
)]
pub mod driver;
pub mod results;

use std::path::{Path, PathBuf};

/// The repository.
pub fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package
        .parent()
        .expect("the package lies in the repository")
        .to_owned()
}
