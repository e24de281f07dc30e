//! Kernels that go wrong: every fault is reported with its place, and none takes the process along.
#![allow(clippy::unwrap_used, reason = "test code")]

mod ptx_support;

use std::sync::atomic::Ordering;

use ptx_support::{Arg, Gpu};
use softgpu_cuda::exec::{Fault, Program};
use softgpu_cuda::ptx;

const HEAD: &str = ".version 7.0\n.target sm_80\n.address_size 64\n";

fn gpu(body: &str) -> Gpu {
    let text = format!(
        "{HEAD}.visible .entry k(.param .u64 to)\n{{\n.reg .b32 %r<9>;\n.reg .b64 %d<9>;\n\
         .reg .pred %p<9>;\nld.param.u64 %d1, [to];\n{body}\nret;\n}}"
    );
    Gpu::with_arena(&text, 1 << 16)
}

fn run(gpu: &Gpu, to: u64, threads: u32) -> Result<(), Fault> {
    gpu.launch("k", [2, 1, 1], [threads, 1, 1], 64, &[Arg::Address(to)])
}

#[test]
fn an_address_outside_the_arena_names_its_thread() {
    let gpu = gpu("mov.u32 %r1, %tid.x; mad.wide.u32 %d2, %r1, 4, %d1;\nst.global.u32 [%d2], %r1;");
    // Room for 40 threads of 64.
    let Err(Fault::IllegalAddress { place, address }) = run(&gpu, gpu.end() - 160, 64) else {
        panic!()
    };
    assert_eq!(
        (place.kernel.as_str(), place.block, place.thread),
        ("k", [0; 3], [40, 0, 0])
    );
    assert_eq!((address, place.line), (gpu.end(), 11));
}

#[test]
fn wild_pointers_of_every_space_are_faults() {
    for body in [
        "mov.u64 %d2, 0; ld.global.u32 %r1, [%d2];",
        "mov.u64 %d2, 0; ld.u32 %r1, [%d2];",
        "mov.u64 %d2, -8; st.u64 [%d2], %d2;",
        "mov.u64 %d2, 0x7fffffffffff; st.global.u8 [%d2], %r1;",
        "mov.u32 %r1, 64; ld.shared.u32 %r2, [%r1];",
        "mov.u32 %r1, -4; st.shared.u32 [%r1], %r2;",
        "mov.u64 %d2, 0xfffe00000040; ld.u32 %r1, [%d2];",
        "mov.u64 %d2, 0xffff00000000; ld.u32 %r1, [%d2];",
        "mov.u64 %d2, 0xfffd00000000; st.u64 [%d2], %d1;",
        "mov.u64 %d2, 4096; atom.global.add.u32 %r1, [%d2], 1;",
        "mov.u64 %d2, 1000; ld.local.u32 %r1, [%d2];",
        "ld.param.u64 %d2, [to+8];",
    ] {
        let gpu = gpu(body);
        let result = run(&gpu, gpu.allocate(64), 32);
        assert!(
            matches!(result, Err(Fault::IllegalAddress { .. })),
            "{body}: {result:?}"
        );
    }
}

#[test]
fn misaligned_accesses_are_faults() {
    for body in [
        "ld.global.u32 %r1, [%d1+2];",
        "st.global.u64 [%d1+4], %d1;",
        "ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%d1+8];",
        "atom.global.add.u32 %r1, [%d1+1], 1;",
        "mov.u32 %r1, 2; ld.shared.u32 %r2, [%r1];",
    ] {
        let gpu = gpu(body);
        let result = run(&gpu, gpu.allocate(64), 32);
        assert!(
            matches!(result, Err(Fault::Misaligned { .. })),
            "{body}: {result:?}"
        );
    }
}

