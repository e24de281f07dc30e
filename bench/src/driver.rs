//! A small libcuda: the calls that the benches make, safe by what they are given.
//!
//! Buffers know their length, the one kernel has no parameters, and everything belongs to the
//! primary context of device 0, which stays for the life of the process.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::path::Path;
use std::ptr;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

/// Handle of a context, stream, module or function.
type Handle = *mut c_void;
type Status = c_uint;

/// Declares the function pointers and how they are found.
macro_rules! functions { ($($name:ident: $symbol:literal ($($argument:ty),*);)*) => {
    struct Functions {
        $($name: unsafe extern "C" fn($($argument),*) -> Status,)*
    }

    impl Functions {
        fn find(library: &Library) -> Result<Self, libloading::Error> {
            Ok(Self {
                // SAFETY: each type is the prototype that `cuda.h` declares for that symbol, and
                // the library is never closed.
                $($name: *unsafe { library.get($symbol) }?,)*
            })
        }
    }
} }

functions! {
    init: b"cuInit\0" (c_uint);
    retain: b"cuDevicePrimaryCtxRetain\0" (*mut Handle, c_int);
    set_current: b"cuCtxSetCurrent\0" (Handle);
    get_limit: b"cuCtxGetLimit\0" (*mut usize, c_uint);
    synchronize: b"cuCtxSynchronize\0" ();
    load: b"cuModuleLoadData\0" (*mut Handle, *const c_void);
    function: b"cuModuleGetFunction\0" (*mut Handle, Handle, *const c_char);
    launch: b"cuLaunchKernel\0" (
        Handle, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, Handle,
        *mut *mut c_void, *mut *mut c_void
    );
    stream_create: b"cuStreamCreate\0" (*mut Handle, c_uint);
    stream_query: b"cuStreamQuery\0" (Handle);
    stream_synchronize: b"cuStreamSynchronize\0" (Handle);
    stream_destroy: b"cuStreamDestroy_v2\0" (Handle);
    allocate: b"cuMemAlloc_v2\0" (*mut u64, usize);
    free: b"cuMemFree_v2\0" (u64);
    to_device: b"cuMemcpyHtoD_v2\0" (u64, *const c_void, usize);
    from_device: b"cuMemcpyDtoH_v2\0" (*mut c_void, u64, usize);
}

/// A libcuda, its primary context of device 0 and a kernel that does nothing.
pub struct Driver {
    functions: Functions,
    context: Handle,
    kernel: Handle,
}

// SAFETY: handles are numbers to their owner, and libcuda may be called from every thread (CUDA
// Driver API, "Difference between the driver and runtime APIs").
unsafe impl Send for Driver {}
// SAFETY: as above.
unsafe impl Sync for Driver {}

/// A stream of a [`Driver`].
pub struct Stream<'a> {
    driver: &'a Driver,
    handle: Handle,
}

/// Device memory of a [`Driver`].
pub struct Buffer<'a> {
    driver: &'a Driver,
    address: u64,
    len: usize,
}

