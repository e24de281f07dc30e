//! Device memory, host memory, copies and what is said of addresses.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod driver_support;

use std::ffi::c_void;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Command, Stdio};

use driver_support::*;
use flexdirect_wire::abi::*;
use softgpu_cuda::export::*;

const BAD: Result<(), CuError> = Err(CuError::INVALID_VALUE);

#[test]
fn allocations_are_checked() {
    alone("allocations_are_checked", &[], || {
        start();
        assert_eq!(allocate(0), Err(CuError::INVALID_VALUE));
        assert_eq!(cuMemAlloc_v2(Out(std::ptr::null_mut()), 8), BAD);
        assert_eq!(allocate(65 << 20), Err(CuError::OUT_OF_MEMORY));
        assert_eq!(allocate(usize::MAX), Err(CuError::OUT_OF_MEMORY));
        let first = allocate(1000).unwrap();
        let second = allocate(1).unwrap();
        assert_eq!(first.0 % 512, 0);
        assert_eq!(
            cuMemFree_v2(CuDevicePtr(first.0 + 512)),
            BAD,
            "not its start"
        );
        cuMemFree_v2(first).unwrap();
        assert_eq!(cuMemFree_v2(first), BAD, "freed twice");
        assert_eq!(cuMemFree_v2(CuDevicePtr(4096)), BAD, "never allocated");
        cuMemFree_v2(CuDevicePtr(0)).unwrap();
        let mut base = CuDevicePtr(0);
        let mut len = 0;
        let (base_out, len_out) = (OptOut(&raw mut base), OptOut(&raw mut len));
        cuMemGetAddressRange_v2(base_out, len_out, second).unwrap();
        assert_eq!((base, len), (second, 1));
        let gone = cuMemGetAddressRange_v2(base_out, len_out, first);
        assert_eq!(gone, Err(CuError::NOT_FOUND));
    });
}

#[test]
fn copies_stay_within_allocations() {
    alone("copies_stay_within_allocations", &[], || {
        start();
        let memory = allocate(1000).unwrap();
        let bytes: Vec<u8> = (0..250).cycle().take(1000).collect();
        upload(memory, &bytes).unwrap();
        assert_eq!(download(memory, 1000), Ok(bytes.clone()));
        assert_eq!(upload(CuDevicePtr(memory.0 + 1), &bytes), BAD);
        assert_eq!(download(CuDevicePtr(memory.0 + 999), 2).map(drop), BAD);
        assert_eq!(
            download(CuDevicePtr(bytes.as_ptr().addr() as u64), 8).map(drop),
            BAD
        );
        assert_eq!(cuMemsetD8_v2(memory, 1, 1001), BAD);
        assert_eq!(
            cuMemsetD32_v2(CuDevicePtr(memory.0 + 2), 1, 1),
            BAD,
            "not aligned"
        );
        assert_eq!(cuMemsetD32_v2(memory, 1, usize::MAX), BAD, "overflow");
        assert_eq!(download(memory, 1000), Ok(bytes), "nothing was written");
        upload(memory, &[]).unwrap();
        cuMemsetD16_v2(memory, 0x1234, 3).unwrap();
        cuMemsetD8_v2(CuDevicePtr(memory.0 + 6), 7, 2).unwrap();
        let expected = [0x34, 0x12, 0x34, 0x12, 0x34, 0x12, 7, 7, 8];
        assert_eq!(download(memory, 9).unwrap(), expected);
        let other = allocate(9).unwrap();
        cuMemcpyDtoD_v2(other, memory, 9).unwrap();
        assert_eq!(download(other, 9).unwrap(), expected);
    });
}

#[test]
fn a_unified_copy_finds_out_what_is_what() {
    alone("a_unified_copy_finds_out_what_is_what", &[], || {
        start();
        let device = allocate(64).unwrap();
        let source = [5u8; 64];
        let mut target = [0u8; 64];
        let mut other = [0u8; 64];
        let host = |bytes: *const u8| CuDevicePtr(bytes.expose_provenance() as u64);
        let target_address = host((&raw mut target).cast());
        cuMemcpy(device, host(source.as_ptr()), 64).unwrap();
        cuMemcpy(target_address, device, 64).unwrap();
        cuMemcpy(host((&raw mut other).cast()), target_address, 64).unwrap();
        assert_eq!(other, source, "up, down, and across");
        assert_eq!(cuMemcpy(CuDevicePtr(0), device, 64), BAD);
    });
}

