//! Memory of a thread whose size is known at run time, accesses of 128 and 256 bits, and advice to
//! caches, policies and spaces.
#![allow(clippy::unwrap_used, reason = "test code")]

mod ptx_support;

use ptx_support::{Arg, Gpu};
use softgpu_cuda::exec::Fault;

const HEAD: &str = ".version 8.3\n.target sm_80\n.address_size 64\n";

fn kernel(functions: &str, body: &str) -> Gpu {
    Gpu::new(&format!(
        "{HEAD}{functions}\n.visible .entry k(.param .u64 to)\n{{\n\
         .reg .b32 %r<16>; .reg .b64 %d<16>; .reg .pred %p<4>;\n\
         ld.param.u64 %d0, [to]; mov.u32 %r0, %tid.x; mad.wide.u32 %d0, %r0, 32, %d0;\n\
         {body}\nret;\n}}"
    ))
}

fn run(gpu: &Gpu, threads: u32) -> Result<Vec<u64>, Fault> {
    let to = gpu.allocate(32 * threads as usize);
    gpu.launch("k", [1, 1, 1], [threads, 1, 1], 0, &[Arg::Address(to)])?;
    Ok(gpu.longs(to, 4 * threads as usize))
}

#[test]
fn every_thread_takes_as_much_as_it_asks_for() {
    // Lane i takes 8 * (i + 1) bytes twice, fills them and adds them up.
    let gpu = kernel(
        "",
        ".local .b64 kept; st.local.b64 [kept], 7;
         add.u32 %r1, %r0, 1; shl.b32 %r2, %r1, 3;
         stacksave.u32 %r9; alloca.u32 %r3, %r2; alloca.u32 %r4, %r2, 64;
         mov.u32 %r5, 0;
         fill: mad.lo.u32 %r6, %r5, 8, %r3; st.local.b32 [%r6], %r5; st.local.b32 [%r6+4], %r0;
         mad.lo.u32 %r6, %r5, 8, %r4; st.local.b64 [%r6], -1;
         add.u32 %r5, %r5, 1; setp.lt.u32 %p0, %r5, %r1; @%p0 bra fill;
         mov.u32 %r5, 0; mov.u64 %d1, 0;
         sum: mad.lo.u32 %r6, %r5, 8, %r3; ld.local.b64 %d2, [%r6]; add.u64 %d1, %d1, %d2;
         add.u32 %r5, %r5, 1; setp.lt.u32 %p0, %r5, %r1; @%p0 bra sum;
         and.b32 %r7, %r4, 63; cvt.u64.u32 %d3, %r7; ld.local.b64 %d4, [kept];
         stackrestore.u32 %r9; stacksave.u32 %r10; sub.u32 %r10, %r10, %r9; cvt.u64.u32 %d5, %r10;
         st.global.v2.b64 [%d0], {%d1, %d3}; st.global.v2.b64 [%d0+16], {%d4, %d5};",
    );
    let found = run(&gpu, 45).unwrap();
    for (lane, four) in found.chunks_exact(4).enumerate() {
        let lane = lane as u64;
        let sum = (0..=lane).map(|at| at | lane << 32).sum();
        assert_eq!(four, [sum, 0, 7, 0], "lane {lane}");
    }
}

#[test]
fn what_a_function_took_is_given_back_when_it_returns() {
    let functions = ".func (.param .b64 result) inner(.param .b64 size)\n{\n\
         .reg .b64 %s, %a, %g; ld.param.b64 %s, [size]; alloca.u64 %a, %s;\n\
         st.local.b64 [%a], %s; cvta.local.u64 %g, %a; ld.b64 %s, [%g];\n\
         st.param.b64 [result], %a; ret;\n}";
    let call = "{ .param .b64 p; .param .b64 r; st.param.b64 [p], 256;
        call (r), inner, (p); ld.param.b64 %dN, [r]; }";
    let body = format!(
        "alloca.u64 %d1, 16; st.local.b64 [%d1], 5;\n{}\n{}\n\
         ld.local.b64 %d4, [%d1]; sub.u64 %d5, %d1, %d2; st.global.v2.b64 [%d0], {{%d2, %d3}}; \
         st.global.v2.b64 [%d0+16], {{%d4, %d5}};",
        call.replace('N', "2"),
        call.replace('N', "3")
    );
    let found = run(&kernel(functions, &body), 40).unwrap();
    for four in found.chunks_exact(4) {
        assert_eq!(four[0], four[1], "the second call takes the same place");
        assert_eq!(four[2], 5);
        assert!(four[3] >= 256);
    }
}

