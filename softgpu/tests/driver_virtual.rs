//! Virtual memory management, peers, copies in batches.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod driver_support;

use std::ffi::c_void;

use driver_support::*;
use flexdirect_wire::abi::*;
use softgpu_cuda::export::*;

const BAD: Result<(), CuError> = Err(CuError::INVALID_VALUE);
const LEN: usize = 2 << 20;

fn properties(device: i32, handle_types: u32) -> CuMemAllocationProp {
    CuMemAllocationProp {
        kind: 1,
        handle_types,
        location: CuMemLocation {
            kind: 1,
            id: device,
        },
        ..CuMemAllocationProp::default()
    }
}

fn create(len: usize, handle_types: u32) -> Answer<CuMemGenericAllocationHandle> {
    let asked = properties(0, handle_types);
    out(|handle| cuMemCreate(handle, len, &raw const asked, 0))
}

fn reserve(len: usize) -> CuDevicePtr {
    out(|place| cuMemAddressReserve(place, len, 0, CuDevicePtr(0), 0)).unwrap()
}

fn allow(place: CuDevicePtr, len: usize, device: i32, flags: u32) -> CuResult {
    let access = CuMemAccessDesc {
        location: CuMemLocation {
            kind: 1,
            id: device,
        },
        flags,
    };
    cuMemSetAccess(place, len, &raw const access, 1)
}

fn free_len() -> usize {
    out(|free| cuMemGetInfo_v2(free, Out(std::ptr::null_mut()))).unwrap()
}

#[test]
fn physical_memory_is_mapped_where_asked() {
    alone("physical_memory_is_mapped_where_asked", &[], || {
        start();
        let module = load(PTX).unwrap();
        let (set, add) = (
            function(module, "set").unwrap(),
            function(module, "add").unwrap(),
        );
        let before = free_len();
        let place = reserve(4 * LEN);
        assert_eq!(place.0 % LEN as u64, 0);
        let (first, second) = (create(LEN, 0).unwrap(), create(LEN, 0).unwrap());
        assert_eq!(free_len(), before - 2 * LEN, "it counts against the device");
        let after = CuDevicePtr(place.0 + LEN as u64);
        cuMemMap(place, LEN, 0, first, 0).unwrap();
        assert_eq!(
            cuMemMap(place, LEN, 0, second, 0),
            BAD,
            "something is there"
        );
        cuMemMap(after, LEN, 0, second, 0).unwrap();
        assert_eq!(upload(place, &[1]), BAD, "nobody has access");
        allow(place, 2 * LEN, 0, 3).unwrap();
        // A copy and kernels go over the edge between the two.
        let bytes: Vec<u8> = (0..250).cycle().take(2 * LEN - 100).collect();
        upload(place, &bytes).unwrap();
        assert_eq!(download(place, bytes.len()).unwrap(), bytes);
        let edge = after.0 - 4;
        for (at, value) in [(edge, 40), (after.0, 50)] {
            launch(set, CuStream(0), &[at, value]).unwrap();
            launch(add, CuStream(0), &[at, 2]).unwrap();
            cuCtxSynchronize().unwrap();
        }
        assert_eq!(word(CuDevicePtr(edge)), Ok(42));
        assert_eq!(word(after), Ok(52));
        // The same memory at a second place.
        let alias = CuDevicePtr(place.0 + 3 * LEN as u64);
        cuMemMap(alias, LEN, 0, second, 0).unwrap();
        allow(alias, LEN, 0, 3).unwrap();
        assert_eq!(word(alias), Ok(52));
        launch(add, CuStream(0), &[alias.0, 1]).unwrap();
        cuCtxSynchronize().unwrap();
        assert_eq!(word(after), Ok(53));
        // Released, it stays while it is mapped; its name can be had again.
        cuMemRelease(second).unwrap();
        assert_eq!(cuMemRelease(second), BAD);
        let pointer = std::ptr::with_exposed_provenance_mut(usize::try_from(alias.0).unwrap());
        let again = out(|handle| cuMemRetainAllocationHandle(handle, pointer)).unwrap();
        cuMemRelease(again).unwrap();
        assert_eq!(cuMemUnmap(place, LEN + 4096), BAD, "not whole mappings");
        assert_eq!(cuMemAddressFree(place, 4 * LEN), BAD, "something is there");
        cuMemUnmap(place, 2 * LEN).unwrap();
        assert_eq!(word(alias), Ok(53), "still there");
        assert_eq!(word(after).map(drop), BAD);
        cuMemUnmap(alias, LEN).unwrap();
        assert_eq!(cuMemUnmap(alias, LEN), BAD);
        assert_eq!(free_len(), before - LEN);
        cuMemRelease(first).unwrap();
        assert_eq!(free_len(), before);
        assert_eq!(cuMemAddressFree(place, LEN), BAD, "not what was reserved");
        cuMemAddressFree(place, 4 * LEN).unwrap();
        launch(set, CuStream(0), &[place.0, 1]).unwrap();
        assert_eq!(cuCtxSynchronize(), Err(CuError::ILLEGAL_ADDRESS));
    });
}