#[test]
fn the_device_is_full_for_every_process() {
    let variables = [("SOFTGPU_MEMORY", "8M")];
    alone("the_device_is_full_for_every_process", &variables, || {
        start();
        let free = || {
            let mut total = 0usize;
            let free = out(|free| cuMemGetInfo_v2(free, Out(&raw mut total))).unwrap();
            (free, total)
        };
        if std::env::var_os("SECOND").is_some() {
            allocate(3 << 20).unwrap();
            println!("allocated");
            std::io::stdout().flush().unwrap();
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).unwrap();
            return;
        }
        let name = "the_device_is_full_for_every_process";
        assert_eq!(free(), (8 << 20, 8 << 20));
        let mut second = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture", "--test-threads=1"])
            .env("SECOND", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(second.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("allocated") {
            line.clear();
            assert_ne!(
                lines.read_line(&mut line).unwrap(),
                0,
                "the second process ended"
            );
        }
        assert_eq!(free(), (5 << 20, 8 << 20));
        assert_eq!(allocate(6 << 20), Err(CuError::OUT_OF_MEMORY));
        let mine = allocate(5 << 20).unwrap();
        assert_eq!(allocate(1), Err(CuError::OUT_OF_MEMORY));
        second.kill().unwrap();
        second.wait().unwrap();
        let mut rest = Vec::new();
        lines.read_to_end(&mut rest).unwrap();
        assert_eq!(free(), (3 << 20, 8 << 20), "what the dead held is back");
        allocate(3 << 20).unwrap();
        cuMemFree_v2(mine).unwrap();
        assert_eq!(free().0, 5 << 20);
    });
}

fn attribute<T: Default>(number: u32, address: u64) -> Result<T, CuError> {
    let mut value = T::default();
    let attribute = CuPointerAttribute(number);
    cuPointerGetAttribute((&raw mut value).cast(), attribute, CuDevicePtr(address))?;
    Ok(value)
}

#[test]
fn pinned_memory_is_known() {
    alone("pinned_memory_is_known", &[], || {
        let context = start();
        let mut pinned: *mut c_void = std::ptr::null_mut();
        cuMemHostAlloc(Out(&raw mut pinned), 5000, 4).unwrap();
        let address = pinned.expose_provenance() as u64;
        assert_eq!(out(|flags| cuMemHostGetFlags(flags, pinned)), Ok(4));
        assert_eq!(attribute::<u32>(2, address + 4999), Ok(1), "host memory");
        assert_eq!(attribute::<u64>(1, address), Ok(context.0));
        assert_eq!(attribute::<u64>(4, address + 7), Ok(address + 7));
        assert_eq!(attribute::<u64>(3, address + 7), Ok(address + 7));
        let mapped = out(|device| cuMemHostGetDevicePointer_v2(device, pinned, 0));
        assert_eq!(mapped, Ok(CuDevicePtr(address)), "kernels reach it there");
        let device = allocate(100).unwrap();
        assert_eq!(attribute::<u32>(2, device.0 + 99), Ok(2), "device memory");
        assert_eq!(attribute::<u64>(3, device.0 + 9), Ok(device.0 + 9));
        assert_eq!(attribute::<u64>(11, device.0 + 9), Ok(device.0));
        assert_eq!(attribute::<usize>(12, device.0 + 9), Ok(100));
        assert_eq!(attribute::<i32>(9, device.0), Ok(0));
        let unknown = 5u8;
        let unknown = (&raw const unknown).addr() as u64;
        assert_eq!(attribute::<u32>(2, unknown).map(drop), BAD);
        assert_eq!(attribute::<u32>(99, device.0).map(drop), BAD);
        let (mut kind, mut ordinal) = (9u32, 9i32);
        let mut names = [CuPointerAttribute(2), CuPointerAttribute(9)];
        let mut places: [*mut c_void; 2] = [(&raw mut kind).cast(), (&raw mut ordinal).cast()];
        let (names, places) = (names.as_mut_ptr(), places.as_mut_ptr());
        cuPointerGetAttributes(2, names, places, CuDevicePtr(unknown)).unwrap();
        assert_eq!(
            (kind, ordinal),
            (0, -2),
            "the plural says nothing of the unknown"
        );
        cuMemFreeHost(pinned).unwrap();
        assert_eq!(cuMemFreeHost(pinned), BAD);
        assert_eq!(
            cuMemHostAlloc(Out(&raw mut ordinal).cast_pinned(), 0, 0),
            BAD
        );
    });
}

/// An out pointer that is never written.
trait CastPinned {
    fn cast_pinned(self) -> Out<*mut c_void>;
}

impl CastPinned for Out<i32> {
    fn cast_pinned(self) -> Out<*mut c_void> {
        Out(self.0.cast())
    }
}

#[test]
fn rows_are_aligned() {
    alone("rows_are_aligned", &[], || {
        start();
        let mut pitch = 0usize;
        let pitch_out = Out(&raw mut pitch);
        let made = out(|memory| cuMemAllocPitch_v2(memory, pitch_out, 513, 3, 4)).unwrap();
        assert_eq!(pitch, 1024);
        assert_eq!(download(made, 3072).map(|bytes| bytes.len()), Ok(3072));
        let bad = out(|memory| cuMemAllocPitch_v2(memory, pitch_out, 513, 3, 5));
        assert_eq!(bad.map(drop), BAD, "element size");
        let large = out(|memory| cuMemAllocPitch_v2(memory, pitch_out, 513, usize::MAX, 4));
        assert_eq!(large, Err(CuError::OUT_OF_MEMORY));
    });
}
