//! Shuffles and votes of a warp: every mode, segment and offset, whole warps and parts of them,
//! against the definition of the PTX ISA lane by lane.
//!
//! `PTX_LONG=1` tries a hundred times as many random operands, `PTX_SEED` other ones.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::unwrap_used,
    reason = "test code"
)]

mod ptx_support;

use ptx_support::table::{Random, count};
use ptx_support::{Arg, Gpu};

/// Lanes `threads` of one warp run `body` with three words each; %r and %s are stored.
fn run(body: &str, threads: usize, words: &[[u32; 3]]) -> Vec<[u32; 2]> {
    let text = format!(
        ".version 7.0\n.target sm_80\n.address_size 64\n\
         .visible .entry k(.param .u64 from, .param .u64 to)\n{{\n\
         .reg .b32 %a, %b, %c, %r, %s, %i; .reg .b64 %f, %t; .reg .pred %p, %q, %o;\n\
         mov.u32 %i, %tid.x; ld.param.u64 %f, [from]; mad.wide.u32 %f, %i, 12, %f;\n\
         ld.global.u32 %a, [%f]; ld.global.u32 %b, [%f+4]; ld.global.u32 %c, [%f+8];\n\
         mov.u32 %r, 0; mov.u32 %s, 0; and.b32 %s, %a, 1; setp.ne.u32 %q, %s, 0; mov.u32 %s, 0;\n\
         {body}\n\
         ld.param.u64 %t, [to]; mad.wide.u32 %t, %i, 8, %t; st.global.v2.b32 [%t], {{%r, %s}};\n\
         ret;\n}}"
    );
    let gpu = Gpu::with_arena(&text, 1 << 16);
    let from = gpu.upload_words(&words.concat());
    let to = gpu.allocate(8 * threads);
    let arguments = [Arg::Address(from), Arg::Address(to)];
    gpu.launch("k", [1, 1, 1], [threads as u32, 1, 1], 0, &arguments)
        .unwrap();
    let found = gpu.words(to, 2 * threads);
    found.chunks_exact(2).map(|two| [two[0], two[1]]).collect()
}

/// The lane that is read, and whether it is in bounds (PTX ISA, shfl.sync).
fn source(mode: &str, lane: i64, b: u32, c: u32) -> (i64, bool) {
    let (offset, clamp, segment) = (i64::from(b & 31), i64::from(c & 31), i64::from(c >> 8 & 31));
    let highest = lane & segment | clamp & !segment;
    let lowest = lane & segment;
    let (from, inside) = match mode {
        "up" => (lane - offset, lane - offset >= highest),
        "down" => (lane + offset, lane + offset <= highest),
        "bfly" => (lane ^ offset, (lane ^ offset) <= highest),
        _ => {
            let from = lowest | offset & !segment;
            (from, from <= highest)
        }
    };
    if inside { (from, true) } else { (lane, false) }
}

#[test]
fn shuffles_of_every_mode_segment_and_offset() {
    let mut random = Random::new();
    for round in 0..count(6) {
        for mode in ["up", "down", "bfly", "idx"] {
            for width in [1u32, 2, 4, 8, 16, 32] {
                let clamp = if mode == "up" { 0 } else { 31 };
                let same = random.next() as u32;
                let c = (32 - width) << 8 | clamp;
                let words: Vec<[u32; 3]> = (0..32)
                    .map(|_| {
                        let bits = random.next();
                        let b = if round % 2 == 0 { same } else { bits as u32 };
                        [(bits >> 32) as u32, b, c]
                    })
                    .collect();
                for second in ["", "|%p"] {
                    let body = format!(
                        "mov.pred %p, 0; shfl.sync.{mode}.b32 %r{second}, %a, %b, %c, -1; \
                         selp.u32 %s, 1, 0, %p;"
                    );
                    for (lane, found) in run(&body, 32, &words).into_iter().enumerate() {
                        let [_, b, c] = words[lane];
                        let (from, inside) = source(mode, lane as i64, b, c);
                        let wanted = [
                            words[from as usize][0],
                            u32::from(inside && !second.is_empty()),
                        ];
                        assert_eq!(found, wanted, "{body} lane {lane} {b:#x} {c:#x}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_shuffle_may_write_what_it_reads() {
    let words: Vec<[u32; 3]> = (0..32).map(|lane| [lane, 1, 31]).collect();
    let body = "shfl.sync.bfly.b32 %a, %a, 16, 31, -1; shfl.sync.bfly.b32 %a, %a, %a, 31, -1; \
                mov.u32 %r, %a;";
    for (lane, found) in run(body, 32, &words).into_iter().enumerate() {
        let first = |lane: u32| lane ^ 16;
        let lane = lane as u32;
        assert_eq!(found[0], first(lane ^ first(lane)), "lane {lane}");
    }
}

#[test]
fn parts_of_a_warp_shuffle_and_vote_among_themselves() {
    let mut random = Random::new();
    for threads in [32usize, 31, 17, 1] {
        let words: Vec<[u32; 3]> = (0..threads)
            .map(|_| [(random.next() >> 32) as u32, 0, 0])
            .collect();
        let all = u32::MAX >> (32 - threads);
        let odd: u32 = (0..threads).fold(0, |mask, lane| mask | (words[lane][0] & 1) << lane);
        let holds = |name: &str| {
            let is = match name {
                "all" => odd == all,
                "any" => odd != 0,
                _ => odd == all || odd == 0,
            };
            u32::from(is)
        };
        for name in ["all", "any", "uni"] {
            let body = format!("vote.sync.{name}.pred %p, %q, {all:#x}; selp.u32 %r, 1, 0, %p;");
            for found in run(&body, threads, &words) {
                assert_eq!(found[0], holds(name), "{name} of {odd:#x}");
            }
            let body = format!(
                "setp.eq.u32 %o, %i, %i; vote.sync.{name}.pred %p, !%o, {all:#x}; \
                 selp.u32 %r, 1, 0, %p; vote.sync.{name}.pred %p, %o, {all:#x}; \
                 selp.u32 %s, 1, 0, %p;"
            );
            let none = u32::from(name == "uni");
            for found in run(&body, threads, &words) {
                assert_eq!(found, [none, 1], "{name} of nobody and of all");
            }
        }
        let body = format!(
            "vote.sync.ballot.b32 %r, %q, {all:#x}; activemask.b32 %s; @!%q bra skip; \
             vote.sync.ballot.b32 %s, %q, {odd:#x}; skip: bar.warp.sync {all:#x};"
        );
        for (lane, found) in run(&body, threads, &words).into_iter().enumerate() {
            let inner = if odd >> lane & 1 == 1 { odd } else { all };
            assert_eq!(found, [odd, inner], "lane {lane}");
        }
    }
}