#[test]
fn memory_has_a_granularity() {
    alone("memory_has_a_granularity", &[], || {
        start();
        let asked = properties(0, 0);
        let granularity = |option| {
            let option = CuMemAllocationGranularityFlags(option);
            out(|len| cuMemGetAllocationGranularity(len, &raw const asked, option))
        };
        assert_eq!((granularity(0), granularity(1)), (Ok(LEN), Ok(LEN)));
        assert_eq!(granularity(2), Err(CuError::INVALID_VALUE));
    });
}

#[test]
fn virtual_memory_is_checked() {
    alone("virtual_memory_is_checked", &[], || {
        start();
        assert_eq!(create(LEN + 4096, 0).map(drop), BAD);
        assert_eq!(create(0, 0).map(drop), BAD);
        assert_eq!(create(64 << 20, 2).map(drop), Err(CuError::NOT_SUPPORTED));
        let _most = create(62 << 20, 0).unwrap();
        assert_eq!(create(4 << 20, 0).map(drop), Err(CuError::OUT_OF_MEMORY));
        assert_eq!(allocate(4 << 20), Err(CuError::OUT_OF_MEMORY));
        let bad = |len, alignment, flags| {
            out(|place| cuMemAddressReserve(place, len, alignment, CuDevicePtr(0), flags))
        };
        assert_eq!(bad(4096, 0, 0), Err(CuError::INVALID_VALUE));
        assert_eq!(bad(LEN, 3, 0), Err(CuError::INVALID_VALUE));
        assert_eq!(bad(LEN, 0, 1), Err(CuError::INVALID_VALUE));
        let aligned = bad(LEN, 1 << 30, 0).unwrap();
        assert_eq!(aligned.0 % (1 << 30), 0);
        cuMemAddressFree(aligned, LEN).unwrap();
        let wanted = out(|place| cuMemAddressReserve(place, LEN, 0, aligned, 0));
        assert_eq!(
            wanted,
            Ok(aligned),
            "where it is wanted, if nothing is there"
        );
        let memory = create(LEN, 1).unwrap();
        assert_eq!(cuMemMap(CuDevicePtr(1 << 30), LEN, 0, memory, 0), BAD);
        assert_eq!(cuMemMap(aligned, LEN, 4096, memory, 0), BAD);
        assert_eq!(allow(aligned, LEN, 0, 3), BAD, "nothing is mapped");
        cuMemMap(aligned, LEN, 0, memory, 0).unwrap();
        let access = |device| {
            let place = CuMemLocation {
                kind: 1,
                id: device,
            };
            out(|flags| cuMemGetAccess(flags, &raw const place, aligned))
        };
        assert_eq!(access(0), Ok(0));
        allow(aligned, LEN, 0, 1).unwrap();
        assert_eq!(access(0), Ok(1));
        allow(aligned, LEN, 0, 3).unwrap();
        assert_eq!(access(0), Ok(3));
        assert_eq!(access(1), Err(CuError::INVALID_DEVICE));
        assert_eq!(allow(aligned, LEN, 0, 2), BAD);
        let found = out(|prop| cuMemGetAllocationPropertiesFromHandle(prop, memory)).unwrap();
        assert_eq!(
            (found.kind, found.handle_types, found.location.id),
            (1, 1, 0)
        );
        // Through a descriptor it comes back as the same memory.
        let mut descriptor = -1i32;
        let place: *mut c_void = (&raw mut descriptor).cast();
        let kind = CuMemAllocationHandleType(1);
        cuMemExportToShareableHandle(place, memory, kind, 0).unwrap();
        let number = std::ptr::without_provenance_mut(usize::try_from(descriptor).unwrap());
        let import = |number| out(|handle| cuMemImportFromShareableHandle(handle, number, kind));
        let imported = import(number).unwrap();
        let second = reserve(LEN);
        cuMemMap(second, LEN, 0, imported, 0).unwrap();
        allow(second, LEN, 0, 3).unwrap();
        upload(aligned, b"shared").unwrap();
        assert_eq!(download(second, 6).unwrap(), b"shared");
        assert_eq!(
            import(std::ptr::null_mut()).map(drop),
            BAD,
            "no memory of a driver"
        );
        let secret = create(LEN, 0);
        assert_eq!(secret.map(drop), Err(CuError::OUT_OF_MEMORY));
    });
}

