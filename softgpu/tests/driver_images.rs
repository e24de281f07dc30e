//! Images as compilers make them: containers in every compression, linked programs, cubins.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod driver_support;

use driver_support::*;
use flexdirect_wire::abi::*;
use softgpu_cuda::export::*;

/// Files compiled by nvcc; the folder says how.
macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../driver-abi/tests/fixtures/",
            $name
        ))
    };
}

fn load_bytes(bytes: &[u8]) -> Answer<CuModule> {
    // Aligned as a loader expects it, and for text the zero that ends it.
    let mut words = vec![0u64; bytes.len() / 8 + 1];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks(8)) {
        let mut padded = [0; 8];
        padded[..bytes.len()].copy_from_slice(bytes);
        *word = u64::from_le_bytes(padded);
    }
    load_from(words.as_ptr().cast())
}

fn load_from(image: *const std::ffi::c_void) -> Answer<CuModule> {
    out(|module| cuModuleLoadData(module, InBytes(image.cast_mut())))
}

fn floats(values: impl Iterator<Item = f32>) -> (CuDevicePtr, Vec<u8>) {
    let bytes: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
    let memory = allocate(bytes.len()).unwrap();
    upload(memory, &bytes).unwrap();
    (memory, bytes)
}

fn adds_vectors(module: CuModule) {
    let add = function(module, "vector_add").unwrap();
    let (a, _) = floats((0..1000u16).map(f32::from));
    let (b, expected) = floats((0..1000u16).map(|index| 2.0 * f32::from(index)));
    let (c, _) = floats((0..1000).map(|_| 0.0));
    launch_shape(
        add,
        [8, 1, 1],
        [128, 1, 1],
        0,
        CuStream(0),
        &[a.0, a.0, c.0, 1000],
    )
    .unwrap();
    assert_eq!(download(c, 4000).unwrap(), expected);
    cuMemFree_v2(b).unwrap();
    function(module, "nothing").unwrap();
}

#[test]
fn every_compression_is_read() {
    alone("every_compression_is_read", &[], || {
        start();
        for image in [
            &fixture!("awkward_none.fatbin")[..],
            fixture!("awkward_speed.fatbin"),
            fixture!("awkward_balance.fatbin"),
            fixture!("awkward_size.fatbin"),
            fixture!("awkward_debug.fatbin"),
            fixture!("awkward_ptx.fatbin"),
            fixture!("awkward.ptx"),
        ] {
            let module = load_bytes(image).unwrap();
            adds_vectors(module);
            cuModuleUnload(module).unwrap();
        }
    });
}

#[test]
fn awkward_parameters_arrive() {
    alone("awkward_parameters_arrive", &[], || {
        start();
        let module = load_bytes(fixture!("awkward_size.fatbin")).unwrap();
        let awkward = function(module, "awkward").unwrap();
        let offset = |index| {
            let mut size = 0usize;
            let size_out = Out(&raw mut size);
            out(|offset| cuFuncGetParamInfo(awkward, index, offset, size_out))
                .map(|offset: usize| (offset, size))
        };
        let layout: Vec<_> = (0..6).map(|index| offset(index).unwrap()).collect();
        assert_eq!(
            layout,
            [(0, 1), (2, 2), (8, 24), (32, 12), (48, 8), (56, 1)]
        );
        let result = allocate(4).unwrap();
        let mut buffer = [0u8; 57];
        buffer[0] = 1;
        buffer[2..4].copy_from_slice(&2i16.to_le_bytes());
        buffer[8] = 4;
        buffer[10..12].copy_from_slice(&8i16.to_le_bytes());
        buffer[16..24].copy_from_slice(&16f64.to_le_bytes());
        buffer[26] = 32;
        buffer[32..36].copy_from_slice(&64f32.to_le_bytes());
        buffer[40..44].copy_from_slice(&128f32.to_le_bytes());
        buffer[48..56].copy_from_slice(&result.0.to_le_bytes());
        buffer[56] = 1;
        let mut len = buffer.len();
        let mark = std::ptr::without_provenance_mut;
        let mut extra: [*mut std::ffi::c_void; 5] = [
            mark(1),
            buffer.as_mut_ptr().cast(),
            mark(2),
            (&raw mut len).cast(),
            mark(0),
        ];
        let (none, extra) = (std::ptr::null_mut(), extra.as_mut_ptr());
        cuLaunchKernel(awkward, 1, 1, 1, 1, 1, 1, 0, CuStream(0), none, extra).unwrap();
        assert_eq!(download(result, 4).unwrap(), 256f32.to_le_bytes());
    });
}

#[test]
fn a_cubin_alone_cannot_run() {
    alone("a_cubin_alone_cannot_run", &[], || {
        start();
        let cubin = load_bytes(fixture!("awkward_80.cubin"));
        assert_eq!(cubin, Err(CuError::NO_BINARY_FOR_GPU));
    });
}

#[test]
fn code_that_only_nvidia_compiles_cannot_run() {
    alone("code_that_only_nvidia_compiles_cannot_run", &[], || {
        start();
        let mut lto = fixture!("awkward_none.fatbin").to_vec();
        let mut at = 16;
        while at < lto.len() {
            let header = u32::from_le_bytes(lto[at + 4..at + 8].try_into().unwrap());
            let payload = u64::from_le_bytes(lto[at + 8..at + 16].try_into().unwrap());
            // LTO-IR instead of PTX and cubins.
            lto[at] = 8;
            at += header as usize + usize::try_from(payload).unwrap();
        }
        assert_eq!(load_bytes(&lto), Err(CuError::NO_BINARY_FOR_GPU));
        let empty = [&lto[..8], &[0; 8]].concat();
        assert!(load_bytes(&empty).is_ok(), "nothing is lost");
    });
}

/// What a program registers with its runtime.
#[repr(C)]
struct Wrapper {
    magic: u32,
    version: u32,
    container: *const u8,
    objects: *const *const u8,
}

/// Bytes at an address that suits every header.
#[repr(align(16))]
struct Aligned<T>(T);

#[test]
fn the_objects_of_a_linked_program_are_one_module() {
    alone(
        "the_objects_of_a_linked_program_are_one_module",
        &[],
        || {
            start();
            let linked = Aligned(*fixture!("linked.fatbin"));
            let first = Aligned(*fixture!("object_a.fatbin"));
            let second = Aligned(*fixture!("object_b.fatbin"));
            let objects = [first.0.as_ptr(), second.0.as_ptr(), std::ptr::null()];
            let wrapper = Wrapper {
                magic: 0x4662_43b1,
                version: 2,
                container: linked.0.as_ptr(),
                objects: objects.as_ptr(),
            };
            assert_eq!((wrapper.magic, wrapper.version), (0x4662_43b1, 2));
            assert!(!wrapper.container.is_null() && !wrapper.objects.is_null());
            let module = load_from((&raw const wrapper).cast()).unwrap();
            let caller = function(module, "caller").unwrap();
            let result = allocate(4).unwrap();
            launch(caller, CuStream(0), &[result.0, 21]).unwrap();
            assert_eq!(word(result), Ok(42), "a call into the other object");
            function(module, "idle").unwrap();
        },
    );
}
