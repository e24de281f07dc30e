//! Launches through the driver: cooperative grids, the stack, the heap of kernels.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod driver_support;

use std::ffi::c_void;

use driver_support::*;
use flexdirect_wire::abi::*;
use softgpu_cuda::export::*;

const NONE: CuStream = CuStream(0);

/// `meet` is the barrier of a cooperative grid as CUDA's headers write it; `deep` calls itself as
/// often as it is told; `take` allocates memory and stores where, `give` frees it.
const KERNELS: &str = "
.version 7.0
.target sm_80
.address_size 64
.visible .entry meet(.param .u64 counts)
{
    .reg .u64 %rd<9>; .reg .u32 %r<20>; .reg .pred %p<9>;
    ld.param.u64 %rd1, [counts];
    mov.u32 %r1, %envreg1; mov.u32 %r2, %envreg2;
    mov.b64 %rd2, {%r2, %r1};
    mov.u32 %r3, %nctaid.x; mov.u32 %r10, 0; mov.u32 %r11, 0;
again:
    atom.global.add.u32 %r4, [%rd1], 1;
    add.u32 %r11, %r11, %r3;
    atom.add.release.gpu.u32 %r5, [%rd2+4], 1;
wait:
    ld.acquire.gpu.u32 %r6, [%rd2+4];
    setp.lt.u32 %p1, %r6, %r11;
    @%p1 bra wait;
    ld.volatile.global.u32 %r7, [%rd1];
    setp.lt.u32 %p2, %r7, %r11;
    @%p2 trap;
    add.u32 %r10, %r10, 1;
    setp.lt.u32 %p3, %r10, 5;
    @%p3 bra again;
    ret;
}
.func (.param .u32 result) deeper(.param .u32 left)
{
    .local .align 16 .b8 room[64];
    .reg .u32 %r<9>; .reg .pred %p<3>;
    ld.param.u32 %r1, [left];
    setp.eq.u32 %p1, %r1, 0;
    mov.u32 %r2, 0;
    @%p1 bra out;
    st.local.u32 [room], %r1;
    sub.u32 %r3, %r1, 1;
    call.uni (%r2), deeper, (%r3);
    ld.local.u32 %r4, [room];
    add.u32 %r2, %r2, %r4;
out:
    st.param.u32 [result], %r2;
    ret;
}
.visible .entry deep(.param .u64 to, .param .u32 depth)
{
    .reg .u64 %rd<3>; .reg .u32 %r<4>;
    ld.param.u64 %rd1, [to]; ld.param.u32 %r1, [depth];
    call.uni (%r2), deeper, (%r1);
    st.global.u32 [%rd1], %r2;
    ret;
}
.extern .func (.param .b64 result) malloc(.param .b64 len);
.extern .func free(.param .b64 address);
.visible .entry take(.param .u64 to, .param .u64 len)
{
    .reg .u64 %rd<9>; .reg .u32 %r<4>; .reg .pred %p<3>;
    ld.param.u64 %rd1, [to]; ld.param.u64 %rd2, [len];
    mov.u32 %r1, %ctaid.x; mad.wide.u32 %rd1, %r1, 8, %rd1;
    call.uni (%rd3), malloc, (%rd2);
    st.global.u64 [%rd1], %rd3;
    setp.ne.u64 %p1, %rd3, 0;
    @%p1 st.global.u64 [%rd3], %rd3;
    ret;
}
.visible .entry give(.param .u64 from)
{
    .reg .u64 %rd<9>; .reg .u32 %r<4>;
    ld.param.u64 %rd1, [from];
    mov.u32 %r1, %ctaid.x; mad.wide.u32 %rd1, %r1, 8, %rd1;
    ld.global.u64 %rd2, [%rd1];
    call.uni free, (%rd2);
    ret;
}
";

fn cooperative(function: CuFunction, blocks: u32, threads: u32, parameter: u64) -> CuResult {
    let mut parameter = parameter;
    let mut pointers: [*mut c_void; 1] = [(&raw mut parameter).cast()];
    let pointers = pointers.as_mut_ptr();
    cuLaunchCooperativeKernel(function, blocks, 1, 1, threads, 1, 1, 0, NONE, pointers)
}

#[test]
fn a_cooperative_grid_meets_and_must_fit() {
    alone("a_cooperative_grid_meets_and_must_fit", &[], meets);
    alone(
        "a_cooperative_grid_meets_and_must_fit",
        &[("SOFTGPU_SMS", "1")],
        meets,
    );
}