#[test]
fn peers_are_reached_when_enabled() {
    let variables = [("SOFTGPU_DEVICES", "3")];
    alone("peers_are_reached_when_enabled", &variables, || {
        let first = start();
        let can =
            |one, other| out(|can| cuDeviceCanAccessPeer(can, CuDevice(one), CuDevice(other)));
        assert_eq!((can(0, 1), can(1, 1)), (Ok(1), Ok(0)));
        assert_eq!(can(0, 3), Err(CuError::INVALID_DEVICE));
        let second = out(|context| cuDevicePrimaryCtxRetain(context, CuDevice(1))).unwrap();
        let memory = allocate(64).unwrap();
        cuCtxSetCurrent(second).unwrap();
        let atomics = |operation, other| {
            let asked = CuAtomicOperation(operation);
            out(|found: Out<u32>| {
                let devices = [CuDevice(0), CuDevice(other)];
                cuDeviceGetP2PAtomicCapabilities(
                    found.0,
                    &raw const asked,
                    1,
                    devices[0],
                    devices[1],
                )
            })
        };
        assert_eq!(
            [0, 8, 12].map(|operation| atomics(operation, 1)),
            [Ok(31), Ok(26), Ok(0)]
        );
        assert_eq!(atomics(13, 1), Err(CuError::INVALID_VALUE));
        assert_eq!(atomics(0, 0), Err(CuError::INVALID_DEVICE));
        let missing = Err(CuError::PEER_ACCESS_NOT_ENABLED);
        assert_eq!(cuCtxDisablePeerAccess(first), missing);
        assert_eq!(cuCtxEnablePeerAccess(first, 1), BAD);
        let own = cuCtxEnablePeerAccess(second, 0);
        assert_eq!(own, Err(CuError::INVALID_CONTEXT));
        assert_eq!(
            cuCtxEnablePeerAccess(CuContext(7), 0),
            Err(CuError::INVALID_CONTEXT)
        );
        cuCtxEnablePeerAccess(first, 0).unwrap();
        let again = cuCtxEnablePeerAccess(first, 0);
        assert_eq!(again, Err(CuError::PEER_ACCESS_ALREADY_ENABLED));
        let module = load(PTX).unwrap();
        let set = function(module, "set").unwrap();
        launch(set, CuStream(0), &[memory.0 + 4, 42]).unwrap();
        cuCtxSynchronize().unwrap();
        assert_eq!(word(CuDevicePtr(memory.0 + 4)), Ok(42));
        cuCtxDisablePeerAccess(first).unwrap();
        assert_eq!(cuCtxDisablePeerAccess(first), missing);
        launch(set, CuStream(0), &[memory.0, 1]).unwrap();
        assert_eq!(cuCtxSynchronize(), Err(CuError::ILLEGAL_ADDRESS));
    });
}

