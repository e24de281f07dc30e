//! Kernels made to harm: each is refused or ends, and nothing outside the arena is touched.
#![allow(clippy::unwrap_used, reason = "test code")]

mod ptx_support;

use std::sync::atomic::Ordering;

use ptx_support::{Arg, Gpu};
use softgpu_cuda::exec::{Fault, Program};
use softgpu_cuda::ptx;

const HEAD: &str = ".version 7.0\n.target sm_80\n.address_size 64\n";

fn program(text: &str) -> Program {
    Program::link(&ptx::parse(&format!("{HEAD}{text}")).unwrap()).unwrap()
}

#[test]
fn atomics_of_sizes_that_do_not_exist_are_refused() {
    for kind in [
        "add.u8",
        "exch.b8",
        "or.b8",
        "exch.b128",
        "add.pred",
        "cas.b8",
    ] {
        let text = format!(
            ".visible .entry k(.param .u64 to) {{ .reg .b64 %d<3>; .reg .b16 %h<4>;\n\
             ld.param.u64 %d1, [to]; atom.global.{kind} %h1, [%d1], 1{};\nret; }}",
            if kind.starts_with("cas") { ", 2" } else { "" }
        );
        assert!(program(&text).kernel("k").unwrap().is_err(), "{kind}");
    }
}

#[test]
fn bulk_copies_that_nothing_bounds_are_refused() {
    for spaces in ["global.global", "global.local"] {
        let text = format!(
            ".visible .entry k(.param .u64 to) {{ .reg .b64 %d<3>;\n\
             ld.param.u64 %d1, [to];\n\
             cp.async.bulk.{spaces}.bulk_group [%d1], [%d1], 0xfffffff0;\nret; }}"
        );
        assert!(program(&text).kernel("k").unwrap().is_err(), "{spaces}");
    }
}

#[test]
fn calls_without_end_can_be_cancelled() {
    // 2^60 calls, of which none branches backwards.
    let text = format!(
        "{HEAD}.extern .func (.param .b32 r) vprintf(.param .b64 f, .param .b64 v);\n\
         .global .align 1 .b8 text[2] = {{46, 0}};\n\
         .func deeper(.param .b32 left) {{ .reg .b32 %r<3>; .reg .pred %p;\n\
         ld.param.u32 %r1, [left]; setp.eq.u32 %p, %r1, 0; @%p ret;\n\
         sub.u32 %r2, %r1, 1; .param .b32 next; st.param.b32 [next], %r2;\n\
         call deeper, (next); st.param.b32 [next], %r2; call deeper, (next); ret; }}\n\
         .visible .entry k(.param .u64 to) {{ .param .b32 first; .reg .b32 %r; .reg .b64 %d;\n\
         mov.u64 %d, text; .param .b64 f; st.param.b64 [f], %d; .param .b64 v;\n\
         .param .b32 r; st.param.b64 [v], 0; call (r), vprintf, (f, v); mov.u32 %r, 60;\n\
         st.param.b32 [first], %r; call deeper, (first); ret; }}"
    );
    let gpu = Gpu::with_arena(&text, 1 << 16);
    let cancelled = std::thread::scope(|scope| {
        let running = scope.spawn(|| gpu.launch("k", [1; 3], [1; 3], 0, &[Arg::Address(0)]));
        // The kernel has begun, so it is in the calls that it has to look.
        while gpu.printed.lock().unwrap().is_empty() {
            std::hint::spin_loop();
        }
        gpu.cancel.store(true, Ordering::Relaxed);
        running.join().unwrap()
    });
    assert_eq!(cancelled, Err(Fault::Cancelled));
}

#[test]
fn a_huge_grid_ends_when_cancelled() {
    let gpu = Gpu::with_arena(&format!("{HEAD}.visible .entry k() {{ ret; }}"), 1 << 16);
    let result = std::thread::scope(|scope| {
        let running = scope.spawn(|| gpu.launch("k", [0x7fff_ffff, 65535, 2], [1; 3], 0, &[]));
        gpu.cancel.store(true, Ordering::Relaxed);
        running.join().unwrap()
    });
    assert_eq!(result, Err(Fault::Cancelled));
}

#[test]
fn thread_counts_that_wrap_are_refused() {
    let gpu = Gpu::with_arena(&format!("{HEAD}.visible .entry k() {{ ret; }}"), 1 << 16);
    for block in [[1 << 31, 1 << 31, 4], [u32::MAX; 3]] {
        let result = gpu.launch("k", [1; 3], block, 0, &[]);
        assert!(
            matches!(result, Err(Fault::InvalidLaunch { .. })),
            "{result:?}"
        );
    }
}

#[test]
fn barriers_used_again_at_once_give_each_group_its_own_result() {
    // Warps 0 and 1 meet at barrier 1, then warps 2 and 3 do; each pair counts its own lanes.
    let text = format!(
        "{HEAD}.visible .entry k(.param .u64 to) {{ .reg .b32 %r<9>; .reg .b64 %d<9>;\n\
         .reg .pred %p<4>; ld.param.u64 %d1, [to]; mov.u32 %r1, %tid.x;\n\
         setp.lt.u32 %p1, %r1, 64; bar.red.popc.u32 %r2, 1, 64, %p1;\n\
         mad.wide.u32 %d2, %r1, 4, %d1; st.global.u32 [%d2], %r2; ret; }}"
    );
    let gpu = Gpu::with_arena(&text, 1 << 16);
    let to = gpu.allocate(512);
    gpu.launch("k", [1; 3], [128, 1, 1], 0, &[Arg::Address(to)])
        .unwrap();
    let wanted: Vec<u32> = (0..128)
        .map(|thread| if thread < 64 { 64 } else { 0 })
        .collect();
    assert_eq!(gpu.words(to, 128), wanted);
}

#[test]
fn a_printf_whose_values_lie_at_the_end_of_the_addresses_is_a_fault() {
    let text = format!(
        "{HEAD}.extern .func (.param .b32 r) vprintf(.param .b64 f, .param .b64 v);\n\
         .global .align 1 .b8 text[4] = {{37, 102, 10, 0}};\n\
         .visible .entry k() {{ .reg .b64 %d<3>; mov.u64 %d1, text;\n\
         .param .b64 f; st.param.b64 [f], %d1; .param .b64 v; st.param.b64 [v], -1;\n\
         .param .b32 r; call (r), vprintf, (f, v); ret; }}"
    );
    let gpu = Gpu::with_arena(&text, 1 << 16);
    let result = gpu.launch("k", [1; 3], [1; 3], 0, &[]);
    assert!(
        matches!(result, Err(Fault::IllegalAddress { .. })),
        "{result:?}"
    );
}
