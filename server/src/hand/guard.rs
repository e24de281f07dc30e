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
    if let Some((item_len, has_stream)) = rows_of(op) {
        return guard_rows(call, item_len, has_stream);
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

/// Checks a memset of rows: address, pitch, value, elements of a row, rows.
fn guard_rows(call: &Call<'_>, item_len: u64, has_stream: bool) -> Result<(), Stop> {
    let mut body = call.body.clone();
    let [address, pitch, _, width, height] = [
        body.u64()?,
        body.u64()?,
        body.u64()?,
        body.u64()?,
        body.u64()?,
    ];
    let stream = if has_stream { body.u64()? } else { 0 };
    if width > 0 && height > 0 {
        let width = width.saturating_mul(item_len);
        let reach = pitch.saturating_mul(height - 1).saturating_add(width);
        call.session.tables().ranges.check(address, reach)?;
    }
    // A null stream names no object, so nobody else marks the default stream as used.
    if stream == 0 {
        call.use_queue(0)?;
    }
    Ok(())
}

/// Bytes of an element of a memset of rows, and whether it takes a stream.
fn rows_of(call: Op) -> Option<(u64, bool)> {
    Some(match call {
        op::cuMemsetD2D8_v2 => (1, false),
        op::cuMemsetD2D16_v2 => (2, false),
        op::cuMemsetD2D32_v2 => (4, false),
        op::cuMemsetD2D8Async => (1, true),
        op::cuMemsetD2D16Async => (2, true),
        op::cuMemsetD2D32Async => (4, true),
        _ => return None,
    })
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