#[test]
fn batches_copy_all_or_say_which_failed() {
    alone("batches_copy_all_or_say_which_failed", &[], || {
        start();
        let stream = out(|stream| cuStreamCreate(stream, 1)).unwrap();
        let (from, to) = (allocate(64).unwrap(), allocate(64).unwrap());
        upload(from, &[7; 64]).unwrap();
        upload(to, &[0; 64]).unwrap();
        let at = |base: CuDevicePtr, offset| CuDevicePtr(base.0 + offset);
        let place = CuMemLocation { kind: 0, id: 0 };
        let mut attributes = [1, 2].map(|source_order| CuMemcpyAttributes {
            source_order,
            source_hint: place,
            target_hint: place,
            flags: 0,
        });
        let mut run = |count: usize, lens: &mut [usize; 3], firsts: &mut [usize; 2], stream| {
            let mut targets = [at(to, 0), at(to, 16), at(to, 32)];
            let mut sources = [at(from, 0), at(from, 8), at(from, 32)];
            let mut failed = 9usize;
            let done = cuMemcpyBatchAsync(
                targets.as_mut_ptr(),
                sources.as_mut_ptr(),
                lens.as_mut_ptr(),
                count,
                attributes.as_mut_ptr(),
                firsts.as_mut_ptr(),
                2,
                &raw mut failed,
                stream,
            );
            (done, failed)
        };
        assert_eq!(run(3, &mut [8, 8, 8], &mut [0, 2], stream), (Ok(()), 9));
        cuStreamSynchronize(stream).unwrap();
        let bytes = download(to, 64).unwrap();
        let expected: Vec<u8> = (0..64)
            .map(|index| {
                if index < 40 && index / 8 % 2 == 0 {
                    7
                } else {
                    0
                }
            })
            .collect();
        assert_eq!(bytes, expected);
        let beyond = run(3, &mut [8, 64, 8], &mut [0, 2], stream);
        assert_eq!(beyond, (BAD, 1));
        for (count, mut firsts) in [(3, [1, 2]), (3, [0, 3]), (3, [0, 0]), (1, [0, 1])] {
            let refused = run(count, &mut [8; 3], &mut firsts, stream);
            assert_eq!(refused, (BAD, usize::MAX));
        }
        let legacy = run(3, &mut [8; 3], &mut [0, 2], CuStream(0));
        assert_eq!(legacy, (BAD, usize::MAX), "not the legacy stream");
    });
}

/// Loads a word and does what its number says: 0 only that, 1 a store, 2 an atomic operation, 3 a
/// store of 16 bytes, 4 a store by a whole warp.
const TOUCH: &str = "
.version 7.0
.target sm_80
.address_size 64
.visible .entry touch(.param .u64 place, .param .u32 kind)
{
    .reg .u64 %rd<4>; .reg .u32 %r<8>; .reg .pred %p<5>;
    ld.param.u64 %rd1, [place];
    ld.param.u32 %r1, [kind];
    ld.global.u32 %r2, [%rd1];
    mov.u32 %r3, %tid.x;
    mul.wide.u32 %rd2, %r3, 4;
    add.u64 %rd3, %rd1, %rd2;
    setp.eq.u32 %p1, %r1, 1;
    setp.eq.u32 %p2, %r1, 2;
    setp.eq.u32 %p3, %r1, 3;
    setp.eq.u32 %p4, %r1, 4;
    @%p1 st.global.u32 [%rd1], 1;
    @%p2 atom.global.add.u32 %r4, [%rd1], 1;
    @%p3 st.global.v4.u32 [%rd1], {%r3, %r3, %r3, %r3};
    @%p4 st.global.u32 [%rd3], %r3;
    ret;
}
";

/// A reservation of three pieces, of which the middle one is mapped with these access flags, and
/// what becomes of a kernel that touches it at an offset.
fn touch(flags: u32, offset: u64, kind: u64) -> CuResult {
    let place = reserve(3 * LEN);
    let memory = create(LEN, 0).unwrap();
    let middle = CuDevicePtr(place.0 + LEN as u64);
    cuMemMap(middle, LEN, 0, memory, 0).unwrap();
    allow(middle, LEN, 0, flags).unwrap();
    let kernel = function(load(TOUCH).unwrap(), "touch").unwrap();
    let block = if kind == 4 { 32 } else { 1 };
    let parameters = [place.0 + offset, kind];
    launch_shape(kernel, [1; 3], [block, 1, 1], 0, CuStream(0), &parameters)?;
    cuCtxSynchronize()
}

macro_rules! touches { ($($name:ident: $flags:expr, $offset:expr, $kind:expr, $end:expr;)*) => { $(
    #[test]
    fn $name() {
        alone(stringify!($name), &[], || {
            start();
            assert_eq!(touch($flags, $offset, $kind), $end);
        });
    }
)* } }

const ILLEGAL: CuResult = Err(CuError::ILLEGAL_ADDRESS);
const MIDDLE: u64 = LEN as u64;

