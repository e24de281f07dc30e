//! Copies that need no registers and the barriers that count them: `cp.async`, bulk copies,
//! `mbarrier`, and the forms of loads and stores that only advise the hardware.
#![allow(clippy::unwrap_used, reason = "test code")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "test code"
)]

mod ptx_support;

use ptx_support::{Arg, Gpu, scattered, scattered_singles};

const ONE: [u32; 3] = [1, 1, 1];

fn threads(count: u32) -> [u32; 3] {
    [count, 1, 1]
}

/// A kernel with parameters `a` and `d` in %p and %q, and the thread's number in %i.
fn kernel(body: &str) -> Gpu {
    let text = format!(
        ".version 8.6\n.target sm_90\n.address_size 64\n\
         .visible .entry k(.param .u64 a, .param .u64 d)\n{{\n\
         .reg .b64 %p, %q, %o, %l<8>;\n.reg .b32 %i, %r<16>;\n.reg .pred %g, %e;\n\
         .reg .f32 %f<8>;\n.shared .align 128 .b8 s[1024];\n.shared .align 8 .b64 m[2];\n\
         mov.u32 %i, %tid.x; ld.param.u64 %p, [a]; ld.param.u64 %q, [d];\n{body}\nret;\n}}"
    );
    Gpu::with_arena(&text, 1 << 17)
}

fn run(gpu: &Gpu, count: u32, input: &[u32], output: usize) -> Vec<u32> {
    let (a, d) = (gpu.upload_words(input), gpu.allocate(4 * output));
    gpu.launch(
        "k",
        ONE,
        threads(count),
        0,
        &[Arg::Address(a), Arg::Address(d)],
    )
    .unwrap();
    gpu.words(d, output)
}

/// One warp writes numbers to two buffers in turn, another adds them up: each waits for the other
/// by the parity of a phase, in loops without any other barrier.
#[test]
fn a_producer_and_a_consumer_take_turns() {
    for wait in ["test_wait", "try_wait"] {
        let body = format!(
            "setp.ne.u32 %g, %i, 0; @%g bra ready;\n\
             mbarrier.init.shared::cta.b64 [m], 32; mbarrier.init.shared.b64 [m+8], 32;\n\
             fence.mbarrier_init.release.cluster;\n\
             ready: bar.sync 0;\n\
             and.b32 %r0, %i, 31; shl.b32 %r0, %r0, 2; mov.u32 %r1, s; add.u32 %r0, %r0, %r1;\n\
             mov.u32 %r2, 0; mov.u32 %r3, 0;\n\
             setp.ge.u32 %g, %i, 32; @%g bra consume;\n\
             produce: and.b32 %r4, %r2, 1; xor.b32 %r5, %r4, 1;\n\
             empty: mbarrier.{wait}.parity.shared.b64 %e, [m+8], %r5; @!%e bra empty;\n\
             mad.lo.u32 %r6, %r2, 100, %i; st.shared.u32 [%r0], %r6;\n\
             mbarrier.arrive.release.cta.shared::cta.b64 %l0, [m];\n\
             add.u32 %r2, %r2, 1; setp.lt.u32 %e, %r2, 50; @%e bra produce;\n\
             bra.uni done;\n\
             consume: and.b32 %r4, %r2, 1;\n\
             full: mbarrier.{wait}.parity.shared.b64 %e, [m], %r4; @!%e bra full;\n\
             ld.shared.u32 %r6, [%r0]; add.u32 %r3, %r3, %r6;\n\
             mbarrier.arrive.shared.b64 _, [m+8];\n\
             add.u32 %r2, %r2, 1; setp.lt.u32 %e, %r2, 50; @%e bra consume;\n\
             sub.u32 %r7, %i, 32; mad.wide.u32 %q, %r7, 4, %q; st.global.u32 [%q], %r3;\n\
             done:"
        );
        let found = run(&kernel(&body), 64, &[0], 32);
        let wanted: Vec<u32> = (0..32).map(|lane| 100 * 1225 + 50 * lane).collect();
        assert_eq!(found, wanted, "{wait}");
    }
}

