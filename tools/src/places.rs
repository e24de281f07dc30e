//! Where FlexDirect's own libraries are: beside the program, installed or staged, or where the
//! environment says.

use std::path::{Path, PathBuf};

use crate::exit::{Code, Failure};

/// The folder with the client library, to be put first in an application's library path.
pub(crate) fn client_folder() -> Result<PathBuf, Failure> {
    let looked = libraries("cuda");
    looked.iter().find(|folder| folder.join(LIBRARY).exists()).cloned().ok_or_else(|| {
        let text = format!(
            "FlexDirect's {LIBRARY} is not installed (looked in {looked:?}); install FlexDirect \
             again, or set {VARIABLE} to the folder that has cuda/{LIBRARY}"
        );
        Failure::new(Code::Ours, text)
    })
}

/// Where softgpu's libcuda may be, best first.
pub(crate) fn soft_libraries() -> Vec<PathBuf> {
    if let Some(named) = std::env::var_os(SOFT_VARIABLE).map(PathBuf::from) {
        return vec![if named.is_dir() {
            named.join(LIBRARY)
        } else {
            named
        }];
    }
    let mut libraries: Vec<PathBuf> = libraries("softgpu")
        .iter()
        .map(|folder| folder.join(LIBRARY))
        .collect();
    if let Some(folder) = program_folder() {
        // A tree that was built and not installed.
        libraries.push(folder.join("libsoftgpu_cuda.so"));
    }
    libraries
}

/// Folders in which a library named `kind` may be, best first.
fn libraries(kind: &str) -> Vec<PathBuf> {
    if let Some(named) = std::env::var_os(VARIABLE).map(PathBuf::from) {
        return vec![named.join(kind)];
    }
    let parent = program_folder().and_then(|folder| folder.parent().map(Path::to_owned));
    let parents = parent
        .into_iter()
        .flat_map(|parent| ["lib/flexdirect", "lib"].map(|lib| parent.join(lib).join(kind)));
    parents.collect()
}

/// The folder that this program lies in, links resolved.
fn program_folder() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?.canonicalize().ok()?;
    program.parent().map(Path::to_owned)
}

/// Name of a CUDA driver library.
pub(crate) const LIBRARY: &str = "libcuda.so.1";

/// Environment variable with the folder that has `cuda/` and `softgpu/`.
const VARIABLE: &str = "FLEXDIRECT_LIB";

/// Environment variable with softgpu's library, or its folder.
const SOFT_VARIABLE: &str = "FLEXDIRECT_SOFTGPU";