touches! {
    what_is_read_only_is_read: 1, MIDDLE, 0, Ok(());
    what_is_read_only_is_not_stored_to: 1, MIDDLE, 1, ILLEGAL;
    what_is_read_only_has_no_atomics: 1, MIDDLE, 2, ILLEGAL;
    what_is_read_only_takes_no_vectors: 1, MIDDLE, 3, ILLEGAL;
    what_is_read_only_takes_no_rows: 1, MIDDLE, 4, ILLEGAL;
    what_is_open_is_stored_to: 3, MIDDLE, 1, Ok(());
    what_is_open_takes_rows: 3, MIDDLE, 4, Ok(());
    what_has_no_access_is_not_read: 0, MIDDLE, 0, ILLEGAL;
    what_is_only_reserved_is_not_read: 3, 2 * MIDDLE, 0, ILLEGAL;
    what_lies_before_a_mapping_is_not_read: 3, MIDDLE - 4, 0, ILLEGAL;
}

#[test]
fn rows_are_copied_in_batches() {
    alone("rows_are_copied_in_batches", &[], || {
        start();
        let stream = out(|stream| cuStreamCreate(stream, 1)).unwrap();
        let (from, to) = (allocate(64).unwrap(), allocate(64).unwrap());
        let bytes: Vec<u8> = (0..64).collect();
        upload(from, &bytes).unwrap();
        upload(to, &[0; 64]).unwrap();
        let operand = |address, row_len| CuMemcpy3dOperand {
            kind: 1,
            address,
            row_len,
            layer_height: 0,
            hint: CuMemLocation { kind: 0, id: 0 },
        };
        // Rows of 3 bytes, 8 apart, become packed.
        let good = CudaMemcpy3dBatchOp {
            source: operand(CuDevicePtr(from.0 + 1), 8),
            target: operand(to, 0),
            extent: [3, 2, 2],
            source_order: 1,
            flags: 0,
        };
        let short = CudaMemcpy3dBatchOp {
            target: operand(to, 2),
            ..good
        };
        let empty = CudaMemcpy3dBatchOp {
            extent: [3, 0, 1],
            ..good
        };
        let unordered = CudaMemcpy3dBatchOp {
            source_order: 0,
            ..good
        };
        let run = |copies: &mut [CudaMemcpy3dBatchOp], flags, stream| {
            let mut failed = 9usize;
            let list = copies.as_mut_ptr();
            let done = cuMemcpy3DBatchAsync(copies.len(), list, &raw mut failed, flags, stream);
            (done, failed)
        };
        assert_eq!(run(&mut [good], 0, stream), (Ok(()), 9));
        cuStreamSynchronize(stream).unwrap();
        let found = download(to, 13).unwrap();
        assert_eq!(found, [1, 2, 3, 9, 10, 11, 17, 18, 19, 25, 26, 27, 0]);
        for bad in [short, empty, unordered] {
            assert_eq!(run(&mut [good, bad], 0, stream), (BAD, 1));
        }
        assert_eq!(run(&mut [good], 1, stream), (BAD, usize::MAX));
        assert_eq!(run(&mut [], 0, stream), (BAD, usize::MAX));
        assert_eq!(run(&mut [good], 0, CuStream(0)), (BAD, usize::MAX));
    });
}

#[test]
fn a_context_lives_as_long_as_it_is_attached() {
    alone("a_context_lives_as_long_as_it_is_attached", &[], || {
        start();
        let own = out(|context| cuCtxCreate_v2(context, 0, CuDevice(0))).unwrap();
        assert_eq!(
            out(|context| cuCtxAttach(context, 1)),
            Err(CuError::INVALID_VALUE)
        );
        assert_eq!(out(|context| cuCtxAttach(context, 0)), Ok(own));
        let memory = allocate(64).unwrap();
        cuCtxDetach(own).unwrap();
        assert_eq!(word(memory).map(drop), Ok(()));
        cuCtxDetach(own).unwrap();
        assert_eq!(cuCtxDetach(own), Err(CuError::INVALID_CONTEXT));
    });
}

#[test]
fn variables_lie_where_they_ask_to() {
    alone("variables_lie_where_they_ask_to", &[], || {
        start();
        let ptx = "
.version 7.0
.target sm_80
.address_size 64
.visible .global .align 4 .u32 first = 1;
.visible .global .align 4096 .u32 second = 2;
.visible .global .align 4 .u32 third = 3;
";
        let module = load(ptx).unwrap();
        for (which, value) in [("first", 1), ("second", 2), ("third", 3)] {
            let (which, len) = (text(which), Out(std::ptr::null_mut()));
            let place = out(|place| cuModuleGetGlobal_v2(place, len, module, name(&which)));
            let place = place.unwrap();
            assert_eq!(word(place), Ok(value));
            assert!(value != 2 || place.0.is_multiple_of(4096));
        }
    });
}
