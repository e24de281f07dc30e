//! Blocks that wait for other blocks, with any number of workers: none of them may hang.
#![allow(clippy::unwrap_used, reason = "test code")]

mod ptx_support;

use ptx_support::{Arg, Gpu};

const HEAD: &str = ".version 7.0\n.target sm_80\n.address_size 64\n";

/// A decoupled look-back scan, one element a block: each block publishes its own value, looks back
/// over its predecessors until one has published a sum, and publishes its own sum. Blocks take
/// their numbers from the highest down when `%backwards`, so that those that wait start first.
fn look_back(order: &str) -> Gpu {
    let text = format!(
        "{HEAD}.visible .entry scan(.param .u64 state, .param .u64 out, .param .u32 n)\n{{\n\
         .reg .b32 %r<20>; .reg .b64 %d<20>; .reg .pred %p<9>;\n\
         ld.param.u64 %d1, [state]; ld.param.u64 %d2, [out]; ld.param.u32 %r1, [n];\n\
         mov.u32 %r2, %ctaid.x;\n{order}\n\
         mov.u32 %r3, %tid.x; setp.ne.u32 %p1, %r3, 0; @%p1 bra meet;\n\
         // State of a block: 0 nothing, 1 its value, 2 its sum, in the high half.\n\
         mad.wide.u32 %d3, %r2, 8, %d1;\n\
         add.u32 %r4, %r2, 1; mov.b64 %d4, {{%r4, 1}};\n\
         st.volatile.global.u64 [%d3], %d4;\n\
         mov.u32 %r5, %r4; mov.u32 %r6, %r2;\n\
         back: setp.eq.u32 %p2, %r6, 0; @%p2 bra found;\n\
         sub.u32 %r6, %r6, 1; mad.wide.u32 %d5, %r6, 8, %d1;\n\
         wait: ld.volatile.global.u64 %d6, [%d5]; mov.b64 {{%r7, %r8}}, %d6;\n\
         setp.eq.u32 %p3, %r8, 0; @%p3 bra wait;\n\
         add.u32 %r5, %r5, %r7; setp.eq.u32 %p4, %r8, 1; @%p4 bra back;\n\
         found: mov.b64 %d7, {{%r5, 2}}; st.volatile.global.u64 [%d3], %d7;\n\
         mad.wide.u32 %d8, %r2, 4, %d2; st.global.u32 [%d8], %r5;\n\
         meet: bar.sync 0; ret;\n}}"
    );
    Gpu::new(&text)
}

fn scans(order: &str, blocks: u32) {
    for workers in [1, 2, 5] {
        let mut gpu = look_back(order);
        gpu.workers = workers;
        let (state, out) = (
            gpu.allocate(8 * blocks as usize),
            gpu.allocate(4 * blocks as usize),
        );
        let arguments = [
            Arg::Address(state),
            Arg::Address(out),
            Arg::Int(blocks.cast_signed()),
        ];
        let result = gpu.launch("scan", [blocks, 1, 1], [64, 1, 1], 0, &arguments);
        assert_eq!(result, Ok(()), "{workers} workers");
        let wanted: Vec<u32> = (1..=blocks).map(|n| n * (n + 1) / 2).collect();
        assert_eq!(gpu.words(out, blocks as usize), wanted, "{workers} workers");
    }
}

#[test]
fn a_look_back_scan_ends() {
    scans("", 300);
}

#[test]
fn blocks_that_started_first_can_wait_for_later_ones() {
    scans("sub.u32 %r2, %r1, %r2; sub.u32 %r2, %r2, 1;", 20);
}

#[test]
fn a_block_that_waits_with_barriers_and_sleeps_gives_way() {
    // Every block counts up and waits until all have: by spinning around a barrier, or sleeping.
    for pause in ["bar.sync 0;", "nanosleep.u32 1000;"] {
        let text = format!(
            "{HEAD}.visible .entry k(.param .u64 to)\n{{\n.reg .b32 %r<9>; .reg .b64 %d<9>;\n\
             .reg .pred %p<9>; ld.param.u64 %d1, [to]; mov.u32 %r1, %tid.x;\n\
             setp.eq.u32 %p1, %r1, 0; @%p1 atom.global.add.u32 %r2, [%d1], 1;\n\
             again: {pause} ld.volatile.global.u32 %r3, [%d1];\n\
             setp.lt.u32 %p2, %r3, 8; @%p2 bra again; ret;\n}}"
        );
        for workers in [1, 3] {
            let mut gpu = Gpu::new(&text);
            gpu.workers = workers;
            let to = gpu.allocate(4);
            let result = gpu.launch("k", [8, 1, 1], [33, 1, 1], 0, &[Arg::Address(to)]);
            assert_eq!(result, Ok(()), "{pause} {workers} workers");
        }
    }
}

