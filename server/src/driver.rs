//! A libcuda opened by path: one function pointer for every call of the table.
//!
//! The worker has one code path whether the library is NVIDIA's or softgpu's, so the library is a
//! path and never a link-time dependency. Opening our own client library by mistake would make a
//! worker its own client; it carries a marker symbol and is refused.

pub(crate) mod graph_nodes;
pub(crate) mod graphs;
pub(crate) mod steps;

use std::ffi::{CString, c_char, c_void};
use std::fmt;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

use flexdirect_wire::abi::*;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

/// Why a driver library was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// The library is FlexDirect's own client library.
    #[error(
        "{} is FlexDirect's client library, not a driver; name the driver that NVIDIA's installer \
         put on this host, or softgpu's library",
        path.display()
    )]
    ClientLibrary {
        /// The path.
        path: PathBuf,
    },
    /// `cuInit` failed.
    #[error(
        "{} does not start: {error:?}; check that the GPU is visible to this user (nvidia-smi)",
        path.display()
    )]
    Init {
        /// The path.
        path: PathBuf,
        /// What `cuInit` said.
        error: CuError,
    },
    /// The loader refuses the file.
    #[error(
        "{} cannot be loaded: {reason}; check the path and that it is a libcuda",
        path.display()
    )]
    Load {
        /// The path.
        path: PathBuf,
        /// What the loader said.
        reason: String,
    },
    /// The file has no `cuInit`.
    #[error("{} has no cuInit, so it is no libcuda; name one", path.display())]
    NotADriver {
        /// The path.
        path: PathBuf,
    },
    /// The path cannot be made absolute.
    #[error("{} is not a usable path: {reason}; give an absolute one", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// Symbol that only FlexDirect's client library has.
const MARKER: &str = "flexdirect_shim_marker";

/// Reader: a function pointer and a method for each call of the table.
///
/// Arguments are renamed by position, for the table calls some of them by Rust's keywords.
macro_rules! driver { ($(
    $(#[doc = $about:literal])*
    $op:literal $class:ident $blocks:ident fn $name:ident(
        $($argument:ident: $type:ty),* $(,)?
    ) since $since:literal $(twin $twin:ident $twin_since:literal)?
    $(, $hand:ident $($by:ident)*)?;
)*) => {
    /// Addresses of the library's functions, by name.
    struct Functions {
        $($name: Option<unsafe extern "C" fn($($type),*) -> CuResult>,)*
    }

    impl Functions {
        fn find(library: &Library) -> Self {
            Self {
                $(
                    // SAFETY: an optional function pointer has the layout of a pointer, and the
                    // symbol of this name has this signature (CUDA Driver API).
                    $name: unsafe {
                        std::mem::transmute::<
                            *mut c_void,
                            Option<unsafe extern "C" fn($($type),*) -> CuResult>,
                        >(symbol(library, stringify!($name)))
                    },
                )*
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the driver's own signatures")]
    #[allow(dead_code, reason = "a method is there for every call, used or not")]
    impl Driver {
        $(driver! {
            @method [$($about)*] $name {} [$($type,)*]
            [a b c d e f g h i j k l m n o p q r s t]
        })*
    }
};
(@method $about:tt $name:ident {$($done:tt)*} [$type:ty, $($types:ty,)*]
    [$free:ident $($frees:ident)*]
) => {
    driver! { @method $about $name {$($done)* $free: $type,} [$($types,)*] [$($frees)*] }
};
(@method [$($about:literal)*] $name:ident {$($argument:ident: $type:ty,)*} [] $frees:tt) => {
    $(#[doc = $about])*
    ///
    #[doc = concat!("`", stringify!($name), "`; NOT_SUPPORTED when the library lacks it.")]
    ///
    /// # Safety
    /// As the CUDA Driver API demands of this call's arguments.
    #[inline]
    pub(crate) unsafe fn $name(&self, $($argument: $type),*) -> CuResult {
        match self.functions.$name {
            // SAFETY: the caller keeps the call's contract.
            Some(function) => unsafe { function($($argument),*) },
            None => Err(CuError::NOT_SUPPORTED),
        }
    }
};
}

flexdirect_wire::driver_calls!(driver);

/// A libcuda, opened and initialised. Never unloaded: drivers keep threads of their own.
pub struct Driver {
    functions: Functions,
    path: PathBuf,
    _library: ManuallyDrop<Library>,
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Driver").field(&self.path).finish()
    }
}

impl Driver {
    /// Opens the libcuda at `path` and initialises it.
    ///
    /// # Errors
    /// [`DriverError`], whose text says what to do.
    pub fn open(path: &Path) -> Result<Self, DriverError> {
        let path = std::path::absolute(path).map_err(|error| DriverError::Path {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        // SAFETY: the operator named this library as the driver: its initialisers may run.
        let library = unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_LOCAL) };
        let library = library.map_err(|error| DriverError::Load {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        let library = ManuallyDrop::new(library);
        if !symbol(&library, MARKER).is_null() {
            return Err(DriverError::ClientLibrary { path });
        }
        let functions = Functions::find(&library);
        if functions.cuInit.is_none() {
            return Err(DriverError::NotADriver { path });
        }
        let driver = Self {
            functions,
            path,
            _library: library,
        };
        // SAFETY: cuInit takes flags that must be zero, and may be called at any time.
        match unsafe { driver.cuInit(0) } {
            Ok(()) => Ok(driver),
            Err(error) => Err(DriverError::Init {
                path: driver.path,
                error,
            }),
        }
    }

    /// Whether it can tell the parameters of a kernel (CUDA 12.4 and newer).
    pub(crate) fn tells_parameters(&self) -> bool {
        self.functions.cuFuncGetParamInfo.is_some()
    }

    /// Where it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Address of a symbol, null when the library has none of that name.
fn symbol(library: &Library, name: &str) -> *mut c_void {
    let Ok(name) = CString::new(name) else {
        return std::ptr::null_mut();
    };
    // SAFETY: nothing is done with the address here; whoever calls it knows its type.
    let found = unsafe { library.get::<*mut c_void>(name.as_bytes_with_nul()) };
    found.map_or(std::ptr::null_mut(), |symbol| symbol.into_raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_no_driver_is_named() {
        let missing = Driver::open(Path::new("/nonexistent/libcuda.so.1")).unwrap_err();
        assert!(matches!(missing, DriverError::Load { .. }));
        assert!(missing.to_string().contains("/nonexistent/libcuda.so.1"));
        // The C library is a library on every host, and has no cuInit.
        let path = std::fs::read_to_string("/proc/self/maps").unwrap();
        let path = path
            .lines()
            .find_map(|line| line.find('/').map(|at| &line[at..]));
        let libc = std::fs::read_to_string("/proc/self/maps")
            .unwrap()
            .lines()
            .filter_map(|line| line.find('/').map(|at| line[at..].to_owned()))
            .find(|path| path.contains("libc.so") || path.contains("libc-"));
        assert!(path.is_some());
        if let Some(libc) = libc {
            let error = Driver::open(Path::new(&libc)).unwrap_err();
            assert!(matches!(error, DriverError::NotADriver { .. }), "{error}");
        }
    }
}
