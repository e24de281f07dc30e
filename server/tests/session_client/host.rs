//! The worker's surroundings: softgpu as its driver, and a share.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, OnceLock};

use flexdirect_server::driver::Driver;
use flexdirect_server::share::{OverShare, Quota, Usage};
use flexdirect_server::snapshot::snapshot;

/// softgpu, opened once; none (with a line that says so) where it has not been built.
pub fn driver() -> Option<Arc<Driver>> {
    static DRIVER: OnceLock<Option<Arc<Driver>>> = OnceLock::new();
    let driver = DRIVER.get_or_init(|| {
        let path = library();
        if !path.exists() {
            eprintln!(
                "skipped: {} is not there; cargo build -p softgpu",
                path.display()
            );
            return None;
        }
        let driver = Driver::open(&path).unwrap();
        // As in a worker; and the snapshot keeps the primary context, so that the end of one
        // session does not reset it while another begins.
        snapshot(&driver, &[1 << 30]).unwrap();
        Some(Arc::new(driver))
    });
    driver.clone()
}

fn library() -> PathBuf {
    if let Some(path) = std::env::var_os("SOFTGPU_LIBRARY") {
        return path.into();
    }
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.join("libsoftgpu_cuda.so")
}

/// A share that only this process draws on.
#[derive(Debug)]
pub struct TestQuota {
    limit: u64,
    used: Mutex<u64>,
    released: Condvar,
}

impl TestQuota {
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: Mutex::new(0),
            released: Condvar::new(),
        })
    }

    /// Returns when nothing is held any more.
    pub fn wait_unused(&self) {
        let used = self.used.lock().unwrap();
        drop(self.released.wait_while(used, |used| *used > 0).unwrap());
    }

    pub fn used(&self) -> u64 {
        *self.used.lock().unwrap()
    }
}

impl Quota for TestQuota {
    fn reserve(&self, _: u16, bytes: u64) -> Result<(), OverShare> {
        let mut used = self.used.lock().unwrap();
        if self.limit - *used < bytes {
            return Err(OverShare {
                asked: bytes,
                used: *used,
                limit: self.limit,
            });
        }
        *used += bytes;
        Ok(())
    }

    fn release(&self, _: u16, bytes: u64) {
        *self.used.lock().unwrap() -= bytes;
        self.released.notify_all();
    }

    fn usage(&self, _: u16) -> Usage {
        Usage {
            used: self.used(),
            limit: self.limit,
        }
    }
}
