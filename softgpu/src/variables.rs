//! Variables of modules: their places in device memory and what they hold at first.

use std::collections::HashMap;
use std::sync::Mutex;

use flexdirect_wire::abi::CuError;

use crate::arena::Purpose;
use crate::context::Context;
use crate::driver;
use crate::exec::Global;
use crate::managed;
use crate::raw::{Span, lock};

/// Addresses and sizes of variables by name.
pub(crate) type Places = HashMap<String, (u64, u64)>;

/// Managed variables of a library: one of each, whatever contexts use it.
#[derive(Debug, Default)]
pub(crate) struct Managed(Mutex<Places>);

impl Managed {
    /// Address and size of one, once it has a place.
    pub(crate) fn find(&self, name: &str) -> Option<(u64, u64)> {
        lock(&self.0).get(name).copied()
    }

    /// Frees them.
    pub(crate) fn free(&self) {
        for (address, _) in std::mem::take(&mut *lock(&self.0)).into_values() {
            if let Some(device) = driver::device_of(address) {
                device.arena.free(address, Purpose::Shared);
                forget(address);
            }
        }
    }
}

/// A variable is freed: if it was managed, it is no more.
pub(crate) fn forget(address: u64) {
    managed::forget(address);
}

/// Allocates variables, then fills them, for they may hold one another's addresses.
///
/// # Errors
/// OUT_OF_MEMORY; then only what a library shares is allocated.
pub(crate) fn place(
    globals: &[Global],
    context: &Context,
    shared: Option<&Managed>,
) -> Result<Places, CuError> {
    let mut placed = Places::new();
    let mut fresh: Vec<(&Global, bool)> = Vec::new();
    let mut is_full = false;
    for global in globals.iter().filter(|global| !global.is_external) {
        let known = shared.filter(|_| global.is_managed);
        if let Some(found) = known.and_then(|shared| shared.find(&global.name)) {
            placed.insert(global.name.clone(), found);
            continue;
        }
        let Some(address) = allocate(global, context, known) else {
            is_full = true;
            break;
        };
        placed.insert(global.name.clone(), (address, global.size));
        fresh.push((global, known.is_some()));
    }
    for (global, is_shared) in fresh {
        if is_full && !is_shared {
            let (address, _) = placed[&global.name];
            context.device().arena.free(address, Purpose::Module);
            forget(address);
        } else {
            fill(global, &placed);
        }
    }
    if is_full {
        return Err(CuError::OUT_OF_MEMORY);
    }
    Ok(placed)
}

/// Zeroed memory for a variable, which a library keeps if it is one that its modules share.
fn allocate(global: &Global, context: &Context, shared: Option<&Managed>) -> Option<u64> {
    let device = context.device();
    let (owner, purpose) = match shared {
        Some(_) => (NOBODY, Purpose::Shared),
        None => (context.id, Purpose::Module),
    };
    // A variable without a size still has an address of its own.
    let len = global.size.max(1);
    let made = device
        .arena
        .allocate_aligned(len, global.align, owner, purpose);
    let allocation = made.ok()?;
    // Not by writing zeros: a variable may be as large as the device.
    device.arena.clear(&allocation);
    let address = allocation.address;
    if global.is_managed {
        managed::adopt(
            address,
            allocation.len,
            owner,
            device.ordinal,
            ATTACH_GLOBAL,
        );
    }
    if let Some(shared) = shared {
        lock(&shared.0).insert(global.name.clone(), (address, global.size));
    }
    Some(address)
}

/// Writes what a variable holds at first.
fn fill(global: &Global, placed: &Places) {
    let mut bytes = global.initial.clone();
    bytes.truncate(usize::try_from(global.size).unwrap_or(usize::MAX));
    for relocation in &global.relocations {
        let target = placed.get(&relocation.symbol).map_or(0, |place| place.0);
        let value = target.wrapping_add_signed(relocation.addend).to_le_bytes();
        let start = usize::try_from(relocation.offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(usize::from(relocation.size).min(value.len()));
        if let Some(place) = bytes.get_mut(start..end) {
            place.copy_from_slice(&value[..end - start]);
        }
    }
    Span::new(placed[&global.name].0, bytes.len()).write(&bytes);
}

/// The number of no context.
const NOBODY: u64 = 0;
/// CU_MEM_ATTACH_GLOBAL.
const ATTACH_GLOBAL: u32 = 1;
