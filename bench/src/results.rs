//! What criterion measured, read back for the tables that the benches print.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Where the measurements are kept: beside what cargo builds.
///
/// # Panics
/// If this program is not where cargo puts benches.
#[must_use]
pub fn folder() -> PathBuf {
    let this = std::env::current_exe().expect("a process knows its program");
    let target = this
        .ancestors()
        .nth(3)
        .expect("PROFILE/deps/program lies in the target folder");
    target.join("criterion")
}

/// Median of the measurement in a folder, in ns, if it was made after `begin`.
#[must_use]
pub fn median_ns(measurement: &Path, begin: SystemTime) -> Option<f64> {
    let path = measurement.join("new/estimates.json");
    if fs::metadata(&path).ok()?.modified().ok()? < begin {
        return None;
    }
    let estimates: serde_json::Value = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
    estimates["median"]["point_estimate"].as_f64()
}