#[test]
fn a_state_tells_its_phase_and_what_is_pending() {
    let body = "mbarrier.init.shared.b64 [m], 3; mbarrier.arrive.shared.b64 %l0, [m];\n\
         mbarrier.arrive_drop.noComplete.shared.b64 %l1, [m], 1;\n\
         mbarrier.pending_count.b64 %r0, %l0; mbarrier.pending_count.b64 %r1, %l1;\n\
         mbarrier.test_wait.shared.b64 %e, [m], %l0; selp.u32 %r2, 1, 0, %e;\n\
         mbarrier.arrive.expect_tx.relaxed.cta.shared.b64 %l2, [m], 8;\n\
         mbarrier.test_wait.shared.b64 %e, [m], %l1; selp.u32 %r3, 1, 0, %e;\n\
         mbarrier.complete_tx.relaxed.cta.shared.b64 [m], 8;\n\
         mbarrier.try_wait.acquire.cta.shared.b64 %e, [m], %l1, 1000; selp.u32 %r4, 1, 0, %e;\n\
         mbarrier.arrive.shared.b64 %l3, [m]; mbarrier.pending_count.b64 %r5, %l3;\n\
         cp.async.mbarrier.arrive.shared.b64 [m]; mbarrier.arrive.shared.b64 %l3, [m];\n\
         mbarrier.pending_count.b64 %r6, %l3; mbarrier.test_wait.parity.shared.b64 %e, [m], 1;\n\
         selp.u32 %r7, 1, 0, %e; mbarrier.inval.shared.b64 [m];\n\
         st.global.v8.b32 [%q], {%r0, %r1, %r2, %r3, %r4, %r5, %r6, %r7};";
    assert_eq!(run(&kernel(body), 1, &[0], 8), [3, 2, 0, 0, 1, 2, 1, 1]);
}

#[test]
fn copies_fill_up_with_zeros_or_ignore_their_source() {
    let body = "mov.u32 %r8, s; setp.eq.u32 %e, %i, 0; mov.u32 %r9, 6;\n\
         createpolicy.fractional.L2::evict_first.b64 %l0, 1.0;\n\
         cp.async.cg.shared.global [%r8], [%p], 16;\n\
         cp.async.ca.shared::cta.global.L2::128B [%r8+16], [%p], 16, %r9;\n\
         cp.async.ca.shared.global.L2::cache_hint [%r8+32], [%p], 8, %l0;\n\
         cp.async.ca.shared.global.L2::cache_hint [%r8+40], [%p], 8, %r9, %l0;\n\
         cp.async.cg.shared.global [%r8+48], [%p], 16, %e;\n\
         cp.async.cg.shared.global [%r8+64], [%p], 16, !%e;\n\
         cp.async.commit_group; cp.async.wait_group 0; cp.async.wait_all;\n\
         ld.shared.v4.b32 {%r0, %r1, %r2, %r3}, [%r8];\n\
         st.global.v4.b32 [%q], {%r0, %r1, %r2, %r3};\n\
         ld.shared.v4.b32 {%r0, %r1, %r2, %r3}, [%r8+16];\n\
         st.global.v4.b32 [%q+16], {%r0, %r1, %r2, %r3};\n\
         ld.shared.v4.b32 {%r0, %r1, %r2, %r3}, [%r8+32];\n\
         st.global.v4.b32 [%q+32], {%r0, %r1, %r2, %r3};\n\
         ld.shared.v4.b32 {%r0, %r1, %r2, %r3}, [%r8+48];\n\
         st.global.v4.b32 [%q+48], {%r0, %r1, %r2, %r3};\n\
         ld.shared.v4.b32 {%r0, %r1, %r2, %r3}, [%r8+64];\n\
         st.global.v4.b32 [%q+64], {%r0, %r1, %r2, %r3};";
    let found = run(&kernel(body), 1, &[0x0403_0201, 0x0807_0605, 9, 10], 20);
    let (first, second, cut) = (0x0403_0201, 0x0807_0605, 0x0605);
    let wanted = [
        [first, second, 9, 10],
        [first, cut, 0, 0],
        [first, second, first, cut],
        [0; 4],
        [first, second, 9, 10],
    ];
    assert_eq!(found, wanted.concat());
}