#[test]
fn a_grid_barrier_is_passed_often() {
    // A hundred barriers of 64 blocks: each costs a few turns, not a long spin of every block.
    let text = format!(
        "{HEAD}.visible .entry k(.param .u64 to)\n{{\n.reg .b32 %r<9>; .reg .b64 %d<9>;\n\
         .reg .pred %p<9>; ld.param.u64 %d1, [to]; mov.u32 %r1, 0;\n\
         next: add.u32 %r1, %r1, 64; atom.global.add.u32 %r2, [%d1], 1;\n\
         again: ld.volatile.global.u32 %r3, [%d1]; setp.lt.u32 %p1, %r3, %r1; @%p1 bra again;\n\
         setp.lt.u32 %p2, %r1, 6400; @%p2 bra next; ret;\n}}"
    );
    let mut gpu = Gpu::new(&text);
    (gpu.cooperative, gpu.workers) = (true, 2);
    let to = gpu.allocate(4);
    assert_eq!(
        gpu.launch("k", [64, 1, 1], [1, 1, 1], 0, &[Arg::Address(to)]),
        Ok(())
    );
    assert_eq!(gpu.words(to, 1), [6400]);
}

#[test]
fn lanes_that_spin_for_one_another_in_a_hurried_block_take_turns() {
    // The lanes of a warp queue for a lock while the block's other warps wait at a barrier.
    let text = format!(
        "{HEAD}.visible .entry k(.param .u64 to)\n{{\n.reg .b32 %r<9>; .reg .b64 %d<9>;\n\
         .reg .pred %p<9>; ld.param.u64 %d1, [to]; mov.u32 %r4, 0;\n\
         next: again: atom.global.cas.b32 %r1, [%d1], 0, 1; setp.ne.u32 %p1, %r1, 0;\n\
         @%p1 bra again;\n\
         ld.volatile.global.u32 %r2, [%d1+4]; add.u32 %r2, %r2, 1;\n\
         st.volatile.global.u32 [%d1+4], %r2; membar.gl; atom.global.exch.b32 %r3, [%d1], 0;\n\
         add.u32 %r4, %r4, 1; setp.lt.u32 %p2, %r4, 3; @%p2 bra next;\n\
         bar.sync 0; ret;\n}}"
    );
    for cooperative in [false, true] {
        let mut gpu = Gpu::new(&text);
        (gpu.cooperative, gpu.workers) = (cooperative, 2);
        let to = gpu.allocate(8);
        let result = gpu.launch("k", [2, 1, 1], [64, 1, 1], 0, &[Arg::Address(to)]);
        assert_eq!(result, Ok(()));
        assert_eq!(gpu.words(to + 4, 1), [2 * 64 * 3]);
    }
}

#[test]
fn a_counted_barrier_takes_the_parts_of_a_partial_last_warp() {
    // Eight threads of the second warp come in two parts.
    let text = format!(
        "{HEAD}.visible .entry k(.param .u64 to)\n{{\n.reg .b32 %r<9>; .reg .b64 %d<9>;\n\
         .reg .pred %p<9>; ld.param.u64 %d1, [to]; mov.u32 %r1, %tid.x;\n\
         and.b32 %r2, %r1, 1; setp.eq.u32 %p1, %r2, 0; @%p1 bra even;\n\
         barrier.sync 1, 64; bra out; even: barrier.sync 1, 64; out:\n\
         atom.global.add.u32 %r3, [%d1], 1; ret;\n}}"
    );
    let gpu = Gpu::new(&text);
    let to = gpu.allocate(4);
    let result = gpu.launch("k", [1, 1, 1], [40, 1, 1], 0, &[Arg::Address(to)]);
    assert_eq!(result, Ok(()));
    assert_eq!(gpu.words(to, 1), [40]);
}