#[test]
fn traps_and_bad_calls_end_the_launch() {
    let trap = gpu("mov.u32 %r1, %tid.x; setp.eq.u32 %p1, %r1, 7; @%p1 trap;");
    let Err(Fault::Trap { place }) = run(&trap, 0, 32) else {
        panic!()
    };
    assert_eq!(place.thread, [7, 0, 0]);
    let call = gpu("proto: .callprototype _ (); mov.u64 %d2, 12345; call %d2, (), proto;");
    assert!(matches!(
        run(&call, 0, 32),
        Err(Fault::IllegalInstruction { .. })
    ));
    let barrier = gpu("mov.u32 %r1, 99; bar.sync %r1;");
    assert!(matches!(
        run(&barrier, 0, 32),
        Err(Fault::IllegalInstruction { .. })
    ));
}

#[test]
fn endless_recursion_is_a_stack_overflow() {
    let text = format!(
        "{HEAD}.func deeper() {{ .local .b8 room[64]; call deeper; ret; }}\n\
         .visible .entry k(.param .u64 to) {{ call deeper; ret; }}"
    );
    let gpu = Gpu::with_arena(&text, 1 << 16);
    assert!(matches!(run(&gpu, 0, 32), Err(Fault::StackOverflow { .. })));
}

#[test]
fn barriers_that_cannot_complete_are_a_fault_and_exited_threads_are_not_waited_for() {
    let deadlock = gpu("bar.sync 1, 96;");
    assert!(matches!(
        run(&deadlock, 0, 64),
        Err(Fault::BarrierDeadlock { .. })
    ));
    let different =
        gpu("mov.u32 %r1, %tid.x; setp.lt.u32 %p1, %r1, 32; @%p1 bar.sync 1; @!%p1 bar.sync 2;");
    assert!(matches!(
        run(&different, 0, 64),
        Err(Fault::BarrierDeadlock { .. })
    ));
    let early = gpu("mov.u32 %r1, %tid.x; setp.lt.u32 %p1, %r1, 40; @%p1 exit; bar.sync 0;");
    assert_eq!(run(&early, 0, 64), Ok(()));
    let late = gpu("mov.u32 %r1, %tid.x; setp.ge.u32 %p1, %r1, 40; @%p1 bra go; bar.sync 0; go:");
    assert_eq!(run(&late, 0, 64), Ok(()));
}

#[test]
fn a_barrier_within_a_diverged_warp_counts_lanes() {
    // The two halves of each warp arrive from different instructions.
    let gpu = gpu(
        "mov.u32 %r1, %tid.x; and.b32 %r2, %r1, 1; setp.eq.u32 %p1, %r2, 0; @%p1 bra even;\n\
         barrier.sync 0; bra out; even: barrier.sync 0; out:\n\
         mad.wide.u32 %d2, %r1, 4, %d1; st.global.u32 [%d2], %r1;",
    );
    let to = gpu.allocate(400);
    assert_eq!(run(&gpu, to, 100), Ok(()));
    assert_eq!(gpu.words(to, 100), (0..100).collect::<Vec<u32>>());
}

#[test]
fn an_endless_kernel_ends_when_cancelled() {
    for body in ["again: bra again;", "again: nanosleep.u32 10; bra again;"] {
        let mut gpu = gpu(body);
        gpu.workers = 2;
        let result = std::thread::scope(|scope| {
            let running = scope.spawn(|| run(&gpu, 0, 64));
            gpu.cancel.store(true, Ordering::Relaxed);
            running.join().unwrap()
        });
        assert_eq!(result, Err(Fault::Cancelled), "{body}");
    }
}

#[test]
fn warps_of_a_block_can_wait_for_one_another_in_loops() {
    let gpu = gpu(
        "mov.u32 %r1, %tid.x; setp.ge.u32 %p1, %r1, 32; @%p1 bra writer;\n\
         again: ld.volatile.shared.u32 %r2, [0]; setp.ne.u32 %p2, %r2, 77; @%p2 bra again;\n\
         st.global.u32 [%d1], %r2; bra out; writer: mov.u32 %r2, 77;\n\
         st.volatile.shared.u32 [0], %r2;\n\
         out:",
    );
    let to = gpu.allocate(4);
    assert_eq!(run(&gpu, to, 64), Ok(()));
    assert_eq!(gpu.words(to, 1), [77]);
}

