//! Attributes of streams: kept and told, for nothing of them changes what a CPU does.

use flexdirect_wire::abi::*;

use super::not_null;
use crate::context;
use crate::raw::{self, lock};
use crate::stream::Stream;

pub(crate) fn cuStreamGetAttribute(
    stream: CuStream,
    attr: CuStreamAttrID,
    value_out: Out<CuStreamAttrValue>,
) -> CuResult {
    let (_, stream) = context::stream(stream)?;
    not_null(value_out)?;
    value_out.write(attribute(&stream, attr.0)?)
}

fn attribute(stream: &Stream, attribute: u32) -> Result<CuStreamAttrValue, CuError> {
    let mut value = CuStreamAttrValue::default();
    value.words[0] = match attribute {
        ACCESS_POLICY_WINDOW | MEM_SYNC_DOMAIN => 0,
        SYNCHRONIZATION_POLICY => SYNC_POLICY_AUTO,
        PRIORITY => u64::from(stream.priority.cast_unsigned()),
        // Domain 0 for what stays on the device, 1 for what leaves it: one byte each.
        MEM_SYNC_DOMAIN_MAP => 1 << 8,
        _ => return Err(CuError::INVALID_VALUE),
    };
    let set = lock(&stream.attributes).get(&attribute).copied();
    Ok(set.unwrap_or(value))
}

pub(crate) fn cuStreamSetAttribute(
    stream: CuStream,
    attr: CuStreamAttrID,
    value: *const CuStreamAttrValue,
) -> CuResult {
    let (_, stream) = context::stream(stream)?;
    let value = raw::fetch(value).ok_or(CuError::INVALID_VALUE)?;
    let low = value.words[0] & u64::from(u32::MAX);
    let is_known = match attr.0 {
        ACCESS_POLICY_WINDOW | MEM_SYNC_DOMAIN_MAP | PRIORITY => true,
        MEM_SYNC_DOMAIN => low <= 1,
        SYNCHRONIZATION_POLICY => (SYNC_POLICY_AUTO..=SYNC_POLICY_BLOCKING).contains(&low),
        _ => false,
    };
    if !is_known {
        return Err(CuError::INVALID_VALUE);
    }
    lock(&stream.attributes).insert(attr.0, value);
    Ok(())
}

pub(crate) fn cuStreamCopyAttributes(dst: CuStream, src: CuStream) -> CuResult {
    let (_, target) = context::stream(dst)?;
    let (_, source) = context::stream(src)?;
    let copied = lock(&source.attributes).clone();
    *lock(&target.attributes) = copied;
    Ok(())
}

/// CUlaunchAttributeID, those of streams.
const ACCESS_POLICY_WINDOW: u32 = 1;
const SYNCHRONIZATION_POLICY: u32 = 3;
const PRIORITY: u32 = 8;
const MEM_SYNC_DOMAIN_MAP: u32 = 9;
const MEM_SYNC_DOMAIN: u32 = 10;
/// CUsynchronizationPolicy.
const SYNC_POLICY_AUTO: u64 = 1;
const SYNC_POLICY_BLOCKING: u64 = 4;