#[test]
fn more_than_there_is_overflows_the_stack() {
    for body in [
        "alloca.u32 %r1, 0x7fffffff;",
        "alloca.u32 %r1, -1;",
        "alloca.u64 %d1, -1;",
        "again: alloca.u32 %r1, 1024; bra again;",
    ] {
        let result = run(&kernel("", body), 3);
        assert!(
            matches!(result, Err(Fault::StackOverflow { .. })),
            "{body}: {result:?}"
        );
    }
    // A frame does not reach into what was taken.
    let functions = ".func f() { .local .b8 big[512]; .reg .b32 %r; mov.u32 %r, big; \
                     st.local.b32 [%r], %r; call f; ret; }";
    let result = run(&kernel(functions, "alloca.u32 %r1, 64; call f;"), 3);
    assert!(
        matches!(result, Err(Fault::StackOverflow { .. })),
        "{result:?}"
    );
    // Any number may be given as a stack pointer.
    for pointer in ["0", "-1", "12345"] {
        let body = format!("stackrestore.u64 {pointer}; alloca.u64 %d1, 8; stackrestore.u64 %d1;");
        let result = run(&kernel("", &body), 3);
        assert!(
            matches!(result, Ok(_) | Err(Fault::StackOverflow { .. })),
            "{pointer}: {result:?}"
        );
    }
}

#[test]
fn wide_registers_go_to_memory_and_back() {
    let gpu = kernel(
        "",
        ".reg .b128 %q<4>; .shared .align 32 .b8 s[64];
         mov.u64 %d1, 0x1111; mov.u64 %d2, 0x2222; mov.b128 %q0, {%d1, %d2};
         mov.u64 %d1, 0x3333; mov.u64 %d2, 0x4444; mov.b128 %q1, {%d1, %d2};
         st.shared.v2.b128 [s], {%q0, %q1}; st.shared.b128 [s+32], %q1;
         ld.shared.v2.b128 {%q2, %q3}, [s];
         mov.b128 {%d1, %d2}, %q2; mov.b128 {%d3, %d4}, %q3;
         add.u64 %d1, %d1, %d4; ld.shared.b128 %q2, [s+32]; mov.b128 {%d5, %d6}, %q2;
         sub.u64 %d5, %d5, %d3;
         st.global.v2.b64 [%d0], {%d1, %d2}; st.global.v2.b64 [%d0+16], {%d5, %d6};",
    );
    assert_eq!(run(&gpu, 1).unwrap(), [0x5555, 0x2222, 0, 0x4444]);
    let gpu = kernel("", ".reg .b128 %q; ld.global.b128 %q, [%d0+8];");
    let result = run(&gpu, 1);
    assert!(
        matches!(result, Err(Fault::Misaligned { .. })),
        "{result:?}"
    );
}

#[test]
fn advice_and_policies_are_accepted() {
    let gpu = kernel(
        "",
        "prefetch.global.L2::evict_last [%d0]; prefetch.L1 [%d0]; prefetchu.L1 [%d0];
         discard.global.L2 [%d0], 128; applypriority.global.L2::evict_normal [%d0], 128;
         createpolicy.fractional.L2::evict_last.L2::evict_unchanged.b64 %d1, 1.0;
         createpolicy.range.global.L2::evict_last.L2::evict_first.b64 %d2, [%d0], 0x100, 0x200;
         createpolicy.cvt.L2.b64 %d3, 0x10f0000000000000;
         st.global.L2::cache_hint.b64 [%d0], 3, %d1;
         ld.global.L1::evict_last.L2::cache_hint.L2::128B.b64 %d4, [%d0], %d1;
         .local .b64 l; .shared .b64 s; .reg .b64 %g<4>;
         mov.u64 %g0, l; cvta.local.u64 %g0, %g0; mov.u64 %g1, s; cvta.shared.u64 %g1, %g1;
         isspacep.local %p0, %g0; selp.b64 %d5, 1, 0, %p0;
         isspacep.shared %p1, %g1; selp.b64 %d6, 2, 0, %p1; or.b64 %d5, %d5, %d6;
         isspacep.global %p2, %d0; selp.b64 %d6, 4, 0, %p2; or.b64 %d5, %d5, %d6;
         isspacep.shared::cta %p3, %g0; selp.b64 %d6, 8, 0, %p3; or.b64 %d5, %d5, %d6;
         isspacep.global %p3, %g1; selp.b64 %d6, 16, 0, %p3; or.b64 %d5, %d5, %d6;
         st.global.v2.b64 [%d0+16], {%d4, %d5};",
    );
    assert_eq!(run(&gpu, 1).unwrap(), [3, 0, 3, 7]);
}
