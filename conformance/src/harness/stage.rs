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
    let path = there(
        root().join("target/conformance").join(name),
        "make programs",
    );
    let sources = root().join("conformance/programs");
    let changed = |path: &Path| path.metadata().and_then(|data| data.modified()).ok();
    for source in [
        format!("{name}.cu"),
        format!("{name}.c"),
        "proof.h".to_owned(),
    ] {
        let source = sources.join(source);
        assert!(
            changed(&source) <= changed(&path),
            "{} is newer than {}: run `make programs`",
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