impl Driver {
    /// Opens the libcuda at `path` and makes device 0 current for this thread.
    ///
    /// # Errors
    /// What the loader says.
    ///
    /// # Panics
    /// If a call fails: there is nothing to measure then.
    pub fn open(path: &Path) -> Result<Self, libloading::Error> {
        // SAFETY: a libcuda's initialisers may run in any process. By path and local, so that
        // two libraries of the same soname live side by side.
        let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }?;
        let functions = Functions::find(&library)?;
        // Its threads may run until the process ends.
        std::mem::forget(library);
        let mut driver = Self {
            functions,
            context: ptr::null_mut(),
            kernel: ptr::null_mut(),
        };
        let mut module = ptr::null_mut();
        let functions = &driver.functions;
        // SAFETY: the out pointers are locals; image and name end with a zero; the context is
        // current before anything that needs one.
        unsafe {
            must("cuInit", (functions.init)(0));
            must("retain", (functions.retain)(&raw mut driver.context, 0));
            must("current", (functions.set_current)(driver.context));
            must(
                "load",
                (functions.load)(&raw mut module, PTX.as_ptr().cast()),
            );
            let name = c"nothing".as_ptr();
            must(
                "function",
                (functions.function)(&raw mut driver.kernel, module, name),
            );
        }
        Ok(driver)
    }

    /// Makes the context current for the calling thread.
    pub fn enter(&self) {
        // SAFETY: the context is retained and never released.
        must("current", unsafe {
            (self.functions.set_current)(self.context)
        });
    }

    /// A call that says nothing and waits for its answer.
    pub fn limit(&self) -> usize {
        let mut value = 0;
        // SAFETY: the out pointer is a local.
        let status = unsafe { (self.functions.get_limit)(&raw mut value, LIMIT_STACK_SIZE) };
        must("cuCtxGetLimit", status);
        value
    }

    /// Waits for everything.
    pub fn synchronize(&self) {
        // SAFETY: it takes no argument.
        must("synchronize", unsafe { (self.functions.synchronize)() });
    }

    /// A new stream.
    pub fn stream(&self) -> Stream<'_> {
        let mut handle = ptr::null_mut();
        // SAFETY: the out pointer is a local.
        let status = unsafe { (self.functions.stream_create)(&raw mut handle, NON_BLOCKING) };
        must("cuStreamCreate", status);
        Stream {
            driver: self,
            handle,
        }
    }

    /// Device memory of `len` bytes.
    pub fn buffer(&self, len: usize) -> Buffer<'_> {
        let mut address = 0;
        // SAFETY: the out pointer is a local.
        must("cuMemAlloc", unsafe {
            (self.functions.allocate)(&raw mut address, len)
        });
        Buffer {
            driver: self,
            address,
            len,
        }
    }
}

impl Stream<'_> {
    /// Launches one thread that does nothing.
    pub fn launch(&self) {
        let none = ptr::null_mut();
        // SAFETY: the kernel has no parameters, so that none are read.
        let status = unsafe {
            let launch = self.driver.functions.launch;
            launch(
                self.driver.kernel,
                1,
                1,
                1,
                1,
                1,
                1,
                0,
                self.handle,
                none,
                none,
            )
        };
        must("cuLaunchKernel", status);
    }

    /// Asks whether all work is done.
    pub fn query(&self) -> bool {
        // SAFETY: the stream lives until this value is dropped.
        let status = unsafe { (self.driver.functions.stream_query)(self.handle) };
        if status != NOT_READY {
            must("cuStreamQuery", status);
        }
        status == 0
    }

    /// Waits for all work.
    pub fn synchronize(&self) {
        // SAFETY: the stream lives until this value is dropped.
        let status = unsafe { (self.driver.functions.stream_synchronize)(self.handle) };
        must("cuStreamSynchronize", status);
    }
}

impl Buffer<'_> {
    /// Fills the front of the buffer.
    ///
    /// # Panics
    /// If there is more than the buffer holds.
    pub fn write(&self, bytes: &[u8]) {
        assert!(bytes.len() <= self.len);
        let source = bytes.as_ptr().cast();
        // SAFETY: both sides hold that many bytes.
        let status =
            unsafe { (self.driver.functions.to_device)(self.address, source, bytes.len()) };
        must("cuMemcpyHtoD", status);
    }

    /// Reads the front of the buffer.
    ///
    /// # Panics
    /// If more is wanted than the buffer holds.
    pub fn read(&self, bytes: &mut [u8]) {
        assert!(bytes.len() <= self.len);
        let target = bytes.as_mut_ptr().cast();
        // SAFETY: both sides hold that many bytes.
        let status =
            unsafe { (self.driver.functions.from_device)(target, self.address, bytes.len()) };
        must("cuMemcpyDtoH", status);
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle is this value's own, and this is its last use.
        unsafe { (self.driver.functions.stream_destroy)(self.handle) };
    }
}

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        // SAFETY: the address is this value's own, and this is its last use.
        unsafe { (self.driver.functions.free)(self.address) };
    }
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver")
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Stream<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stream({:p})", self.handle)
    }
}

impl std::fmt::Debug for Buffer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffer({:#x}, {} bytes)", self.address, self.len)
    }
}

#[track_caller]
fn must(what: &str, status: Status) {
    assert!(status == 0, "{what} failed with {status}");
}

const NON_BLOCKING: c_uint = 1;
const LIMIT_STACK_SIZE: c_uint = 0;
const NOT_READY: Status = 600;

const PTX: &CStr = c".version 7.0
.target sm_70
.address_size 64
.visible .entry nothing()
{
    ret;
}
";
