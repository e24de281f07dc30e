//! Checks of derived calls that the table cannot express: the device addresses of copies and
//! memsets, and the use of the default stream.

use flexdirect_wire::call::{Op, op};

use crate::dispatch::{Call, Stop};

/// Checks a derived call before its arguments are taken.
///
/// # Errors
/// `INVALID_VALUE` for device memory that is not the session's; what the driver says to waits.
pub(crate) fn guard(call: &Call<'_>) -> Result<(), Stop> {
    let op = Op(call.header.op);
    if op == op::cuStreamWaitEvent && call.body.clone().u64()? == 0 {
        call.use_queue(0)?;
    }
    let Some(shape) = shape(op) else {
        return Ok(());
    };
    let mut body = call.body.clone();
    let [first, second, len] = [body.u64()?, body.u64()?, body.u64()?];
    let stream = if shape.has_stream { body.u64()? } else { 0 };
    let tables = call.session.tables();
    match shape.item_len {
        0 => {
            tables.ranges.check(first, len)?;
            tables.ranges.check(second, len)?;
        }
        item_len => tables.ranges.check(first, len.saturating_mul(item_len))?,
    }
    drop(tables);
    // A null stream names no object, so nobody else marks the default stream as used.
    if stream == 0 {
        call.use_queue(0)?;
    }
    Ok(())
}

/// What the arguments of a guarded call mean.
struct Shape {
    /// Bytes of an item of a memset; 0 for a copy between two device addresses.
    item_len: u64,
    /// Whether the fourth argument is a stream.
    has_stream: bool,
}

fn shape(call: Op) -> Option<Shape> {
    let (item_len, has_stream) = match call {
        op::cuMemcpyDtoD_v2 => (0, false),
        op::cuMemcpyDtoDAsync_v2 => (0, true),
        op::cuMemsetD8_v2 => (1, false),
        op::cuMemsetD16_v2 => (2, false),
        op::cuMemsetD32_v2 => (4, false),
        op::cuMemsetD8Async => (1, true),
        op::cuMemsetD16Async => (2, true),
        op::cuMemsetD32Async => (4, true),
        _ => return None,
    };
    Some(Shape {
        item_len,
        has_stream,
    })
}