fn meets() {
    start();
    let attribute = |number| {
        out(|value| cuDeviceGetAttribute(value, CuDeviceAttribute(number), CuDevice(0))).unwrap()
    };
    assert_eq!(attribute(95), 1, "cooperative launch");
    let processors = attribute(16).unsigned_abs();
    let module = load(KERNELS).unwrap();
    let meet = function(module, "meet").unwrap();
    let each = out(|count| cuOccupancyMaxActiveBlocksPerMultiprocessor(count, meet, 64, 0));
    let most = each.unwrap().unsigned_abs() * processors;
    let counts = allocate(4).unwrap();
    let free = || {
        let (mut free, mut total) = (0usize, 0usize);
        cuMemGetInfo_v2(Out(&raw mut free), Out(&raw mut total)).unwrap();
        free
    };
    let before = free();
    for _ in 0..2 {
        upload(counts, &[0; 4]).unwrap();
        cooperative(meet, most, 64, counts.0).unwrap();
        assert_eq!(
            word(counts),
            Ok(most * 64 * 5),
            "a fresh workspace each time"
        );
    }
    assert_eq!(free(), before, "the workspace is given back");
    let too_large = Err(CuError::COOPERATIVE_LAUNCH_TOO_LARGE);
    assert_eq!(cooperative(meet, most + 1, 64, counts.0), too_large);
    // The layout of CUlaunchAttribute: identifier, padding, 64 bytes of value.
    let mut attribute = [0u64; 9];
    (attribute[0], attribute[1]) = (2, 1);
    let mut config = CuLaunchConfig {
        grid: [most + 1, 1, 1],
        block: [64, 1, 1],
        shared_mem_bytes: 0,
        stream: NONE,
        attrs: attribute.as_mut_ptr().cast(),
        num_attrs: 1,
    };
    let mut parameter = counts.0;
    let mut pointers: [*mut c_void; 1] = [(&raw mut parameter).cast()];
    let none = std::ptr::null_mut();
    assert_eq!(
        cuLaunchKernelEx(&raw const config, meet, pointers.as_mut_ptr(), none),
        too_large
    );
    config.grid = [most, 1, 1];
    upload(counts, &[0; 4]).unwrap();
    cuLaunchKernelEx(&raw const config, meet, pointers.as_mut_ptr(), none).unwrap();
    assert_eq!(word(counts), Ok(most * 64 * 5));
}

#[test]
fn recursion_goes_as_deep_as_the_stack() {
    alone("recursion_goes_as_deep_as_the_stack", &[], || {
        start();
        let module = load(KERNELS).unwrap();
        let deep = function(module, "deep").unwrap();
        let to = allocate(4).unwrap();
        launch(deep, NONE, &[to.0, 8]).unwrap();
        assert_eq!(word(to), Ok(36), "a little recursion needs nothing");
        cuCtxSetLimit(CuLimit(0), 64 << 10).unwrap();
        launch(deep, NONE, &[to.0, 200]).unwrap();
        assert_eq!(word(to), Ok(20_100), "of 80 bytes each");
        assert_eq!(
            cuCtxSetLimit(CuLimit(0), 1 << 30),
            Err(CuError::INVALID_VALUE)
        );
        cuCtxSetLimit(CuLimit(0), 2 << 10).unwrap();
        launch(deep, NONE, &[to.0, 200]).unwrap();
        let overflow = Err(CuError::HARDWARE_STACK_ERROR);
        assert_eq!(cuCtxSynchronize(), overflow);
        assert_eq!(word(to), Err(CuError::HARDWARE_STACK_ERROR), "sticky");
        cuDevicePrimaryCtxReset_v2(CuDevice(0)).unwrap();
        assert_eq!(out(|limit| cuCtxGetLimit(limit, CuLimit(0))), Ok(1024));
    });
}

#[test]
fn kernels_allocate_from_a_heap_of_the_size_asked_for() {
    alone(
        "kernels_allocate_from_a_heap_of_the_size_asked_for",
        &[],
        || {
            start();
            cuCtxSetLimit(CuLimit(2), 1 << 20).unwrap();
            let module = load(KERNELS).unwrap();
            let (take, give) = (
                function(module, "take").unwrap(),
                function(module, "give").unwrap(),
            );
            let places = allocate(8 * 40).unwrap();
            let shape = |function, parameters: &[u64]| {
                launch_shape(function, [40, 1, 1], [1, 1, 1], 0, NONE, parameters).unwrap();
                let bytes = download(places, 8 * 40).unwrap();
                let mut addresses: Vec<u64> = bytes
                    .chunks_exact(8)
                    .map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap()))
                    .filter(|&address| address != 0)
                    .collect();
                addresses.sort_unstable();
                addresses
            };
            for _ in 0..3 {
                // Room for 32 of 40.
                let taken = shape(take, &[places.0, 32 << 10]);
                assert_eq!(taken.len(), 32);
                assert!(taken.windows(2).all(|pair| pair[1] - pair[0] >= 32 << 10));
                shape(give, &[places.0]);
            }
            assert_eq!(
                cuCtxSetLimit(CuLimit(2), 2 << 20),
                Err(CuError::INVALID_VALUE),
                "in use"
            );
        },
    );
}

#[test]
fn output_beyond_its_buffer_loses_what_is_oldest() {
    let name = "output_beyond_its_buffer_loses_what_is_oldest";
    let body = || {
        start();
        cuCtxSetLimit(CuLimit(1), 20).unwrap();
        let say = function(load(PTX).unwrap(), "say").unwrap();
        launch_shape(say, [10, 1, 1], [1, 1, 1], 0, NONE, &[]).unwrap();
        cuCtxSynchronize().unwrap();
    };
    if std::env::var_os("SOFTGPU_TEST_CHILD").is_some() {
        return body();
    }
    assert_eq!(said_alone(name, &[]).matches("hello").count(), 3);
}
