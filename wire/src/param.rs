//! How one argument crosses: sent by the client, taken by the server, lent to the driver, answered,
//! received.
//!
//! The direction of an argument is its type, so a derived call is the same five steps for every
//! argument. What must not cross has no [`Param`]: function pointers, paths, file descriptors and
//! structs with pointers inside do not compile in a derived call.
//!
//! ```text
//! client          send ─▶ record                    reply ─▶ receive
//! server                   take ─▶ slot ─ lend ─▶ driver call ─▶ answer
//! ```
//!
//! A device address crosses; a callback of the application, or a struct with pointers, does not:
//!
//! ```
//! # use flexdirect_wire::{abi::*, param::Param};
//! fn crosses<T: Param>() {}
//! crosses::<Out<CuDevicePtr>>();
//! ```
//! ```compile_fail
//! # use flexdirect_wire::{abi::*, param::Param};
//! fn crosses<T: Param>() {}
//! crosses::<CuHostFn>();
//! ```
//! ```compile_fail
//! # use flexdirect_wire::{abi::*, param::Param};
//! fn crosses<T: Param>() {}
//! crosses::<*const CuLaunchConfig>();
//! ```

use std::ffi::{CStr, CString, c_char};

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::abi::*;
use crate::handle::{Kind, ShadowHandle};
use crate::limits::STRING_LEN_MAX;
use crate::record::{Reader, WireError, Writer};

/// One type of argument of the driver, and how it crosses.
///
/// # Safety
/// The type has the C ABI of the argument in `cuda.h`, and [`Param::lend`] gives a value that is
/// valid for a driver call as long as the slot lives and does not move.
pub unsafe trait Param: Copy {
    /// What the server keeps while the driver call runs.
    type Slot;

