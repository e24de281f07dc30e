//! `SOFTGPU_CHECK=1`: every kind of access that misses its allocation is named, with kernel, block,
//! thread and address.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod driver_support;

use std::process::Command;

use driver_support::*;
use flexdirect_wire::abi::*;
use softgpu_cuda::export::*;

const NONE: CuStream = CuStream(0);

/// A kernel each: its name, its body, and what is told of it. `%p` is the end of an allocation less
/// 16 bytes in thread 0 of block 1, `%s` shared memory of which 64 bytes are left from there on.
const KERNELS: [(&str, &str, &str); 14] = [
    (
        "copied",
        "cp.async.ca.shared.global [%s], [%p+16], 16;",
        "__global__ read of size 16",
    ),
    (
        "short",
        "cp.async.ca.shared.global [%s], [%p+12], 4, 2;",
        "",
    ),
    (
        "placed",
        "cp.async.cg.shared.global [%s+64], [%p], 16;",
        "__shared__ write of size 16",
    ),
    (
        "bulk",
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%s], [%p], 32, \
         [%s+32];",
        "__global__ read of size 32",
    ),
    (
        "back",
        "cp.async.bulk.global.shared::cta.bulk_group [%p+16], [%s], 16;",
        "__global__ write of size 16",
    ),
    (
        "tiles",
        "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r0}, [%s+64];",
        "__shared__ read of size 16",
    ),
    (
        "put_tiles",
        "stmatrix.sync.aligned.m8n8.x1.shared.b16 [%s+64], {%r0};",
        "__shared__ write of size 16",
    ),
    (
        "fragment",
        "wmma.load.c.sync.aligned.row.m16n16k16.global.f32 {%f0,%f1,%f2,%f3,%f4,%f5,%f6,%f7}, \
         [%p], 16;",
        "__global__ read of size 4",
    ),
    (
        "put_fragment",
        "wmma.store.d.sync.aligned.row.m16n16k16.global.f32 [%p], \
         {%f0,%f1,%f2,%f3,%f4,%f5,%f6,%f7}, 16;",
        "__global__ write of size 4",
    ),
    (
        "vector",
        "ld.global.v4.f32 {%f0,%f1,%f2,%f3}, [%p+16];",
        "__global__ read of size 16",
    ),
    (
        "vector_atomic",
        "atom.global.add.v4.f32 {%f0,%f1,%f2,%f3}, [%p+16], {%f4,%f5,%f6,%f7};",
        "__global__ write of size 16",
    ),
    (
        "wide",
        "ld.relaxed.gpu.global.b128 %w, [%p+16];",
        "__global__ read of size 16",
    ),
    (
        "wide_atomic",
        "atom.global.exch.b128 _, [%p+16], %w;",
        "__global__ write of size 16",
    ),
    (
        "barrier",
        "mbarrier.init.shared.b64 [%s+64], 1;",
        "__shared__ write of size 8",
    ),
];

fn module() -> String {
    let kernel = |(name, body, _): &(&str, &str, &str)| {
        format!(
            ".visible .entry {name}(.param .u64 at)\n{{
             .reg .u64 %p, %l<3>; .reg .u32 %r<4>, %s; .reg .f32 %f<8>; .reg .b128 %w;
             .reg .pred %q;
             .shared .align 128 .b8 room[64];
             mov.u32 %r1, %ctaid.x; setp.eq.u32 %q, %r1, 0; @%q exit;
             ld.param.u64 %p, [at]; mov.u32 %s, room; mov.u32 %r0, 0;
             mov.f32 %f0, 0f00000000; mov.f32 %f1, %f0; mov.f32 %f2, %f0; mov.f32 %f3, %f0;
             mov.f32 %f4, %f0; mov.f32 %f5, %f0; mov.f32 %f6, %f0; mov.f32 %f7, %f0;
             mov.u64 %l1, 0; mov.b128 %w, {{%l1, %l1}};
             {body}
             ret;
             }}\n"
        )
    };
    let head = ".version 8.8\n.target sm_90\n.address_size 64\n";
    let images = "
        .visible .entry put_surface(.param .u64 surface)
        {
            .reg .u64 %l<2>; .reg .u32 %r<4>;
            ld.param.u64 %l1, [surface];
            mov.u32 %r1, 64; mov.u32 %r2, 3; mov.u32 %r3, 7;
            sust.b.2d.b32.trap [%l1, {%r1, %r2}], {%r3};
            ret;
        }
        .visible .entry fetch_freed(.param .u64 texture)
        {
            .reg .u64 %l<2>; .reg .u32 %r<6>;
            ld.param.u64 %l1, [texture];
            mov.u32 %r1, 0;
            tex.1d.v4.u32.s32 {%r2, %r3, %r4, %r5}, [%l1, {%r1}];
            ret;
        }";
    let kernels: String = KERNELS.iter().map(kernel).collect();
    format!("{head}{kernels}{images}")
}

