//! Where the staged command, libraries and compiled programs lie.

use std::path::{Path, PathBuf};

/// One of the two libraries called `libcuda.so.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// The shim: calls go to a worker.
    Shim,
    /// The driver on CPUs.
    Softgpu,
}

/// The repository.
pub fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package
        .parent()
        .expect("the package lies in the repository")
        .to_owned()
}

/// The staged command.
///
/// # Panics
/// If it is not there: with the command that makes it.
pub fn flexdirect() -> PathBuf {
    there(root().join("stage/bin/flexdirect"), "make build")
}

/// A staged `libcuda.so.1`.
///
/// # Panics
/// If it is not there: with the command that makes it.
pub fn library(library: Library) -> PathBuf {
    let folder = match library {
        Library::Shim => "cuda",
        Library::Softgpu => "softgpu",
    };
    let path = root().join("stage/lib").join(folder).join("libcuda.so.1");
    there(path, "make build")
}

/// A compiled program of `conformance/programs`, not older than its source.
///
/// # Panics
/// If it is missing or old: with the command that makes it.
pub fn program(name: &str) -> PathBuf {
    let sources = [
        format!("programs/{name}.cu"),
        format!("programs/{name}.c"),
        "programs/proof.h".to_owned(),
    ];
    compiled(name, &sources, "make programs")
}

/// The compiled check of the kernels of `conformance/kernels/{name}.cu`, not older than its source.
///
/// # Panics
/// If it is missing or old: with the command that makes it.
pub fn kernel(name: &str) -> PathBuf {
    let sources = [
        format!("kernels/{name}.cu"),
        format!("kernels/check_{name}.cu"),
        "kernels/check.h".to_owned(),
        "programs/proof.h".to_owned(),
    ];
    compiled(&format!("kernels/{name}"), &sources, "make kernels")
}

/// A file of `target/conformance` that is not older than any of its sources in `conformance`.
fn compiled(name: &str, sources: &[String], how: &str) -> PathBuf {
    let path = there(root().join("target/conformance").join(name), how);
    let changed = |path: &Path| path.metadata().and_then(|data| data.modified()).ok();
    for source in sources {
        let source = root().join("conformance").join(source);
        assert!(
            changed(&source) <= changed(&path),
            "{} is newer than {}: run `{how}`",
            source.display(),
            path.display()
        );
    }
    path
}

fn there(path: PathBuf, how: &str) -> PathBuf {
    assert!(path.exists(), "{} is missing: run `{how}`", path.display());
    path
}
