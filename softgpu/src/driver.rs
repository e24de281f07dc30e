//! The driver of this process: made by cuInit, never unmade.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use flexdirect_wire::abi::{CuDevice, CuError};

use crate::callback;
use crate::config::Config;
use crate::context::Context;
use crate::device::Device;
use crate::event::Event;
use crate::faultplan::{self, Plan};
use crate::function::Function;
use crate::graph::{Exec, Graph, Node, UserObject};
pub(crate) use crate::identity::VERSION;
use crate::identity::{machine_number, uuid, uuid_text};
use crate::link::Link;
use crate::module::{Library, Module};
use crate::pinned::Pinned;
use crate::raw;
use crate::stream::Stream;
use crate::table::Table;

/// Live contexts.
pub(crate) static CONTEXTS: Table<Context> = Table::new(0x51);
/// Live modules, those of libraries among them.
pub(crate) static MODULES: Table<Module> = Table::new(0x52);
/// Live functions; kernels of libraries are functions without a context, so one handle does for
/// CUfunction and CUkernel.
pub(crate) static FUNCTIONS: Table<Function> = Table::new(0x53);
/// Live libraries.
pub(crate) static LIBRARIES: Table<Library> = Table::new(0x54);
/// Live streams that the application made.
pub(crate) static STREAMS: Table<Stream> = Table::new(0x55);
/// Live events.
pub(crate) static EVENTS: Table<Event> = Table::new(0x56);

/// Links in progress.
pub(crate) static LINKS: Table<Link> = Table::new(0x5c);
/// Live graphs, those in nodes of others among them.
pub(crate) static GRAPHS: Table<Graph> = Table::new(0x71);
/// Live nodes of graphs.
pub(crate) static NODES: Table<Node> = Table::new(0x72);
/// Live executable graphs.
pub(crate) static EXECS: Table<Exec> = Table::new(0x73);
/// Live user objects.
pub(crate) static USER_OBJECTS: Table<UserObject> = Table::new(0x74);

/// Pinned host memory.
pub(crate) fn pinned() -> &'static Pinned {
    static PINNED: OnceLock<Pinned> = OnceLock::new();
    PINNED.get_or_init(Pinned::default)
}

static EAGER: OnceLock<bool> = OnceLock::new();
static DEVICES: OnceLock<Vec<Device>> = OnceLock::new();

/// cuInit.
///
/// # Errors
/// NO_DEVICE when none is visible, OPERATING_SYSTEM when the memory cannot be mapped. Can be tried
/// again.
pub(crate) fn initialise() -> Result<(), CuError> {
    static TURN: Mutex<()> = Mutex::new(());
    if raw::is_forked() {
        return Err(CuError::NOT_INITIALIZED);
    }
    let _turn = raw::lock(&TURN);
    if DEVICES.get().is_some() {
        return Ok(());
    }
    let plan = Plan::new(|name| std::env::var(name).ok()).map_err(|error| {
        eprintln!("softgpu: {error}; the driver does not start");
        CuError::INVALID_VALUE
    })?;
    let mut config = environment();
    config.base = plan.base.unwrap_or(config.base);
    faultplan::set(plan);
    let machine = machine_number();
    let uuids: Vec<String> = (0..config.devices)
        .map(|index| uuid_text(uuid(machine, index)))
        .collect();
    let visible = config.visible_devices(&uuids);
    if visible.is_empty() {
        return Err(CuError::NO_DEVICE);
    }
    let mut devices = Vec::new();
    for (ordinal, index) in visible.into_iter().enumerate() {
        let device = Device::new(&config, index, ordinal).map_err(|error| {
            trace(|| format!("device {index}: its memory cannot be mapped: {error}"));
            CuError::OPERATING_SYSTEM
        })?;
        devices.push(device);
    }
    raw::watch_forks();
    EAGER.get_or_init(|| config.is_eager);
    DEVICES.set(devices).expect("set in turns, and once");
    Ok(())
}

fn environment() -> Config {
    Config::of_environment(raw::machine::memory_len(), raw::machine::user())
}

/// Whether kernels are decoded when their module is loaded.
pub(crate) fn is_eager() -> bool {
    EAGER.get().copied().unwrap_or(false)
}

/// The visible devices; none before cuInit.
pub(crate) fn devices() -> &'static [Device] {
    DEVICES.get().map_or(&[], Vec::as_slice)
}

/// Whether calls may be made.
///
/// # Errors
/// NOT_INITIALIZED before cuInit and in the child of a fork, NOT_PERMITTED in a host function.
pub(crate) fn check() -> Result<(), CuError> {
    if callback::is_running() {
        return Err(CuError::NOT_PERMITTED);
    }
    if DEVICES.get().is_none() || raw::is_forked() {
        return Err(CuError::NOT_INITIALIZED);
    }
    if faultplan::plan().is_lost() {
        return Err(CuError::DEVICE_UNAVAILABLE);
    }
    Ok(())
}

/// A device by its handle.
///
/// # Errors
/// NOT_INITIALIZED, INVALID_DEVICE.
pub(crate) fn device(device: CuDevice) -> Result<&'static Device, CuError> {
    check()?;
    let ordinal = usize::try_from(device.0).ok();
    ordinal
        .and_then(|ordinal| devices().get(ordinal))
        .ok_or(CuError::INVALID_DEVICE)
}

/// The device whose memory an address belongs to.
pub(crate) fn device_of(address: u64) -> Option<&'static Device> {
    devices().iter().find(|device| device.arena.holds(address))
}

/// Every context that can have work: the primary ones and those created.
pub(crate) fn contexts() -> Vec<Arc<Context>> {
    CONTEXTS.filter(|_| true)
}

/// Contexts by their numbers.
pub(crate) fn context(id: u64) -> Option<Arc<Context>> {
    CONTEXTS.filter(|context| context.id == id).pop()
}

/// Writes a line to stderr if SOFTGPU_LOG is at least 1; an empty one is not written.
pub(crate) fn trace(line: impl FnOnce() -> String) {
    log(1, line);
}

/// Writes a line to stderr if SOFTGPU_LOG is at least 2, at which every call is named.
pub(crate) fn trace_call(line: impl FnOnce() -> String) {
    log(2, line);
}

fn log(level: u32, line: impl FnOnce() -> String) {
    static LEVEL: OnceLock<u32> = OnceLock::new();
    let wanted = LEVEL.get_or_init(|| {
        let set = std::env::var("SOFTGPU_LOG").ok();
        set.and_then(|level| level.parse().ok()).unwrap_or(0)
    });
    if *wanted < level {
        return;
    }
    let line = line();
    if !line.is_empty() {
        eprintln!("softgpu: {line}");
    }
}

/// Text handed out as `const char *` lives as long as the process: names of kernels, each once.
pub(crate) fn interned(text: &str) -> *const std::ffi::c_char {
    static NAMES: Mutex<BTreeMap<String, std::ffi::CString>> = Mutex::new(BTreeMap::new());
    let mut names = raw::lock(&NAMES);
    let name = names
        .entry(text.to_owned())
        .or_insert_with(|| std::ffi::CString::new(text).unwrap_or_default());
    name.as_ptr()
}