#[test]
fn bulk_copies_complete_their_barrier() {
    let body = "setp.ne.u32 %g, %i, 0; @%g bra ready;\n\
         mbarrier.init.shared.b64 [m], 1; fence.proxy.async;\n\
         mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 %l0, [m], 128;\n\
         cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [s], [%p], 64, [m];\n\
         cp.async.bulk.shared::cta.global.mbarrier::complete_tx::bytes [s+64], [%p+64], 48, [m];\n\
         mov.b32 %r0, 7; mov.b32 %r1, 8;\n\
         st.async.shared::cluster.mbarrier::complete_tx::bytes.v2.b32 [s+112], {%r0, %r1}, [m];\n\
         st.async.shared::cluster.mbarrier::complete_tx::bytes.b32 [s+120], %r0, [m];\n\
         red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.add.u32 [s+112], \
         %r1, [m];\n\
         ready: bar.sync 0;\n\
         wait: mbarrier.try_wait.parity.shared::cta.b64 %e, [m], 0; @!%e bra wait;\n\
         @%g bra done;\n\
         cp.async.bulk.global.shared::cta.bulk_group [%q], [s], 128;\n\
         cp.reduce.async.bulk.global.shared::cta.bulk_group.add.u32 [%q], [s], 64;\n\
         cp.async.bulk.commit_group; cp.async.bulk.wait_group.read 0; cp.async.bulk.wait_group 0;\n\
         done:";
    let mut input: Vec<u32> = (1..=32).collect();
    let found = run(&kernel(body), 64, &input, 32);
    input[..16].iter_mut().for_each(|one| *one *= 2);
    (input[28], input[29], input[30], input[31]) = (15, 8, 7, 0);
    assert_eq!(found, input);
}

#[test]
fn advice_to_the_caches_changes_nothing() {
    let body = "createpolicy.fractional.L2::evict_last.b64 %l7, 0.5;\n\
         prefetch.global.L2 [%p]; prefetchu.L1 [%p]; fence.sc.gpu; fence.acq_rel.sys; membar.gl;\n\
         applypriority.global.L2::evict_normal [%p], 128; discard.global.L2 [%q], 128;\n\
         ld.global.nc.L1::no_allocate.L2::cache_hint.v4.u32 {%r0, %r1, %r2, %r3}, [%p], %l7;\n\
         ld.relaxed.gpu.global.L1::evict_last.u32 %r4, [%p+16]; ldu.global.u32 %r5, [%p+20];\n\
         ld.volatile.global.u32 %r6, [%p+24]; ld.acquire.sys.u32 %r7, [%p+28];\n\
         ld.global.ca.v4.b64 {%l0, %l1, %l2, %l3}, [%p+32]; ld.global.u32 %r8, [%p+64].unified;\n\
         ld.mmio.relaxed.sys.global.u32 %r9, [%p+68];\n\
         st.global.cs.v8.b32 [%q], {%r0, %r1, %r2, %r3, %r4, %r5, %r6, %r7};\n\
         st.global.L1::no_allocate.L2::cache_hint.v4.b64 [%q+32], {%l0, %l1, %l2, %l3}, %l7;\n\
         st.release.gpu.global.u32 [%q+64], %r8; st.volatile.u32 [%q+68], %r9;\n\
         griddepcontrol.wait; griddepcontrol.launch_dependents;\n\
         setmaxnreg.inc.sync.aligned.u32 232; nanosleep.u32 20;";
    let input = scattered(18, 5);
    assert_eq!(run(&kernel(body), 1, &input, 18), input);
}