    /// Client: writes what the server needs.
    ///
    /// # Errors
    /// What the driver would say to an argument that cannot be sent, such as a null pointer.
    fn send(self, record: &mut Writer<'_>) -> Result<(), CuError>;

    /// Server: reads what the client sent and resolves handles.
    ///
    /// # Errors
    /// [`Refused`]: the bytes are no argument (the session ends), or the argument names nothing.
    fn take(record: &mut Reader<'_>, objects: &mut dyn Objects) -> Result<Self::Slot, Refused>;

    /// Server: the C argument.
    fn lend(slot: &mut Self::Slot) -> Self;

    /// Server: writes what the driver returned, after success.
    fn answer(slot: &Self::Slot, reply: &mut Writer<'_>);

    /// Client: stores what the driver returned, after success.
    ///
    /// # Errors
    /// [`WireError`] when the reply is not one of this call.
    fn receive(self, reply: &mut Reader<'_>) -> Result<(), WireError>;
}

/// The server's table of live driver objects.
pub trait Objects {
    /// The driver's handle, when `handle` names a live object of `kind` in this session.
    fn resolve(&mut self, kind: Kind, handle: ShadowHandle) -> Option<u64>;
}

/// Why an argument was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The bytes are no argument: the peer broke the protocol and its session ends.
    Wire(WireError),
    /// The argument names nothing: the call fails with this code.
    Call(CuError),
}

impl From<WireError> for Refused {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

/// Arguments by value that are plain numbers: sent as 64 bits, sign-extended where signed.
macro_rules! numbers { ($($type:ty: $to:expr, $from:expr;)*) => { $(
    // SAFETY: a number has the C ABI of the same number and is always valid.
    unsafe impl Param for $type {
        type Slot = Self;

        fn send(self, record: &mut Writer<'_>) -> Result<(), CuError> {
            let to: fn(Self) -> u64 = $to;
            record.u64(to(self));
            Ok(())
        }

        fn take(record: &mut Reader<'_>, _: &mut dyn Objects) -> Result<Self, Refused> {
            let from: fn(u64) -> Self = $from;
            Ok(from(record.u64()?))
        }

        fn lend(slot: &mut Self) -> Self {
            *slot
        }

        fn answer(_: &Self, _: &mut Writer<'_>) {}

        fn receive(self, _: &mut Reader<'_>) -> Result<(), WireError> {
            Ok(())
        }
    }
)* } }

/// The low part of a wire number: what the other end widened.
macro_rules! low {
    ($type:ty) => {
        |wire: u64| {
            const N: usize = size_of::<$type>();
            let mut bytes = [0; N];
            bytes.copy_from_slice(&wire.to_le_bytes()[..N]);
            <$type>::from_le_bytes(bytes)
        }
    };
}

numbers! {
    u8: u64::from, low!(u8);
    u16: u64::from, low!(u16);
    u32: u64::from, low!(u32);
    u64: |value| value, |wire| wire;
    usize: |value| value as u64, low!(usize);
    i32: |value| i64::from(value).cast_unsigned(), low!(i32);
    f32: |value| u64::from(value.to_bits()), |wire| f32::from_bits(low!(u32)(wire));
    CuDevice: |value| i64::from(value.0).cast_unsigned(), |wire| CuDevice(low!(i32)(wire));
    CuDevicePtr: |value| value.0, CuDevicePtr;
    CuDeviceP2PAttribute: |value| u64::from(value.0), |wire| CuDeviceP2PAttribute(low!(u32)(wire));
    CuFuncCache: |value| u64::from(value.0), |wire| CuFuncCache(low!(u32)(wire));
    CuFunctionAttribute: |value| u64::from(value.0), |wire| CuFunctionAttribute(low!(u32)(wire));
    CuLimit: |value| u64::from(value.0), |wire| CuLimit(low!(u32)(wire));
    CuSharedconfig: |value| u64::from(value.0), |wire| CuSharedconfig(low!(u32)(wire));
}

/// Handles by value: resolved in the session's table. The null handle and the special streams are
/// no objects and cross unchanged where the driver takes them.
macro_rules! handles { ($($type:ident: [$($kind:ident),*] $null:literal;)*) => { $(
    // SAFETY: a handle has the C ABI of a pointer; the table only holds handles of the driver.
    unsafe impl Param for $type {
        type Slot = u64;

        fn send(self, record: &mut Writer<'_>) -> Result<(), CuError> {
            record.u64(self.0);
            Ok(())
        }

        fn take(record: &mut Reader<'_>, objects: &mut dyn Objects) -> Result<u64, Refused> {
            let handle = ShadowHandle(record.u64()?);
            if handle.is_null() && $null {
                return Ok(0);
            }
            [$(Kind::$kind),*]
                .into_iter()
                .find_map(|kind| objects.resolve(kind, handle))
                .ok_or(Refused::Call(CuError::INVALID_HANDLE))
        }

        fn lend(slot: &mut u64) -> Self {
            Self(*slot)
        }

        fn answer(_: &u64, _: &mut Writer<'_>) {}

        fn receive(self, _: &mut Reader<'_>) -> Result<(), WireError> {
            Ok(())
        }
    }
)* } }

handles! {
    CuContext: [CONTEXT] true;
    CuEvent: [EVENT] false;
    CuFunction: [FUNCTION, KERNEL] false;
    CuKernel: [KERNEL] false;
    CuLibrary: [LIBRARY] false;
    CuModule: [MODULE] false;
    CuStream: [STREAM] true;
}

/// A value of fixed layout that may be written through an out pointer.
pub trait Plain: Copy + Default + FromBytes + IntoBytes + Immutable {}

impl Plain for u32 {}
impl Plain for u64 {}
impl Plain for usize {}
impl Plain for i32 {}
impl Plain for f32 {}

/// Enumerations and the like: a newtype that crosses as its number.
macro_rules! plain { ($($type:ident($inner:ty)),* $(,)?) => { $(
    impl Wrapped for $type {
        type Inner = $inner;

        fn wrap(inner: $inner) -> Self {
            Self(inner)
        }

        fn inner(self) -> $inner {
            self.0
        }
    }
)* } }

/// A value that crosses as a plain one.
pub trait Wrapped: Copy + Default {
    /// As which it crosses.
    type Inner: Plain;
    /// From the plain value.
    fn wrap(inner: Self::Inner) -> Self;
    /// The plain value.
    fn inner(self) -> Self::Inner;
}

macro_rules! wrap_self { ($($type:ident),*) => { $(
    impl Wrapped for $type {
        type Inner = Self;

        fn wrap(inner: Self) -> Self {
            inner
        }

        fn inner(self) -> Self {
            self
        }
    }
)* } }

wrap_self!(u32, u64, usize, i32, f32);
plain!(CuDevicePtr(u64), CuFuncCache(u32), CuSharedconfig(u32));

/// Out pointers: nothing is sent; the value comes with the reply.
///
/// `$refuse_null` is whether a null pointer is an error.
macro_rules! outs { ($($type:ident, $refuse_null:literal;)*) => { $(
    // SAFETY: the pointer lent points to the slot, which outlives the call and does not move.
    unsafe impl<T: Wrapped> Param for $type<T> {
        type Slot = T;

        fn send(self, _: &mut Writer<'_>) -> Result<(), CuError> {
            if self.is_null() && $refuse_null {
                return Err(CuError::INVALID_VALUE);
            }
            Ok(())
        }

        fn take(_: &mut Reader<'_>, _: &mut dyn Objects) -> Result<T, Refused> {
            Ok(T::default())
        }

        fn lend(slot: &mut T) -> Self {
            Self(slot)
        }

        fn answer(slot: &T, reply: &mut Writer<'_>) {
            reply.put(&slot.inner());
        }

        fn receive(self, reply: &mut Reader<'_>) -> Result<(), WireError> {
            let value = T::wrap(reply.get()?);
            if !self.is_null() {
                // SAFETY: the application gave this pointer for the call to write a `T` to, and
                // it is not null; alignment is the caller's, so it is not relied on.
                unsafe { self.0.write_unaligned(value) };
            }
            Ok(())
        }
    }
)* } }

outs! {
    Out, true;
    OptOut, false;
}

// SAFETY: the pointer lent points into the slot's own heap memory, which outlives the call.
unsafe impl Param for InStr {
    type Slot = CString;

    fn send(self, record: &mut Writer<'_>) -> Result<(), CuError> {
        let text = self.text()?;
        record.bytes(text.to_bytes_with_nul());
        Ok(())
    }

    fn take(record: &mut Reader<'_>, _: &mut dyn Objects) -> Result<CString, Refused> {
        Ok(record.text()?.to_owned())
    }

    fn lend(slot: &mut CString) -> Self {
        Self(slot.as_ptr().cast_mut())
    }

    fn answer(_: &CString, _: &mut Writer<'_>) {}

    fn receive(self, _: &mut Reader<'_>) -> Result<(), WireError> {
        Ok(())
    }
}

impl InStr {
    /// The string that the application's pointer names.
    ///
    /// # Errors
    /// `INVALID_VALUE` for a null pointer and for a string over [`STRING_LEN_MAX`].
    pub fn text<'a>(self) -> Result<&'a CStr, CuError> {
        if self.is_null() {
            return Err(CuError::INVALID_VALUE);
        }
        // SAFETY: the application passed a zero-terminated string for the time of the call, as the
        // driver API demands; the result is used within the call.
        let text = unsafe { CStr::from_ptr(self.0) };
        if text.count_bytes() >= STRING_LEN_MAX {
            return Err(CuError::INVALID_VALUE);
        }
        Ok(text)
    }
}

impl<T> Out<T> {
    /// Writes the value.
    ///
    /// # Errors
    /// `INVALID_VALUE` for a null pointer.
    pub fn write(self, value: T) -> CuResult {
        if self.is_null() {
            return Err(CuError::INVALID_VALUE);
        }
        // SAFETY: not null, and the application gave it for the call to write a `T` to.
        unsafe { self.0.write_unaligned(value) };
        Ok(())
    }
}

impl<T> OptOut<T> {
    /// Writes the value, if the caller gave memory for it.
    pub fn write(self, value: T) {
        if !self.is_null() {
            // SAFETY: not null, and the application gave it for the call to write a `T` to.
            unsafe { self.0.write_unaligned(value) };
        }
    }
}

impl<T: Copy> InOut<T> {
    /// Replaces the value and returns the old one.
    ///
    /// # Errors
    /// `INVALID_VALUE` for a null pointer.
    pub fn replace(self, value: T) -> Result<T, CuError> {
        if self.is_null() {
            return Err(CuError::INVALID_VALUE);
        }
        // SAFETY: not null, and the application gave it for the call to read and write a `T`.
        unsafe {
            let old = self.0.read_unaligned();
            self.0.write_unaligned(value);
            Ok(old)
        }
    }

    /// Reads the value.
    ///
    /// # Errors
    /// `INVALID_VALUE` for a null pointer.
    pub fn read(self) -> Result<T, CuError> {
        if self.is_null() {
            return Err(CuError::INVALID_VALUE);
        }
        // SAFETY: not null, and the application gave it for the call to read a `T`.
        Ok(unsafe { self.0.read_unaligned() })
    }
}

impl OutStr {
    /// Writes `text` and a zero, cut to `len` bytes with the zero.
    ///
    /// # Errors
    /// `INVALID_VALUE` for a null pointer or no room.
    pub fn write(self, text: &str, len: usize) -> CuResult {
        if self.is_null() || len == 0 {
            return Err(CuError::INVALID_VALUE);
        }
        let copied = text.len().min(len - 1);
        // SAFETY: the application gave `len` bytes; `copied` and the zero fit in them.
        unsafe {
            self.0
                .copy_from_nonoverlapping(text.as_ptr().cast::<c_char>(), copied);
            self.0.add(copied).write(0);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct One;

    impl Objects for One {
        fn resolve(&mut self, kind: Kind, handle: ShadowHandle) -> Option<u64> {
            (kind == handle.kind() && handle.index() == 5).then_some(0xabc)
        }
    }

    fn round_trip<P: Param>(value: P) -> Result<P::Slot, Refused> {
        let mut body = Vec::new();
        value.send(&mut Writer::body(&mut body)).unwrap();
        P::take(&mut Reader::new(&body), &mut One)
    }

    #[test]
    fn numbers_keep_their_value() {
        assert_eq!(round_trip(-7i32).unwrap(), -7);
        assert_eq!(round_trip(u64::MAX).unwrap(), u64::MAX);
        assert_eq!(round_trip(1.5f32).unwrap().to_bits(), 1.5f32.to_bits());
    }

    #[test]
    fn handles_resolve_or_are_refused() {
        let event = ShadowHandle::new(Kind::EVENT, 1, 5, false);
        assert_eq!(round_trip(CuEvent(event.0)).unwrap(), 0xabc);
        let refused = Err(Refused::Call(CuError::INVALID_HANDLE));
        assert_eq!(
            round_trip(CuStream(event.0)),
            refused,
            "an event is no stream"
        );
        assert_eq!(round_trip(CuStream(0)), Ok(0), "the default stream is");
        assert_eq!(round_trip(CuModule(0)), refused, "a null module is not");
        let kernel = ShadowHandle::new(Kind::KERNEL, 1, 5, true);
        assert_eq!(
            round_trip(CuFunction(kernel.0)),
            Ok(0xabc),
            "a kernel serves as a function"
        );
    }

    #[test]
    fn an_out_is_written_on_success_only() {
        let mut value = 1u32;
        let out = Out(&raw mut value);
        let mut body = Vec::new();
        out.send(&mut Writer::body(&mut body)).unwrap();
        assert!(body.is_empty(), "an out pointer sends nothing");
        let mut slot = <Out<u32> as Param>::take(&mut Reader::new(&body), &mut One).unwrap();
        let lent = <Out<u32> as Param>::lend(&mut slot);
        lent.write(42).unwrap();
        let mut reply = Vec::new();
        <Out<u32> as Param>::answer(&slot, &mut Writer::body(&mut reply));
        out.receive(&mut Reader::new(&reply)).unwrap();
        assert_eq!(value, 42);
        assert_eq!(
            Out::<u32>(std::ptr::null_mut()).write(1),
            Err(CuError::INVALID_VALUE)
        );
    }

    #[test]
    fn strings_are_cut_and_ended() {
        let mut room = [1 as c_char; 4];
        OutStr(room.as_mut_ptr()).write("abcdef", 4).unwrap();
        assert_eq!(room, [97, 98, 99, 0]);
        let slot = round_trip(InStr(c"name".as_ptr().cast_mut())).unwrap();
        assert_eq!(slot.as_c_str(), c"name");
    }
}
