//! The private export tables (cuGetExportTable) that NVIDIA's runtime insists on.
//!
//! A table is an array of pointers known by a UUID; slot 0 is its size in bytes (but for the
//! context-local storage, whose slots start at 0 and end with a null). What the slots do was
//! learnt by watching runtimes 12.1 to 13.5 call them. The tables are state of *this* process and
//! nothing in them concerns a server. The little they need of the driver they are part of comes
//! through [`Host`].
//!
//! No slot is null: a slot of which nothing is known answers 0 and is named once in the log, for
//! a call through a null pointer would end the program without a trace.

#[expect(
    unsafe_code,
    reason = "the slots are C functions called with the runtime's pointers"
)]
mod slots;
mod storage;

use std::ffi::c_void;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

pub use crate::integrity::DeviceIdentity;

/// What a driver answers when it does not have a table: CUDA_ERROR_NOT_FOUND.
pub const REFUSED: u32 = 500;

/// What the tables need from the driver they belong to. Contexts and modules are handles as the
/// driver gives them to the application; errors are CUresult values, never 0.
pub trait Host: Sync {
    /// The handle of a device's primary context, the same that cuDevicePrimaryCtxRetain gives
    /// later, without retaining it. It must be possible to make it current before it is retained.
    fn primary_context(&self, device: i32) -> Result<u64, u32>;

    /// The calling thread's current context, 0 for none. Asked for on every runtime call: cheap.
    fn current_context(&self) -> u64;

    /// Loads a module as cuModuleLoadData does, for runtimes older than the library calls.
    ///
    /// # Safety
    /// `image` is what the application gave to its runtime: a wrapper or a container.
    #[expect(
        unsafe_code,
        reason = "a promise about a pointer, declared and not used here"
    )]
    unsafe fn load_fatbin(&self, image: *const c_void) -> Result<u64, u32>;

    /// What cuDriverGetVersion says, for example 13050.
    fn driver_version(&self) -> u32;

    /// The devices in ordinal order, as the application sees them.
    fn devices(&self) -> Vec<DeviceIdentity>;

    /// Takes one line for the driver's log: something here is new and someone should look.
    fn log(&self, line: &str);

    /// Takes one line about what is expected and harmless; dropped unless the driver wants it.
    fn trace(&self, line: &str) {
        let _ = line;
    }
}

/// The table with this UUID (bytes in memory order), or `None`, which is to be answered with a
/// null table and [`REFUSED`].
///
/// `host` is taken from the first call in the process and serves all slots from then on. The
/// tables lie at fixed addresses until the process ends. A refusal is logged, once per UUID and
/// process for those that runtimes merely probe.
pub fn export_table(uuid: &[u8; 16], host: &'static dyn Host) -> Option<*const c_void> {
    let host = *HOST.get_or_init(|| host);
    let Some(table) = TABLES.iter().find(|table| table.uuid == *uuid) else {
        refuse(uuid, host);
        return None;
    };
    host.trace(&format!("export table {} given", table.name));
    Some((table.address)())
}

/// Ends the context-local storage of a context: to be called when a context is destroyed or a
/// primary context is reset, before its handle can be given out again. Runs the destructors that
/// the runtime stored with its values, in the calling thread and with no lock held.
pub fn context_destroyed(context: u64) {
    slots::run_destructors(context, storage::take_context(context));
}

/// To be called in the child of a fork, before anything else: the storage's lock may have been
/// held by a thread that no longer exists. From then on the storage is empty and refuses values.
pub fn forked_child() {
    storage::abandon();
}

/// A table that is served.
struct Table {
    uuid: [u8; 16],
    name: &'static str,
    address: fn() -> *const c_void,
}

static HOST: OnceLock<&'static dyn Host> = OnceLock::new();

/// The driver given to [`export_table`]; no slot can be called before that.
fn host() -> Option<&'static dyn Host> {
    HOST.get().copied()
}

fn refuse(uuid: &[u8; 16], host: &dyn Host) {
    /// Bit per entry of `REFUSED_TABLES`: whether it was logged.
    static LOGGED: AtomicU64 = AtomicU64::new(0);
    let hex: String = uuid.iter().map(|byte| format!("{byte:02x}")).collect();
    let Some(index) = REFUSED_TABLES.iter().position(|(known, ..)| known == uuid) else {
        host.log(&format!("export table {hex} is unknown: refused"));
        return;
    };
    let (_, name, harmless) = REFUSED_TABLES[index];
    let line = format!("export table {hex} ({name}): refused");
    if LOGGED.fetch_or(1 << index, Ordering::Relaxed) & (1 << index) != 0 || harmless {
        host.trace(&line);
    } else {
        host.log(&line);
    }
}

/// The tables served. Who asks: all of them but the last every cudart (`ctxcheck` from 12.4); the
/// last cudart 13.5, cuDNN, cuBLASLt and cuFFT.
const TABLES: [Table; 7] = [
    Table {
        uuid: bytes(0x6bd5fb6c_5bf4e74a_8987d939_12fd9df9),
        name: "cudart",
        address: slots::cudart_table,
    },
    Table {
        uuid: bytes(0xa094798c_2e742e74_93f20800_200c0a66),
        name: "hooks",
        address: slots::hooks_table,
    },
    Table {
        uuid: bytes(0x42d85a81_23f6cb47_8298f6e7_8a3aecdc),
        name: "tls",
        address: slots::tls_table,
    },
    Table {
        uuid: bytes(0xc693336e_1121df11_a8c368f3_55d89593),
        name: "cls",
        address: slots::cls_table,
    },
    Table {
        uuid: bytes(0x263e8860_7cd26143_92f6bbd5_006dfa7e),
        name: "ctxcheck",
        address: slots::ctxcheck_table,
    },
    Table {
        uuid: bytes(0xd4082055_bde6704b_8d34ba12_3c66e1f2),
        name: "integrity",
        address: slots::integrity_table,
    },
    Table {
        uuid: bytes(0x21318c60_97143248_8ca641ff_7324c8f2),
        name: "ctx-extra",
        address: slots::ctx_extra_table,
    },
];

/// Tables known by name and refused: UUID, name, whether the asker is known to do without it.
/// Runtimes from 12.9 and NVRTC ask for the two probes first; an NVRTC that was given an unknown
/// table aborted, and success is said to cut initialisation short.
const REFUSED_TABLES: [([u8; 16], &str, bool); 7] = [
    (
        bytes(0xf8cff951_21468b4e_b9e2fb46_9e7c0dd9),
        "a runtime's probe",
        true,
    ),
    (
        bytes(0xda9151d3_3ae6cc41_a5c04f26_d533e328),
        "NVRTC's probe",
        true,
    ),
    (
        bytes(0x6e163fbe_b958444d_835ce182_aff1991e),
        "module-extra, which cuFFT needs",
        false,
    ),
    (
        bytes(0x0ca50b8c_1004929a_89a7d0df_10e77286),
        "context creation bypass",
        false,
    ),
    (
        bytes(0x195bcbf4_d67d024a_acc51d29_cea631ae),
        "heap access",
        false,
    ),
    (
        bytes(0xb10541e1_f7c7c74a_9f64f223_be99f1e2),
        "device-ext",
        false,
    ),
    (
        bytes(0xdd9e98a4_f4104844_99b0e2ae_b7b432b5),
        "hybrid runtime",
        false,
    ),
];

/// A UUID written as one number, in memory order.
const fn bytes(uuid: u128) -> [u8; 16] {
    uuid.to_be_bytes()
}