#[test]
fn a_block_is_a_cluster_of_its_own() {
    let body = "barrier.cluster.arrive.release.aligned; barrier.cluster.wait.acquire.aligned;\n\
         mov.u32 %r0, %cluster_ctarank; mov.u32 %r1, %cluster_nctarank; mov.u32 %r2, s;\n\
         mapa.shared::cluster.u32 %r3, %r2, 0; sub.u32 %r3, %r3, %r2;\n\
         getctarank.shared::cluster.u32 %r4, %r2;\n\
         cvta.shared.u64 %l0, %r2; mov.u64 %l0, s; cvta.shared.u64 %l0, %l0;\n\
         mapa.u64 %l1, %l0, 0; sub.u64 %l1, %l1, %l0; cvt.u32.u64 %r5, %l1;\n\
         mov.u32 %r6, %nclusterid.x; mov.u32 %r7, %cluster_nctaid.x;\n\
         st.global.v8.b32 [%q], {%r0, %r1, %r2, %r3, %r4, %r5, %r6, %r7};";
    let found = run(&kernel(body), 1, &[0], 8);
    assert_eq!((found[0], found[1]), (0, 1));
    assert_eq!(found[3..], [0, 0, 0, 1, 1]);
}

#[test]
fn singles_are_reduced_over_a_warp() {
    let body = "mad.wide.u32 %l0, %i, 4, %p; ld.global.f32 %f0, [%l0];\n\
         redux.sync.min.f32 %f1, %f0, 0xffffffff; redux.sync.max.abs.f32 %f2, %f0, 0xffffffff;\n\
         redux.sync.max.NaN.f32 %f3, %f0, 0xffffffff;\n\
         st.global.f32 [%q], %f1; st.global.f32 [%q+4], %f2; st.global.f32 [%q+8], %f3;";
    let mut values = scattered_singles(32, 6);
    values[7] = f32::NAN;
    let bits: Vec<u32> = values.iter().map(|value| value.to_bits()).collect();
    let found = run(&kernel(body), 32, &bits, 3);
    let least = values.iter().copied().fold(f32::INFINITY, f32::min);
    let most = values.iter().map(|value| value.abs()).fold(0.0, f32::max);
    assert_eq!(found, [least.to_bits(), most.to_bits(), 0x7fff_ffff]);
}

/// `async_copy` of `fixtures/async.cu`, as nvcc writes it for two architectures.
#[test]
fn pipelines_of_copies_deliver_every_tile() {
    let builds = [
        include_str!("fixtures/async.ptx"),
        include_str!("fixtures/async_90.ptx"),
    ];
    for text in builds {
        let mut gpu = Gpu::new(text);
        gpu.workers = 2;
        let tiles = 7usize;
        let values = scattered_singles(tiles * 512, 9);
        let (from, to) = (gpu.upload_singles(&values), gpu.allocate(4 * values.len()));
        let arguments = [
            Arg::Address(from),
            Arg::Address(to),
            Arg::Int((tiles * 128) as i32),
        ];
        gpu.launch("async_copy", threads(3), threads(128), 0, &arguments)
            .unwrap();
        let found = gpu.singles(to, values.len());
        for (at, value) in found.iter().enumerate() {
            let (quad, part) = (at / 4, at % 4);
            assert_eq!(*value, values[(quad ^ 1) * 4 + 3 - part], "{at}");
        }
        let counted = gpu.allocate(4 * 64);
        let arguments = [Arg::Address(from), Arg::Address(counted)];
        gpu.launch("barrier_turns", ONE, threads(64), 0, &arguments)
            .unwrap();
        let wanted: Vec<f32> = (0..64)
            .map(|at| (0..10).map(|turn| values[turn * 64 + (at + 1) % 64]).sum())
            .collect();
        assert_eq!(gpu.singles(counted, 64), wanted);
    }
}