/// Launches two blocks of a warp: whether the context lives.
fn survives(kernel: &str, parameter: u64) -> CuResult {
    let kernel = function(load(&module()).unwrap(), kernel)?;
    launch_shape(kernel, [2, 1, 1], [32, 1, 1], 0, NONE, &[parameter])?;
    cuCtxSynchronize()
}

fn surface() -> u64 {
    let described = CudaArray3dDescriptor {
        width: 16,
        height: 8,
        format: CuArrayFormat(0x03),
        channels: 1,
        flags: 2,
        ..CudaArray3dDescriptor::default()
    };
    let array = out(|array| cuArray3DCreate_v2(array, &raw const described)).unwrap();
    let resource = CudaResourceDesc::array(0, array.0);
    let object = out(|object| cuSurfObjectCreate(object, &raw const resource)).unwrap();
    object.0
}

fn freed_texture() -> u64 {
    let address = allocate(4096).unwrap();
    let words = CudaResourceMemory {
        address,
        format: CuArrayFormat(0x03),
        channels: 1,
    };
    let linear = CudaResourceDesc::memory(2, words, &[64]);
    let reading = CudaTextureDesc {
        address_mode: [CuAddressMode(1); 3],
        flags: 1,
        ..CudaTextureDesc::default()
    };
    let none = std::ptr::null();
    let object: CuTexObject =
        out(|object| cuTexObjectCreate(object, &raw const linear, &raw const reading, none))
            .unwrap();
    cuMemFree_v2(address).unwrap();
    object.0
}

/// What the child of this test writes to stderr.
fn complaint(name: &str) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let state = std::env::temp_dir().join(format!("softgpu-{name}-{}", std::process::id()));
    command
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env("SOFTGPU_TEST_CHILD", "1")
        .env("SOFTGPU_MEMORY", "64M")
        .env("SOFTGPU_STATE", &state)
        .env("SOFTGPU_CHECK", "1");
    let output = command.output().unwrap();
    let _ = std::fs::remove_file(state.with_extension("health"));
    let _ = std::fs::remove_file(state);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
    text
}

fn accesses() {
    for (kernel, _, told) in KERNELS {
        start();
        let place = allocate(4096).unwrap();
        let end = place.0 + 4096 - 16;
        eprintln!("{kernel}: at {end:x}");
        let result = survives(kernel, end);
        assert_eq!(result.is_ok(), told.is_empty(), "{kernel}");
        cuDevicePrimaryCtxReset_v2(CuDevice(0)).unwrap();
    }
    start();
    assert_eq!(
        survives("put_surface", surface()),
        Err(CuError::LAUNCH_FAILED)
    );
    cuDevicePrimaryCtxReset_v2(CuDevice(0)).unwrap();
    start();
    let freed = survives("fetch_freed", freed_texture());
    assert_eq!(freed, Err(CuError::ILLEGAL_ADDRESS));
}

#[test]
fn every_kind_of_access_is_checked() {
    if std::env::var_os("SOFTGPU_TEST_CHILD").is_some() {
        accesses();
        return;
    }
    let said = complaint("every_kind_of_access_is_checked");
    let images = [
        ("put_surface", "", "__surface__ write of size 4"),
        ("fetch_freed", "", "__texture__ read of size 4"),
    ];
    for (kernel, body, told) in KERNELS.into_iter().chain(images) {
        let own = format!("in kernel {kernel},");
        let lines: Vec<&str> = said.lines().filter(|line| line.contains(&own)).collect();
        if told.is_empty() {
            assert_eq!(lines, [""; 0], "{kernel}");
            continue;
        }
        // Both blocks of a kernel may get as far.
        let line = lines.first().unwrap_or_else(|| panic!("{kernel}: {said}"));
        let is_told = line.contains(&format!("Invalid {told} bytes at 0x"));
        let block = if body.is_empty() {
            "block ("
        } else {
            "block (1,0,0)"
        };
        assert!(is_told && line.contains(block), "{line}");
        assert!(line.contains("by thread (0,0,0)"), "{line}");
    }
}