#[test]
fn a_cooperative_grid_waits_for_all_its_blocks() {
    // Every thread counts up, then spins until all blocks have.
    let body = "atom.global.add.u32 %r1, [%d1], 1;\n\
                again: ld.acquire.gpu.global.u32 %r2, [%d1];\n\
                setp.lt.u32 %p1, %r2, 128; @%p1 bra again;\n\
                mov.u32 %r3, %envreg2; mov.u32 %r4, %envreg1; mov.b64 %d3, {%r3, %r4};\n\
                atom.global.add.u32 %r5, [%d3], 1;";
    for workers in [1, 2] {
        let mut gpu = gpu(body);
        (gpu.cooperative, gpu.workers) = (true, workers);
        let to = gpu.allocate(4);
        assert_eq!(run(&gpu, to, 64), Ok(()));
        assert_eq!(gpu.words(to, 1), [128]);
    }
}

#[test]
fn impossible_launches_are_refused_before_anything_runs() {
    let gpu = gpu("st.global.u32 [%d1], %r1;");
    for (grid, block, shared) in [
        ([0, 1, 1], [1, 1, 1], 0),
        ([1, 1, 1], [1, 0, 1], 0),
        ([1, 1, 1], [32, 33, 1], 0),
        ([u32::MAX, u32::MAX, 2], [1, 1, 1], 0),
        ([1, 1, 1], [1, 1, 1], 1 << 30),
    ] {
        let result = gpu.launch("k", grid, block, shared, &[Arg::Address(0)]);
        assert!(
            matches!(result, Err(Fault::InvalidLaunch { .. })),
            "{result:?}"
        );
    }
    let text = format!("{HEAD}.visible .entry k(.param .u64 to) .maxntid 64, 1, 1 {{ ret; }}");
    let bounded = Gpu::with_arena(&text, 1 << 16);
    assert!(run(&bounded, 0, 65).is_err() && run(&bounded, 0, 64).is_ok());
}

#[test]
fn an_unknown_instruction_fails_its_kernel_alone_and_is_named() {
    let text = format!(
        "{HEAD}.visible .entry good() {{ ret; }}\n\
         .visible .entry bad()\n{{\nfrobnicate.x3 [a <- b];\n\
         ret;\n}}\n.visible .entry worse() {{ .reg .b32 %r;\nquux.u32 %r, 1; ret; }}"
    );
    let program = Program::link(&ptx::parse(&text).unwrap()).unwrap();
    assert!(program.kernel("good").unwrap().is_ok());
    let error = program.kernel("bad").unwrap().unwrap_err();
    assert_eq!(
        (error.line, error.instruction.as_str()),
        (7, "frobnicate.x3 [a <- b];")
    );
    let error = program.kernel("worse").unwrap().unwrap_err();
    assert_eq!((error.line, error.instruction.as_str()), (11, "quux.u32"));
    assert!(program.parameters("bad").unwrap().is_empty());
}

#[test]
fn an_endless_branch_table_ends_when_cancelled() {
    let gpu = gpu("mov.u32 %r1, 0; list: .branchtargets again; again: brx.idx %r1, list;");
    gpu.cancel.store(true, Ordering::Relaxed);
    assert_eq!(run(&gpu, 0, 64), Err(Fault::Cancelled));
}

#[test]
fn offsets_at_the_ends_of_the_number_range_are_faults() {
    for body in [
        "ld.param.u64 %d2, [to+9223372036854775800];",
        "ld.shared.u8 %r1, [9223372036854775807];",
        ".local .b8 l[8]; st.local.u8 [l+9223372036854775807], %r1;",
        ".local .b8 l[8]; mov.u64 %d2, l-9; st.local.u8 [%d2], %r1;",
        ".shared .b8 s[8]; st.shared.u8 [s-9], %r1;",
        "st.global.u8 [%d1+9223372036854775807], %r1;",
    ] {
        let gpu = gpu(body);
        let result = run(&gpu, gpu.allocate(64), 32);
        assert!(
            matches!(result, Err(Fault::IllegalAddress { .. })),
            "{body}: {result:?}"
        );
    }
}
